"""`audiornn new`: the recipe it writes is one that `prep` takes as it is, and says what it guessed."""

import json
import shutil
from collections import Counter

import numpy as np
import pytest
import soundfile

from audiornn.cli import main
from audiornn.corpus.collection import read_collection
from audiornn.corpus.contrast import N_CONTRASTS, OTHER, contrast, cut_background, make_contrast, other_recordings
from audiornn.corpus.manifest import Utterance
from audiornn.corpus.new_recipe import write_recipe
from audiornn.corpus.preparation import open_prepared, prepare_corpus
from audiornn.errors import CorpusError, SettingsError
from audiornn.features import FeatureExtractor
from audiornn.recipe import _tomllib, load_recipe
from tests.test_collection import hugging_face, record, sound, write

RATE = 8000


def new(tmp_path, source, **arguments):
    """Write a recipe; give it, and what its prepare gives."""
    made = write_recipe("mine", source, recipes=tmp_path / "recipes", **arguments)
    recipe = load_recipe(made.folder)
    return made, recipe, recipe.prepare(recipe.folder / recipe.corpus_dir, made_dir=tmp_path / "made")


def ids(splits):
    return {name: [u.id for u in own] for name, own in splits.items()}


def words(folder, labels=("yes", "no"), n=12, **kind):
    return record(folder, *(f"{label}/{i}.wav" for label in labels for i in range(n)), **kind)


def sentences(folder, texts, **kind):
    record(folder, *(f"{i:03d}.wav" for i in range(len(texts))), **kind)
    for i, text in enumerate(texts):
        write(folder / f"{i:03d}.txt", text)
    return folder


def test_words_in_folders(tmp_path):
    made, recipe, splits = new(tmp_path, words(tmp_path / "my words"))
    assert recipe.task == "classify"
    assert recipe.features.sample_rate == RATE
    assert (recipe.features.win_length, recipe.features.hop_length) == (200, 80)
    assert ids(splits) == ids(made.splits)
    assert {name: {u.text for u in own} for name, own in splits.items()} == {key: {"yes", "no"} for key in splits}
    assert made.commands[:2] == (f"audiornn prep {tmp_path}/recipes/mine", "audiornn train")
    readme = (made.folder / "README.md").read_text(encoding="utf-8")
    assert all(line in readme for line in (*made.understood, *made.guessed, *made.commands))


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_one_label_and_recordings_without_it_are_a_yes_or_no(tmp_path, form):
    source = record(tmp_path / "set", *(f"{i:02d}.wav" for i in range(20)))
    rows = [(f"{i:02d}.wav", "three" if i % 2 else "") for i in range(20)]
    if form == "csv":
        write(source / "all.csv", "file,label\n" + "".join(f"{name},{label}\n" for name, label in rows))
    else:
        lines = (json.dumps({"audio_filepath": name, "text": label}) + "\n" for name, label in rows)
        write(source / "all.jsonl", "".join(lines))
    made, recipe, splits = new(tmp_path, source, task="classify")
    assert recipe.vocabulary.several
    assert ids(splits) == ids(made.splits)
    assert Counter(u.text for own in splits.values() for u in own) == {"three": 10, "": 10}
    assert not any("one label only" in line for line in made.warnings)
    assert any("'three' holds in 10 recordings, and not in the 10 whose text is empty" in line for line in made.guessed)


def test_a_forgotten_text_makes_no_yes_or_no(tmp_path):
    source = record(tmp_path / "set", *(f"{i:02d}.wav" for i in range(12)))
    rows = "".join(f"{i:02d}.wav,{'three' if i else ''}\n" for i in range(12))
    write(source / "all.csv", f"file,label\n{rows}")
    made, _, _ = new(tmp_path, source, task="classify")
    assert [why for _, why in made.collection.left_out] == ["its text is empty"]
    assert any("one label only" in line for line in made.warnings)


def yes_or_no(folder, n_yes, n_no, label="three"):
    """Recordings with one label, and others with an empty text, in a table."""
    names = {f"yes{i:02d}.wav": label for i in range(n_yes)} | {f"no{i:02d}.wav": "" for i in range(n_no)}
    record(folder, *(name for name in names if not (folder / name).exists()))
    write(folder / "all.csv", "file,label\n" + "".join(f'{name},"{label}"\n' for name, label in names.items()))
    return folder


