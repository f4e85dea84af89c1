"""The examples in docstrings, run on the model of the tests."""

import doctest
import importlib

import pytest
import soundfile

from tests.conftest import RATE, spoken

MODULES = ["audiornn", "audiornn.listen.recognizer", "audiornn.listen.formats"]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, recognizer, here):
    module = importlib.import_module(name)
    samples = spoken(["sol", "do", "mi"], speaker="fay")
    soundfile.write("strings.wav", samples, RATE)
    given = {
        "model": recognizer("transcribe"),
        "labeller": recognizer("label"),
        "samples": samples,
        "blocks": [samples[i : i + 800] for i in range(0, len(samples), 800)],
        **vars(module),
    }
    found = doctest.testmod(module, extraglobs=given, optionflags=doctest.ELLIPSIS, verbose=False)
    assert found.failed == 0
    assert found.attempted > 0
