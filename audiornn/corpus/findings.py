"""What an audit finds, and the corpus as its checks see it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from audiornn.corpus.manifest import SPLITS, Utterance
from audiornn.corpus.measure import Measured

__all__ = ["BETWEEN_LABELS", "Case", "Corpus", "Finding", "Inspected", "place"]

Severity = Literal["error", "warning"]

BETWEEN_LABELS = " | "
_LISTED_IN_JSON = 1000  # cases of one finding
_OWN_NATURE = 0.5  # of a label's recordings: noise is the nature of a class "noise"


def place(audio: str, start: float) -> str:
    """A recording, and of a stretch where it begins."""
    return f"{audio} from {start:.2f} s on" if start else audio


@dataclass(frozen=True)
class Case:
    """One utterance of a finding: where it is, the figure that speaks against it, and of a pair the other's id.

    `start` is in seconds: where in the recording it begins.
    """

    id: str
    audio: str
    split: str
    figure: str
    other: str = ""
    start: float = 0.0


@dataclass(frozen=True)
class Finding:
    """One kind of fault.

    Attributes:
        kind: its name, e.g. "clipping".
        severity: error or warning.
        what: a sentence with the count.
        remedy: what to do.
        cases: the utterances, the worst first.
        dropped: ids that `--skip-bad` leaves out.
    """

    kind: str
    severity: Severity
    what: str
    remedy: str
    cases: tuple[Case, ...]
    dropped: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain types, with the first thousand cases."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "what": self.what,
            "remedy": self.remedy,
            "n_cases": len(self.cases),
            "cases": [vars(case) for case in self.cases[:_LISTED_IN_JSON]],
        }


@dataclass(frozen=True)
class Corpus:
    """What is audited.

    Attributes:
        splits: utterances by split; a corpus that is not split yet is all train.
        measured: of every utterance, in the order of `SPLITS`.
        problems: by utterance id, why it cannot be used at all: unreadable, impossible by CTC, no label.
        task: transcribe, classify, label or regress.
        symbols: the symbols of a text, by the recipe's rules.
        sample_rate: Hz, of the features; 0 where no recipe says.
        shared_speakers: whether the recipe allows a speaker in two splits.
        made_dir: where the recipe's own makings lie, whose sound is as it was made.
        several: whether a classified recording may have several labels, or none.
        normalise: a text by the recipe's rules.
    """

    splits: Mapping[str, Sequence[Utterance]]
    measured: Measured
    problems: Mapping[str, str] = field(default_factory=dict)
    task: str = "transcribe"
    symbols: Callable[[str], Sequence[str]] = list
    sample_rate: int = 0
    shared_speakers: bool = False
    made_dir: Path | None = None
    several: bool = False
    normalise: Callable[[str], str] = str

    @property
    def utterances(self) -> list[Utterance]:
        """Of all splits, in their order."""
        return [utterance for split in SPLITS for utterance in self.splits.get(split, ())]

    @property
    def split_names(self) -> list[str]:
        """The split of each of `utterances`."""
        return [split for split in SPLITS for _ in self.splits.get(split, ())]


class Inspected:
    """The corpus as the checks want it: columns, and what a case needs to be named."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.utterances = corpus.utterances
        self.splits = corpus.split_names
        self.rows = corpus.measured.rows
        self.heard = self.rows["duration"] > 0
        made = f"{corpus.made_dir}{os.sep}"
        self.made = np.array([str(u.audio).startswith(made) for u in self.utterances], bool)
        self.sounding = self.heard & (self.rows["identity"] != 0)
        self.texts = [_text(u, corpus) for u in self.utterances]

    def case(self, i: int, figure: str, other: str = "") -> Case:
        """An utterance as a finding names it."""
        utterance = self.utterances[i]
        return Case(utterance.id, str(utterance.audio), self.splits[i], figure, other, utterance.start)

    def select(self, flags: NDArray[np.bool_], *, by_label: bool = True) -> list[int]:
        """Indices where a flag is set, but for labels in whose nature it lies."""
        chosen = np.flatnonzero(flags & self.heard & ~self.made)
        if by_label and self.corpus.task == "classify" and len(chosen):
            of_label, flagged = Counter(self.texts), Counter(self.texts[i] for i in chosen)
            natural = {t for t, n in flagged.items() if n > _OWN_NATURE * of_label[t]} if len(of_label) > 1 else set()
            if len(natural) < len(of_label):
                return [int(i) for i in chosen if self.texts[i] not in natural]
        return [int(i) for i in chosen]

    def finding(
        self,
        kind: str,
        chosen: Iterable[int],
        what: str,
        figure: Callable[[Any], str],
        remedy: str,
        *,
        worst: Callable[[Any], float] | None = None,
    ) -> Iterator[Finding]:
        """A warning about some utterances, if there are any; `figure` and `worst` (most first) take a measured row."""
        chosen = list(chosen)
        if chosen:
            if worst is not None:
                chosen.sort(key=lambda i: -worst(self.rows[i]))
            cases = tuple(self.case(i, figure(self.rows[i])) for i in chosen)
            yield Finding(kind, "warning", f"{self.share(len(chosen))} {what}", remedy, cases)

    def share(self, n: int) -> str:
        """So many of all utterances, in words."""
        return f"{n:,} of {len(self.utterances):,} utterances"

    def figures(self) -> dict[str, dict[str, Any]]:
        """Least, median and most of the measured quantities, and counts, a split."""
        names = np.array(self.splits)
        found = {}
        for split in SPLITS:
            rows = self.rows[(names == split) & self.heard]
            if len(rows):
                snr = rows["level"] - rows["noise"]
                found[split] = {
                    "utterances": int((names == split).sum()),
                    "seconds": _range(rows["duration"], 2),
                    "level": _range(rows["level"], 1),
                    "snr": _range(snr, 1),
                    "sample_rates": {
                        str(r): int(n) for r, n in zip(*np.unique(rows["sample_rate"], return_counts=True), strict=True)
                    },
                }
        return found


def _text(utterance: Utterance, corpus: Corpus) -> str:
    if corpus.task == "label":
        return BETWEEN_LABELS.join(s.label for s in utterance.segments)
    return BETWEEN_LABELS.join(corpus.symbols(utterance.text)) if corpus.several else utterance.text


def _range(values: NDArray[Any], digits: int) -> list[float]:
    return [round(float(v), digits) for v in (values.min(), np.median(values), values.max())]