def test_a_yes_or_no_stands_still_whatever_lines_are_added(tmp_path):
    source = yes_or_no(tmp_path / "set", 18, 2)
    _, recipe, _ = new(tmp_path, source, task="classify")
    assert recipe.corpus["yes_or_no"]
    splits = recipe.prepare(yes_or_no(source, 44, 2))  # one could only say yes without them
    assert Counter(u.text for own in splits.values() for u in own) == {"three": 44, "": 2}


def test_a_contrast_stands_still_whatever_texts_are_forgotten(tmp_path):
    source = yes_or_no(tmp_path / "set", 20, 1)
    _, recipe, before = new(tmp_path, source, task="classify")
    assert "yes_or_no" not in recipe.corpus
    assert ids(recipe.prepare(yes_or_no(source, 20, 4), made_dir=tmp_path / "made")) == ids(before)
    assert not read_collection(source, task="classify").several  # as recipes have it that know no such key


def test_the_one_label_of_a_yes_or_no_may_hold_a_comma(tmp_path):
    made, _, splits = new(tmp_path, yes_or_no(tmp_path / "set", 10, 10, "Rain, heavy"), task="classify")
    assert Counter(u.text for own in splits.values() for u in own) == {"Rain heavy": 10, "": 10}
    assert made.collection.labels == {"Rain heavy": 10}
    assert any("'Rain heavy' holds in 10 recordings" in line for line in made.guessed)


def test_what_is_written_stands_still_when_recordings_are_added(tmp_path):
    source = record(tmp_path / "set", *(f"{w}/{i:02d}.wav" for w in ("ja", "nej") for i in range(12)))
    _, recipe, before = new(tmp_path, source)
    record(source, *(f"{w}/ann_{i:02d}.wav" for w in ("ja", "nej") for i in range(4)))
    after = recipe.prepare(source)
    where = {u.id: name for name, own in after.items() for u in own}
    assert sum(where[u.id] != name for name, own in before.items() for u in own) <= 4
    assert {u.speaker for own in after.values() for u in own} == {None}


def test_settings_are_changed_by_set(tmp_path):
    source = words(tmp_path / "set")
    new(tmp_path, source)
    recipe = load_recipe(tmp_path / "recipes" / "mine", ["corpus.speaker=folder:1", "corpus.test=0.3", "corpus.dev=0"])
    splits = recipe.prepare(source)
    assert {u.speaker for own in splits.values() for u in own} == {"yes", "no"}
    assert not splits["dev"]
    with pytest.raises(SettingsError, match="did you mean 'speaker'"):
        load_recipe(tmp_path / "recipes" / "mine", ["corpus.speakers=none"])


def test_recipe_toml_holds_only_what_differs_and_its_reasons(tmp_path):
    source = words(tmp_path / 'a "strange" näme \\ of a folder', n=50, rate=16000)
    made, recipe, _ = new(tmp_path, source)
    text = (made.folder / "recipe.toml").read_text(encoding="utf-8")
    entry = _tomllib().loads(text)
    assert entry["corpus_dir"] == str(source.resolve())
    assert entry["licence"] == ""
    assert "sample_rate" not in entry["features"]
    for section, known in (("training", recipe.training), ("model", recipe.model), ("features", recipe.features)):
        for key, value in entry.get(section, {}).items():
            assert value != getattr(type(known)(), key), key
    assert (
        2000 <= recipe.training.epochs * 80 / recipe.training.batch_size <= 4000 or recipe.training.epochs * 10 == 1000
    )


