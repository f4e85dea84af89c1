"""Augmented examples, made audible."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from audiornn import cli
from audiornn.features import FeatureExtractor
from audiornn.train.audition import to_waveform, write_examples
from tests.conftest import spoken


def test_what_one_hears_has_the_frames_it_was_made_from(prepared):
    settings = prepared("classify").recipe.features
    extractor = FeatureExtractor(settings)
    log_mel = extractor.log_mel(spoken(["do", "sol"]))
    heard = extractor.log_mel(to_waveform(log_mel, settings))
    loud = log_mel > log_mel.max() - 20
    n = min(len(heard), len(log_mel))
    assert np.abs(heard[:n] - log_mel[:n])[loud[:n]].mean() < 3.0


def test_examples_are_the_same_each_time_and_lie_beside_the_plain_ones(prepared, tmp_path):
    ready = prepared("classify")
    recipe = replace(ready.recipe, augment=replace(ready.recipe.augment, noise=1.0))
    files = write_examples(ready, recipe, tmp_path / "a", 3)
    assert [f.name for f in files] == [f.name for f in write_examples(ready, recipe, tmp_path / "b", 3)]
    assert len(files) == 3
    for file in files:
        varied, rate = soundfile.read(file)
        assert rate == recipe.features.sample_rate
        plain, _ = soundfile.read(str(file).replace("varied", "plain"))
        assert len(varied)
        assert len(varied) != len(plain) or not np.allclose(varied, plain)
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_of_a_spotter_one_hears_the_windows_it_learns_from(spotter_world, tmp_path):
    ready = spotter_world.prepared
    (tmp_path / "009_old_plain.wav").write_bytes(b"of an earlier call")
    (tmp_path / "mine.wav").write_bytes(b"of somebody else's")
    files = write_examples(ready, ready.recipe, tmp_path, 4)
    assert sorted(tmp_path.iterdir()) == sorted([*files, tmp_path / "mine.wav"])
    lengths = {soundfile.info(file).frames for file in files}
    assert len(lengths) == 1, "all are as long as the network's window"


def test_prep_writes_them_when_asked(world, tmp_path, capsys):
    folder = world.recipe("classify")
    arguments = ["prep", str(folder), "--corpus", str(world.corpus), "--data", str(tmp_path), "--listen", "2"]
    assert cli.main(arguments) == 0
    assert "2 training utterances as augmentation varies them" in capsys.readouterr().out
    assert len(list(tmp_path.glob("*/listen/*.wav"))) == 4
    with pytest.raises(SystemExit):
        cli.main([*arguments[:-1], "0"])
