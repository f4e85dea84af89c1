"""Writers only format: everything the text shows, the JSON holds."""

import json

import pytest

from audiornn.listen.formats import to_json, to_text
from audiornn.listen.recognizer import Classification, Labelling, TimedLabel, Transcript

WORDS = (TimedLabel("go", 0.1, 0.35, 0.9), TimedLabel("left", 0.4, 0.8, 0.75))
RESULTS = {
    "transcribe": Transcript("go left", WORDS, 1.25),
    "classify": Classification("left", 0.9375, {"go": 0.0625, "left": 0.9375}, 1.0),
    "label": Labelling(WORDS, 1.25),
}


def test_text():
    assert to_text(RESULTS["transcribe"]) == "go left"
    assert to_text(RESULTS["classify"]) == "left\t0.938"
    assert to_text(RESULTS["label"]) == "0.10\t0.35\tgo\n0.40\t0.80\tleft"
    assert to_text(Transcript("", (), 1.0)) == ""


@pytest.mark.parametrize("task", RESULTS)
def test_json_is_plain_and_whole(task):
    entry = to_json(RESULTS[task], audio="a.wav", task=task)
    assert (entry["audio"], entry["task"], entry["duration"]) == ("a.wav", task, RESULTS[task].duration)
    back = json.loads(json.dumps(entry))
    assert back == json.loads(json.dumps({"audio": "a.wav", "task": task, **back}))
    if task == "transcribe":
        assert back["text"] == "go left"
        assert back["words"][0] == {"label": "go", "start": 0.1, "end": 0.35, "posterior": 0.9}
    elif task == "classify":
        assert (back["label"], back["probability"], back["probabilities"]["go"]) == ("left", 0.9375, 0.0625)
    else:
        assert [segment["label"] for segment in back["segments"]] == ["go", "left"]


def leaves(value):
    """Every word and number of a JSON value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


@pytest.mark.parametrize("task", RESULTS)
def test_what_the_text_shows_the_json_holds(task):
    held = list(leaves(to_json(RESULTS[task], audio="a.wav", task=task)))
    words = {word for value in held if isinstance(value, str) for word in value.split()}
    numbers = [value for value in held if isinstance(value, float)]
    for shown in to_text(RESULTS[task]).split():
        try:
            value = float(shown)
        except ValueError:
            assert shown in words
        else:
            digits = len(shown.partition(".")[2])
            assert any(f"{number:.{digits}f}" == f"{value:.{digits}f}" for number in numbers)