@pytest.mark.parametrize(
    ("texts", "unit", "lower_case", "punctuation"),
    [
        ([f"{a} {b}" for a in ("one", "two", "six") for b in ("three", "four")] * 3, "word", False, "keep"),
        ([f"SENTENCE NUMBER {chr(65 + i % 26)}{chr(65 + i // 3)}" for i in range(40)], "character", False, "keep"),
        ([f"This is Text {chr(97 + i)}" for i in range(20)], "character", True, "keep"),
        ([f"this is it, {chr(97 + i)}." for i in range(20)], "character", True, "remove"),
        (["ΝΑΙ ΟΧΙ", "ναι", "όχι ναι"] * 10, "word", True, "keep"),
    ],
)
def test_symbols_of_transcripts(tmp_path, texts, unit, lower_case, punctuation):
    _, recipe, _ = new(tmp_path, sentences(tmp_path / "set", texts, seconds=2.0), task="transcribe")
    assert recipe.task == "transcribe"
    vocabulary = recipe.vocabulary
    assert (vocabulary.unit, vocabulary.lower_case, vocabulary.punctuation) == (unit, lower_case, punctuation)


def test_turkish_has_its_own_small_letters(tmp_path):
    texts = ["Işık İyi", "ışık iyi", "IŞIK", "iyi ışık"] * 6
    made, recipe, _ = new(tmp_path, sentences(tmp_path / "set", texts, seconds=2.0), task="transcribe")
    assert (recipe.vocabulary.lower_case, recipe.vocabulary.language) == (True, "tr")
    assert any("2 different words" in line for line in made.guessed)


@pytest.mark.parametrize(("seconds", "stride"), [(0.35, 1), (0.7, 2), (2.0, 3)])
def test_the_stride_leaves_ctc_its_frames(tmp_path, seconds, stride):
    made, recipe, _ = new(
        tmp_path, sentences(tmp_path / "set", [f"a longer text {chr(97 + i)}" for i in range(20)], seconds=seconds)
    )
    assert recipe.model.stride == stride
    assert ("too long" in " ".join(made.guessed)) == (seconds < 0.2)


def test_texts_too_long_for_their_audio_are_told(tmp_path):
    made, recipe, _ = new(tmp_path, sentences(tmp_path / "set", [f"a longer text {chr(97 + i)}" for i in range(20)]))
    assert recipe.model.stride == 1
    assert "too long for their audio" in " ".join(made.guessed)
    assert made.commands[0].endswith("--skip-bad")


def test_few_utterances_are_learnt_without_noise(tmp_path):
    texts = [" ".join("yes" if i & 1 << k else "no" for k in range(4)) for i in range(16)] * 2
    _, recipe, _ = new(tmp_path, sentences(tmp_path / "set", texts, seconds=3.0), task="transcribe")
    assert (recipe.augment.noise, recipe.augment.time_masks, recipe.augment.band_masks) == (0.0, 0, 0)
    assert (recipe.training.batch_size, recipe.training.epochs) == (6, 100)


def test_sample_rates(tmp_path):
    source = words(tmp_path / "set", n=6, rate=44100)
    record(source, "yes/x.wav", rate=8000)
    made, recipe, _ = new(tmp_path, source)
    assert recipe.features.sample_rate == 16000
    assert "44,100 Hz: 92 %" in " ".join(made.guessed)


def test_recordings_that_hold_more_than_speech_does(tmp_path):
    made, recipe, _ = new(tmp_path, words(tmp_path / "set", n=6, rate=96000))
    assert recipe.features.sample_rate == 16000
    assert "what lies below 8,000 Hz is heard" in " ".join(made.guessed)
    for rate, window, hop in (
        (384000, 1200, 480),
        (96000, 1200, 480),
        (48000, 1200, 480),
        (2000, 200, 80),
        (250, 200, 80),
    ):
        shutil.rmtree(tmp_path / "recipes")
        made, recipe, _ = new(tmp_path, tmp_path / "set", sample_rate=rate)
        features = recipe.features
        assert (features.sample_rate, features.win_length, features.hop_length) == (rate, window, hop)
        assert len(FeatureExtractor(features)(np.zeros(3 * rate, np.float32))) > 0
    shutil.rmtree(tmp_path / "recipes")
    for wrong in (50, 20_000_000):
        with pytest.raises(SettingsError, match="heard at 100 to 384,000 Hz"):
            new(tmp_path, tmp_path / "set", sample_rate=wrong)
    with pytest.raises(SettingsError, match="--sample-rate is not for --task spot"):
        write_recipe("spot", tmp_path / "set", recipes=tmp_path / "recipes", task="spot", sample_rate=8000)


