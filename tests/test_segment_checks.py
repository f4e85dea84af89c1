"""What segments may be: slips of the hand are no mistakes, and what lies in another recording is."""

import pytest

from audiornn.corpus.manifest import Segment
from audiornn.corpus.segment_checks import segment_problem


def problem(*segments, exclusive=True, duration=3.0):
    return segment_problem([Segment(*segment) for segment in segments], duration, 0.01, exclusive=exclusive)


@pytest.mark.parametrize(
    "segments",
    [
        [(0.5, 1.0, "a"), (0.96, 1.5, "b")],  # 40 ms, by hand
        [(0.38, 0.873, "high"), (0.41, 0.903, "high")],  # the same on two channels
        [(2.965, 3.015, "a point at 2.99")],
        [(0.0, 3.0, "a"), (1.0, 2.0, "a")],
    ],
)
def test_what_may_be(segments):
    assert problem(*segments) == ""


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        ([(0.5, 1.0, "a"), (0.9, 1.5, "b")], "overlap"),
        ([(0.0, 2.0, "a"), (0.1, 0.2, "a"), (1.0, 1.5, "b")], "overlap"),  # with one that began long before
        ([(1.0, 1.5, "a"), (0.5, 0.8, "a")], "not in order"),
        ([(2.9, 3.2, "a")], "outside its 3.00 s"),
        ([(3.0, 3.01, "a")], "outside its 3.00 s"),
        ([(1.0, 1.0, "a")], "lasts no time"),
        ([(-0.1, 1.0, "a")], "before the recording"),
        ([(float("nan"), 1.0, "a")], "no number"),
    ],
)
def test_what_may_not(segments, said):
    assert said in problem(*segments)


def test_labels_that_may_hold_at_once_may_overlap():
    assert problem((0.0, 2.0, "a"), (1.0, 1.5, "b"), exclusive=False) == ""
