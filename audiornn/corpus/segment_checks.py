"""What a recording's segments must be before a network can learn from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from audiornn.corpus.manifest import Segment

__all__ = ["SLIP", "segment_problem"]

#: Seconds by which labels that are one after the other may overlap, a slip of the hand, and by which one may end after
#: its recording, a point at the very end that was given a length.
SLIP = 0.05


def segment_problem(segments: Sequence[Segment], duration: float, frame_seconds: float, *, exclusive: bool) -> str:
    """Why segments cannot be targets, in one line; empty where they can.

    Args:
        segments: of one recording, in seconds from its start.
        duration: of the recording, seconds.
        frame_seconds: from a frame to the next: what rounding may cost at an end or where two segments meet.
        exclusive: whether a frame has one label, so that no two different ones may overlap by more than a slip.
    """
    for segment in segments:
        span = f"segment {segment.label!r} {segment.start:g}–{segment.end:g} s"
        if not (math.isfinite(segment.start) and math.isfinite(segment.end)):
            return f"{span} has a time that is no number; write seconds"
        if segment.end <= segment.start:
            return f"{span} ends before it begins, or lasts no time; are its times the wrong way round?"
        if segment.start < 0:
            return f"{span} begins before the recording; times count from the utterance's own start"
        if segment.end > duration + max(SLIP, frame_seconds) or segment.start >= duration:
            return f"{span} lies outside its {duration:.2f} s; are the labels another recording's, or in milliseconds?"
    for before, after in pairwise(segments):
        if after.start < before.start:
            return (
                f"segments are not in order: {after.label!r} at {after.start:g} s comes after {before.label!r} at "
                f"{before.start:g} s; sort them by their start"
            )
    held: dict[str, Segment] = {}  # of each label the one that ends last
    for after in segments if exclusive else ():
        for before in held.values():
            if before.label != after.label and after.start < before.end - max(SLIP, frame_seconds):
                return (
                    f"segments {before.label!r} {before.start:g}–{before.end:g} s and {after.label!r} {after.start:g}–"
                    f"{after.end:g} s overlap, and a frame has one label; cut one of them, or let labels overlap: "
                    "vocabulary.several = true"
                )
        if after.label not in held or held[after.label].end < after.end:
            held[after.label] = after
    return ""