@pytest.mark.parametrize(
    ("own", "band", "rate", "fmin"),
    [
        (48000, (8600, 11500), 32000, 4300),
        (48000, (300, 6000), 16000, 0),
        (2000, (15, 30), 2000, 0),
        (250000, (45000, 80000), 192000, 22500),
    ],
)
def test_the_labels_say_how_high_is_to_be_heard(own, band, rate, fmin, tmp_path):
    source = record(tmp_path / "set", *(f"{i}.wav" for i in range(9)), rate=own)
    for i in range(9):
        rows = "Selection\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tSpecies\n"
        write(source / f"{i}.selections.txt", f"{rows}1\t0.1\t0.2\t{band[0]}\t{band[1]}\tx\n")
    made, recipe, _ = new(tmp_path, source, task="label")
    assert (recipe.features.sample_rate, recipe.features.fmin) == (rate, fmin)
    assert f"reach up to {band[1]:,} Hz, so that all is heard" in " ".join(made.guessed)


def test_labels_above_the_commonest_rate_are_not_said_to_be_heard(tmp_path):
    source = record(tmp_path / "set", *(f"{i}.wav" for i in range(6)), rate=22050)
    record(tmp_path / "set", *(f"{i}.wav" for i in range(6, 9)), rate=48000)
    for i in range(9):
        write(source / f"{i}.txt", "0.1\t0.2\tx\n\\\t300.0\t15000.0\n")
    guessed = " ".join(new(tmp_path, source, task="label")[0].guessed)
    assert "up to 15,000 Hz, of which what lies below 11,025 Hz is heard" in guessed


def test_broken_recordings_are_left_to_prep(tmp_path):
    source = words(tmp_path / "set", n=6)
    (source / "yes" / "bad.wav").write_bytes(b"no audio")
    (source / "yes" / "empty.wav").write_bytes(b"")
    _, _, splits = new(tmp_path, source)
    assert {"yes/bad", "yes/empty"} <= {u.id for own in splits.values() for u in own}


def test_shared_speakers_are_written_down(tmp_path):
    source = record(tmp_path / "set", *(f"{i}.wav" for i in range(20)))
    write(
        source / "t.tsv", "path\tspeaker\tlabel\n" + "".join(f"{i}.wav\t{'ab'[i // 10]}\t{i % 2}\n" for i in range(20))
    )
    made, recipe, _ = new(tmp_path, source)
    assert recipe.shared_speakers
    assert "strangers" in " ".join(made.understood)


def test_symbols_that_train_lacks_are_told(tmp_path):
    source = record(tmp_path / "set", *(f"{s}/{i}.wav" for s in ("train", "test") for i in range(9)), seconds=2.0)
    for name in ("train", "test"):
        rows = "".join(f"{name}/{i}.wav\thello {'ñ' if name == 'test' and not i else chr(97 + i)}\n" for i in range(9))
        write(source / f"{name}.tsv", "path\ttext\n" + rows)
    made, _, _ = new(tmp_path, source)
    assert "1 utterances of test hold characters that train lacks ('ñ')" in " ".join(made.warnings)
    assert made.commands[0].endswith("--skip-bad")


def test_a_table_may_be_named(tmp_path):
    source = record(tmp_path / "set", *(f"{i}.wav" for i in range(9)))
    table = write(source / "some.csv", "file,word\n" + "".join(f"{i}.wav,{'ab'[i % 2]}\n" for i in range(9)))
    _, recipe, splits = new(tmp_path, table)
    assert recipe.corpus["list_file"] == "some.csv"
    assert sum(map(len, splits.values())) == 9


def test_missing_lines_are_left_out_for_good(tmp_path):
    source = record(tmp_path / "set", *(f"{i}.wav" for i in range(9)))
    write(source / "t.csv", "file,word\n" + "".join(f"{i}.wav,{'ab'[i % 2]}\n" for i in range(10)))
    with pytest.raises(CorpusError, match="--skip-bad"):
        new(tmp_path, source)
    assert not (tmp_path / "recipes" / "mine").exists()
    _, recipe, splits = new(tmp_path, source, skip_bad=True)
    assert recipe.corpus["skip_bad"] is True
    assert sum(map(len, splits.values())) == 9


