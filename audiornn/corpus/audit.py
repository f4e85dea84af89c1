"""The audit: what in a corpus would spoil a result, found before an hour of training is spent on it.

Errors are what makes a result untrue (the same voice or sound in two splits) or impossible (no audio, no symbol, fewer
frames than symbols); `--skip-bad` leaves those out and counts them. Warnings are what makes it worse.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from audiornn.corpus.collection import read_collection
from audiornn.corpus.findings import Corpus, Finding, Inspected, place
from audiornn.corpus.manifest import SPLITS, Utterance, read_manifest
from audiornn.corpus.measure import measure_recordings
from audiornn.corpus.sound_checks import channels, durations, levels, rates
from audiornn.corpus.split_checks import same_audio, speaker_leaks
from audiornn.corpus.text_checks import labels, paces
from audiornn.files import encode_json, write_atomically
from audiornn.vocabulary import Vocabulary

__all__ = ["Audit", "audit", "audit_source", "write_audit"]


@dataclass(frozen=True)
class Audit:
    """What was found: errors first, then warnings, and the figures of the whole corpus."""

    findings: tuple[Finding, ...]
    figures: Mapping[str, Mapping[str, Any]]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings that stop `prep`."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def dropped(self) -> dict[str, str]:
        """Ids that `--skip-bad` leaves out, each with its reason."""
        reasons: dict[str, str] = {}
        for finding in self.errors:
            figures = {case.id: case.figure for case in finding.cases}
            for identifier in finding.dropped:
                reasons.setdefault(identifier, f"{finding.kind}: {figures.get(identifier, finding.what)}")
        return reasons

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {"findings": [finding.to_json() for finding in self.findings], "figures": self.figures}

    def to_text(self, *, cases: int = 2) -> str:
        """The table: a finding a line, its worst cases and its remedy below."""
        lines = []
        for split, figures in self.figures.items():
            heard_at = ", ".join(f"{int(rate):,} Hz" for rate in figures["sample_rates"])
            lines.append(
                f"{split:6} {figures['seconds'][0]:.2f}–{figures['seconds'][2]:.2f} s (median "
                f"{figures['seconds'][1]:.2f}), level {figures['level'][1]:.0f} dBFS, signal to noise "
                f"{figures['snr'][1]:.0f} dB, {heard_at}"
            )
        for finding in self.findings:
            lines.append(f"{finding.severity:7} {finding.kind}: {finding.what}")
            for case in finding.cases[:cases]:
                where = "" if case.figure.startswith(case.audio) else f"{place(case.audio, case.start)}: "
                lines.append(f"          {where}{case.figure}")
            if len(finding.cases) > cases:
                lines.append(f"          … and {len(finding.cases) - cases:,} more")
            lines.append(f"          remedy: {finding.remedy}")
        if not self.findings:
            lines.append("audit: nothing found that would spoil a result")
        return "\n".join(lines)


def audit(corpus: Corpus) -> Audit:
    """Look for all that would spoil a result."""
    inspected = Inspected(corpus)
    findings = [finding for check in _CHECKS for finding in check(inspected)]
    findings.sort(key=lambda finding: finding.severity != "error")  # stable: the order of the checks within
    return Audit(tuple(findings), inspected.figures())


def audit_source(
    source: Path, *, n_jobs: int, progress: Callable[[int, int], None] = lambda n_done, n_all: None
) -> tuple[Audit, Corpus, tuple[tuple[str, str], ...]]:
    """Audit what lies somewhere: a folder of recordings, a list of them, or a folder that `prep` made.

    Args:
        source: the folder or list.
        n_jobs: worker processes.
        progress: called with recordings done and recordings in all.

    Returns:
        The report, what was audited, and the files that no label names, each with the reason.

    Raises:
        CorpusError: there is nothing to audit, or a list cannot be read.
    """
    splits, task, several, left_out = _source_splits(source)
    everything = [u for split in SPLITS for u in splits.get(split, ())]
    n_done = 0

    def advance(n: int) -> None:
        nonlocal n_done
        n_done += n
        progress(n_done, len(everything))

    measured, problems = measure_recordings(everything, n_jobs=n_jobs, progress=advance)
    vocabulary = Vocabulary((), "label" if task == "classify" else "character", several=several)
    for utterance, row in zip(everything, measured.rows, strict=True):
        if utterance.id not in problems and (problem := _target_problem(utterance, row, task, vocabulary)):
            problems[utterance.id] = problem
    corpus = Corpus(splits, measured, problems, task, vocabulary.split, several=several)
    return audit(corpus), corpus, left_out


def _source_splits(
    source: Path,
) -> tuple[dict[str, list[Utterance]], str, bool, tuple[tuple[str, str], ...]]:
    """Utterances by split, the task, whether labels are several, and the files that no label names."""
    if source.is_dir() and (source / "train.jsonl").is_file():
        splits = {s: read_manifest(file) for s in SPLITS if (file := source / f"{s}.jsonl").is_file()}
        if (source / "prepared.json").is_file():
            recipe = json.loads((source / "prepared.json").read_text(encoding="utf-8"))["recipe"]
            return splits, recipe["task"], recipe["vocabulary"].get("several", False), ()
        texts = {u.text for utterances in splits.values() for u in utterances}
        n = sum(map(len, splits.values()))
        segments = any(u.segments for utterances in splits.values() for u in utterances)
        few = len(texts) <= max(2, n // 10)
        task = "label" if segments and few and texts == {""} else "classify" if few else "transcribe"
        return splits, task, False, ()
    collection = read_collection(source)
    splits = {split: [] for split in SPLITS}
    for utterance in collection.utterances:
        splits[collection.splits.get(utterance.id, "train")].append(utterance)
    return splits, collection.task, False, collection.left_out


def _target_problem(utterance: Utterance, row: Any, task: str, vocabulary: Vocabulary) -> str:
    """Why no network could learn an utterance, by the shortest frames in use: 10 ms."""
    if task in ("label", "regress"):
        return ""
    symbols = vocabulary.split(utterance.text)
    if task == "classify":
        return "" if symbols or vocabulary.several else "its label is empty"
    needed = len(symbols) + sum(a == b for a, b in pairwise(symbols))
    frames = int(row["duration"] * 100) + 1
    return (
        f"{len(symbols)} letters in {float(row['duration']):.2f} s: CTC needs {needed} frames, {frames} are there"
        * (needed > frames)
    )


def write_audit(report: Audit, corpus: Corpus, folder: Path) -> None:
    """Keep a report as `audit.json` and as the page `audit.html`, with plots and players for the odd ones.

    Raises:
        AudiornnError: the folder cannot be written.
    """
    with write_atomically(folder / "audit.json") as out:
        out.write(encode_json(report.to_json(), indent=1))
    from audiornn.corpus.audit_page import audit_page

    with write_atomically(folder / "audit.html") as out:
        out.write(audit_page(report, corpus).encode())


def _unusable(seen: Inspected) -> Iterator[Finding]:
    problems = seen.corpus.problems
    for kind, unreadable, what, remedy in (
        (
            "unreadable",
            True,
            "cannot be read",
            "fetch or record them again; --skip-bad leaves them out",
        ),
        (
            "impossible target",
            False,
            "cannot be learnt as they are labelled",
            "mend the text or the audio it belongs to; --skip-bad leaves them out",
        ),
    ):
        chosen = [i for i, u in enumerate(seen.utterances) if u.id in problems and bool(seen.heard[i]) != unreadable]
        if chosen:
            ids = [seen.utterances[i].id for i in chosen]
            cases = tuple(seen.case(i, problems[seen.utterances[i].id]) for i in chosen)
            yield Finding(kind, "error", f"{seen.share(len(chosen))} {what}", remedy, cases, tuple(ids))


_CHECKS: tuple[Callable[[Inspected], Iterator[Finding]], ...] = (
    _unusable,
    speaker_leaks,
    same_audio,
    labels,
    paces,
    durations,
    rates,
    channels,
    levels,
)
