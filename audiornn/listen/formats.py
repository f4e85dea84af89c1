"""Results as text and as JSON. Everything the text shows, the JSON holds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from audiornn.listen.recognizer import Classification, Result, Transcript

__all__ = ["to_json", "to_text"]


def to_text(result: Result) -> str:
    """A result for people: the transcript; label and probability; or a line a segment."""
    if isinstance(result, Transcript):
        return result.text
    if isinstance(result, Classification):
        return f"{result.label}\t{result.probability:.3f}"
    return "\n".join(f"{s.start:.2f}\t{s.end:.2f}\t{s.label}" for s in result.segments)


def to_json(result: Result, *, audio: str, task: str) -> dict[str, Any]:
    """A result as plain types; times in seconds."""
    return {"audio": audio, "task": task, **asdict(result)}