def test_prep_leaves_out_what_went_missing_since_where_it_is_asked_to(tmp_path):
    source = record(tmp_path / "set", *(f"{i}.wav" for i in range(9)))
    write(source / "t.csv", "file,word\n" + "".join(f"{i}.wav,{'ab'[i % 2]}\n" for i in range(9)))
    _, recipe, _ = new(tmp_path, source)
    (source / "4.wav").unlink()
    with pytest.raises(CorpusError, match="leave these lines out with --skip-bad"):
        recipe.prepare(source)
    assert sum(map(len, recipe.prepare(source, skip_bad=True).values())) == 8
    prepared = prepare_corpus(recipe, source, tmp_path / "data", skip_bad=True)
    assert sum(row.utterances for row in prepared.summary) == 8
    (note,) = open_prepared(prepared.folder).notes
    assert note.startswith("left out by --skip-bad: the audio of 1 of 9 lines is missing (t.csv, line 6: 4.wav")
    assert note.endswith(")")


def test_audio_inside_a_data_set_is_written_out_by_prep(tmp_path):
    made, recipe, splits = new(tmp_path, hugging_face(tmp_path / "set"))
    assert recipe.features.sample_rate == RATE
    assert ids(splits) == ids(made.splits)
    for own in splits.values():
        assert all(u.audio.is_relative_to(tmp_path / "made") and u.audio.read_bytes() == sound() for u in own)


# ----- one label


def test_one_label_gets_a_contrast(tmp_path):
    source = record(tmp_path / "computer", *(f"{i}.wav" for i in range(10)), seconds=0.6)
    words(tmp_path / "beside", labels=("stop",), n=2)
    made, _, splits = new(tmp_path, source)
    assert "--other DIR" in made.warnings[0]
    assert f"--from {tmp_path}" in made.warnings[0]
    assert "beside" in made.warnings[0]
    for name, own in splits.items():
        labels = [u.text for u in own]
        assert labels.count(OTHER) == N_CONTRASTS * labels.count("computer")
        assert made.counts()[name]["utterances"] == len(own)
        meant = {u.id for u in own if u.text == "computer"}
        assert {u.id.removeprefix(f"{OTHER}/").partition(".")[0] for u in own if u.text == OTHER} == meant
    assert not list(source.glob("**/*.flac"))


