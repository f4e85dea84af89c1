"""The whole road through the command line: prep → train → evaluate → transcribe, in process, on tones."""

import json

import pytest

from audiornn.cli import main
from tests.conftest import TASKS


@pytest.fixture(autouse=True)
def audits_without_plots():
    """Here they are drawn, as users have them."""


@pytest.mark.parametrize("task", TASKS)
def test_prep_train_evaluate_transcribe(task, world, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    recipe, recording = str(world.recipe(task)), str(world.recording("single" if task == "classify" else "strings"))
    assert main(["prep", recipe, "--corpus", str(world.corpus)]) == 0
    assert main(["prep", recipe, "--corpus", str(world.corpus)]) == 0
    assert "nothing has changed" in capsys.readouterr().out
    assert main(["train", "--set", "training.epochs=12"]) == 0

    run = tmp_path / "runs" / f"tones_{task}"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["train_loss"] < 0.5 * lines[0]["train_loss"]

    capsys.readouterr()
    assert main(["evaluate", "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["split"] == "test"
    assert report["error_rate"] <= 0.1, "tones of an unseen speaker are easy"
    assert report["interval"][0] <= report["error_rate"] <= report["interval"][1]

    assert main(["transcribe", recording, "--format", "json"]) == 0
    result = json.loads(capsys.readouterr().out)
    expected = recording.rsplit("_", 1)[1].removesuffix(".wav").split("-")
    if task == "transcribe":
        assert result["text"] == " ".join(expected)
        # each word is heard within a frame or two of where it was put
        for word, start in zip(result["words"], [0.08 + 0.2 * i for i in range(len(expected))], strict=True):
            assert start - 0.06 <= word["start"] <= word["end"] <= start + 0.12 + 0.06
    elif task == "classify":
        assert result["label"] == expected[0]
        assert sum(result["probabilities"].values()) == pytest.approx(1)
    else:
        assert [s["label"] for s in result["segments"] if s["label"] != "_none_"] == expected

    # a second run stands beside the first, and the first is untouched
    before = (run / "model.onnx").read_bytes()
    assert main(["train", f"tones_{task}", "--set", "training.epochs=1"]) == 0
    assert (run / "model.onnx").read_bytes() == before
    assert (tmp_path / "runs" / f"tones_{task}-2" / "model.onnx").exists()