def test_contrasts_are_the_same_every_time(tmp_path):
    audio = record(tmp_path, "a.wav", seconds=0.8, rate=16000) / "a.wav"
    original, _ = soundfile.read(audio)
    utterance = Utterance("a", audio, "x", "ann")
    first = [soundfile.read(u.audio)[0] for u in make_contrast(utterance, tmp_path / "1")]
    second = [soundfile.read(u.audio)[0] for u in make_contrast(utterance, tmp_path / "2")]
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)
        assert abs(len(one) - len(original)) <= 0.05 * len(original)
        assert 0.5 < np.std(one) / np.std(original) < 2
    backwards, shuffled, noise = first
    np.testing.assert_allclose(backwards, original[::-1], atol=1e-4)
    np.testing.assert_allclose(
        np.abs(np.fft.rfft(noise))[1:-1], np.abs(np.fft.rfft(original))[1:-1], rtol=0.1, atol=0.5
    )
    assert not np.allclose(shuffled[: len(original) // 2], original[: len(shuffled)][: len(original) // 2], atol=1e-3)
    made = make_contrast(utterance, tmp_path / "1")
    assert {u.speaker for u in made} == {"ann"}
    stamp = made[0].audio.stat().st_mtime_ns
    assert make_contrast(utterance, tmp_path / "1")[0].audio.stat().st_mtime_ns == stamp


def test_contrasts_of_what_cannot_be_read_are_none(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    splits = {"train": [Utterance("a", tmp_path / "a.wav", "x")], "dev": [], "test": []}
    assert contrast(splits, tmp_path / "made") == splits
    with pytest.raises(CorpusError, match="audiornn prep"):
        contrast(splits, None)


def test_a_very_short_recording_has_contrasts(tmp_path):
    record(tmp_path, "a.wav", seconds=0.01)
    assert len(make_contrast(Utterance("../b/a", tmp_path / "a.wav", "x"), tmp_path / "made")) == N_CONTRASTS
    assert len(list((tmp_path / "made").rglob("*.flac"))) == N_CONTRASTS


def test_other_recordings_are_cut_and_their_folders_kept_apart(tmp_path):
    source = record(tmp_path / "computer", *(f"{i}.wav" for i in range(30)), seconds=0.5)
    other = record(
        tmp_path / "other", *(f"{d}/{i}.wav" for d in ("news", "talk", "song", "film") for i in range(2)), seconds=3.2
    )
    made, recipe, splits = new(tmp_path, source, other=other)
    assert not made.warnings
    assert recipe.corpus["stretch"] == pytest.approx(0.5)
    found = {name: [u for u in own if u.text == OTHER] for name, own in splits.items()}
    for name, own in found.items():
        assert own
        for rest in set(found) - {name}:
            assert not {u.audio.parent for u in own} & {u.audio.parent for u in found[rest]}
        for u in own:
            assert 0.5 <= u.duration <= 0.55
            assert u.start + u.duration <= 3.2
    with pytest.raises(CorpusError, match="of the labelled recordings"):
        other_recordings(splits, tmp_path, 0.5)


def test_long_background_is_cut(tmp_path):
    source = words(tmp_path / "set", n=20, seconds=0.5)
    record(source, *(f"_background_noise_/{i}.wav" for i in range(4)), seconds=5.0)
    made, _, splits = new(tmp_path, source)
    noise = {name: [u for u in own if u.text == "_background_noise_"] for name, own in splits.items()}
    assert "cut into stretches of 0.5 s" in " ".join(made.guessed)
    assert [u.start for u in noise["train"]] == [0.5 * i for i in range(8)] * 4, "the beginnings of all four"
    assert {u.start for u in noise["dev"]} == {4.0}
    assert {u.start for u in noise["test"]} == {4.5}
    words_of = Counter(u.text for u in splits["dev"])
    assert words_of["_background_noise_"] <= max(n for word, n in words_of.items() if not word.startswith("_"))
    whole = load_recipe(made.folder, ["corpus.stretch=0.0"]).prepare(source)
    assert sum(u.text == "_background_noise_" for own in whole.values() for u in own) == 4


def test_few_recordings_are_said_to_be_few(tmp_path):
    made, recipe, splits = new(tmp_path, words(tmp_path / "set", n=2, seconds=0.5))
    said = " ".join(made.warnings)
    assert "fewer than 10 recordings of" in said
    assert "dev and test hold nothing" in said
    steps = recipe.training.epochs * -(-len(splits["train"]) // recipe.training.batch_size)
    assert steps >= 500, "few recordings are heard more often"


def test_labels_that_are_all_noise_are_labels(tmp_path):
    made, _, splits = new(tmp_path, words(tmp_path / "set", labels=("traffic_noise", "white_noise"), n=20))
    assert splits["dev"]
    assert splits["test"]
    assert not made.warnings


def test_background_of_known_speakers_stays_with_them(tmp_path):
    folder = words(tmp_path / "set", n=0)
    rows = ["path,label,speaker"]
    for who in ("anna", "bob", "carl", "dora"):
        for name, seconds in (*((f"{word}{i}", 0.5) for word in ("yes", "no") for i in range(4)), ("background", 10.0)):
            record(folder, f"{who}/{name}.wav", seconds=seconds)
            rows.append(f"{who}/{name}.wav,{name.rstrip('0123')},{who}")
    write(folder / "list.csv", "\n".join(rows))
    _, _, splits = new(tmp_path, folder / "list.csv")
    speakers = [{u.speaker for u in own} for own in splits.values()]
    assert not speakers[0] & (speakers[1] | speakers[2])
    assert all(speakers)


def test_background_is_kept_in_bounds(tmp_path):
    record(tmp_path, "noise.wav", seconds=20.0)
    splits = {"train": [Utterance("n", tmp_path / "noise.wav", "noise"), Utterance("w", tmp_path / "w.wav", "word")]}
    cut = cut_background(splits, 0.5)["train"]
    assert [u.text for u in cut].count("noise") == 5
    assert cut[-1].start > 12


# ----- the command


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words(tmp_path / "set")
    assert main(["new", "mine", "--from", "set"]) == 0
    out = capsys.readouterr().out
    for piece in ("understood", "guessed", "--speaker none", "train ", "audiornn prep recipes/mine", "audiornn train"):
        assert piece in out
    assert main(["new", "other", "--from", "set", "--format", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["layout"] == "folders"
    assert sum(row["utterances"] for row in said["splits"].values()) == 24
    assert said["next"][0] == "audiornn prep recipes/other"


@pytest.mark.parametrize(
    ("words_", "message"),
    [
        (["mine", "--from", "gone"], "no such folder or file"),
        (["mine", "--from", "empty"], "holds no recordings"),
        (["set", "--from", "set", "--recipes", "."], "is there already"),
        (["my words", "--from", "set"], "'my_words'"),
        (["recipes/mine", "--from", "set"], "for instance 'mine'"),
        (["..", "--from", "set"], "letters, digits"),
        (["mine", "--from", "set", "--layout", "tabel"], "did you mean 'table'"),
        (["mine", "--from", "set", "--speaker", "who"], "--speaker who"),
        (["mine", "--from", "set", "--other", "gone"], "gone: no such folder"),
        (["mine", "--from", "set", "--other", "set"], "in which the labels are not said"),
        (["mine", "--from", "set", "--layout", "table"], "holds no table"),
        (
            ["mine", "--from", "set", "--task", "transcribe", "--other", "empty"],
            "--other is for recordings with labels",
        ),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, capsys, words_, message):
    monkeypatch.chdir(tmp_path)
    words(tmp_path / "set", n=4)
    (tmp_path / "empty").mkdir()
    assert main(["new", *words_]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "recipes").exists()


def test_a_folder_whose_name_no_recipe_could_say(tmp_path):
    try:
        words(tmp_path / "lat\udcefn")
    except (OSError, UnicodeError):
        pytest.skip("the disk takes no such name")
    with pytest.raises(CorpusError, match="not UTF-8, and a recipe cannot say it"):
        write_recipe("mine", tmp_path / "lat\udcefn", recipes=tmp_path / "recipes")
    assert not (tmp_path / "recipes" / "mine").exists()


def test_prep_runs_as_the_last_lines_say(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "computer").mkdir()
    for i in range(6):  # prep finds recordings that are the same
        noise = 0.1 * np.random.default_rng(i).standard_normal(RATE // 2)
        soundfile.write(tmp_path / "computer" / f"{i}.wav", noise, RATE)
    assert main(["new", "mine", "--from", "computer"]) == 0
    commands = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  audiornn prep")]
    assert main([*commands[0][1:], "--jobs", "1"]) == 0
    assert "prepared" in capsys.readouterr().out
    assert main([*commands[0][1:], "--jobs", "1"]) == 0
    assert "nothing has changed" in capsys.readouterr().out


# ----- real recordings


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wake_word", {"task": "classify", "rate": 16000, "stride": 3, "unit": "character"}),
        ("wake_word/computer", {"task": "classify", "rate": 16000, "stride": 3, "unit": "character"}),
        ("connected_digits", {"task": "transcribe", "rate": 16000, "stride": 3, "unit": "word"}),
        ("speech_commands", {"task": "classify", "rate": 16000, "stride": 3, "unit": "character"}),
        ("an4", {"task": "transcribe", "rate": 16000, "stride": 3, "unit": "character"}),
        ("fsdd", {"task": "classify", "rate": 8000, "stride": 3, "unit": "character"}),
        ("yesno", {"task": "transcribe", "rate": 8000, "stride": 3, "unit": "word"}),
    ],
)
def test_real_recordings(shared_data, tmp_path, name, expected):
    made = write_recipe("mine", shared_data / name, recipes=tmp_path / "recipes")
    recipe = load_recipe(made.folder)
    assert {
        "task": recipe.task,
        "rate": recipe.features.sample_rate,
        "stride": recipe.model.stride,
        "unit": recipe.vocabulary.unit,
    } == expected
    if not made.by_recording:
        splits = recipe.prepare(recipe.folder / recipe.corpus_dir)
        assert ids(splits) == ids(made.splits)
    assert made.commands[0] == f"audiornn prep {tmp_path}/recipes/mine"
    assert 10 <= recipe.training.epochs <= 100
