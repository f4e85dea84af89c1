"""The audit: what in a corpus would spoil a result, found before an hour of training is spent on it.

Errors are what makes a result untrue (the same voice or sound in two splits) or impossible (no audio, no symbol, fewer
frames than symbols); `--skip-bad` leaves those out and counts them. Warnings are what makes it worse.
"""

from __future__ import annotations

import json
import os
import statistics
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from audiornn.corpus.collection import read_collection
from audiornn.corpus.duplicates import Duplicate, find_duplicates
from audiornn.corpus.manifest import SPLITS, Utterance, read_manifest
from audiornn.corpus.measure import Measured, measure_recordings
from audiornn.files import encode_json, write_atomically
from audiornn.vocabulary import Vocabulary

__all__ = ["Audit", "Case", "Corpus", "Finding", "audit", "audit_source", "write_audit"]

Severity = Literal["error", "warning"]

_LISTED_IN_JSON = 1000  # cases of one finding
_BETWEEN_LABELS = " | "

# Thresholds, each well outside what AN4, FSDD, Speech Commands and speechocean762 hold where they are sound.
_QUIET = -55.0  # dBFS of the louder frames
_LEAST_SNR = 5.0  # dB from the quieter frames up to the louder ones
_CUT = -5.0  # dB from the louder frames to the first or last 20 ms
_CUT_SNR = 15.0  # below it nothing tells speech from noise
_OFFSET = 0.02  # of full scale
_FLAT_PEAKS = 4
_DROPOUT = 0.02  # seconds
_NARROW = 0.75  # of the band that the features look at
_DEAD_CHANNEL = 30.0  # dB
_COUNTER_PHASE = -0.5
_LONG_SILENCE = 2.0  # seconds before or after the sound
_PACE = 4.0  # times faster or slower than the corpus' median
_LENGTH = 10.0  # times longer or shorter than the median
_RARE_LABEL = 5  # training recordings of a class
_OWN_NATURE = 0.5  # of a label's recordings: noise is the nature of a class "noise"


@dataclass(frozen=True)
class Case:
    """One utterance of a finding: where it is, the figure that speaks against it, and of a pair the other's id."""

    id: str
    audio: str
    split: str
    figure: str
    other: str = ""


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

    @property
    def utterances(self) -> list[Utterance]:
        """Of all splits, in their order."""
        return [utterance for split in SPLITS for utterance in self.splits.get(split, ())]

    @property
    def split_names(self) -> list[str]:
        """The split of each of `utterances`."""
        return [split for split in SPLITS for _ in self.splits.get(split, ())]


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
            rates = ", ".join(f"{int(rate):,} Hz" for rate in figures["sample_rates"])
            lines.append(
                f"{split:6} {figures['seconds'][0]:.2f}–{figures['seconds'][2]:.2f} s (median "
                f"{figures['seconds'][1]:.2f}), level {figures['level'][1]:.0f} dBFS, signal to noise "
                f"{figures['snr'][1]:.0f} dB, {rates}"
            )
        for finding in self.findings:
            lines.append(f"{finding.severity:7} {finding.kind}: {finding.what}")
            for case in finding.cases[:cases]:
                place = "" if case.figure.startswith(case.audio) else f"{case.audio}: "
                lines.append(f"          {place}{case.figure}")
            if len(finding.cases) > cases:
                lines.append(f"          … and {len(finding.cases) - cases:,} more")
            lines.append(f"          remedy: {finding.remedy}")
        if not self.findings:
            lines.append("audit: nothing found that would spoil a result")
        return "\n".join(lines)


def audit(corpus: Corpus) -> Audit:
    """Look for all that would spoil a result."""
    everything = _Everything(corpus)
    findings = [finding for check in _CHECKS for finding in check(everything)]
    findings.sort(key=lambda finding: finding.severity != "error")  # stable: the order of the checks within
    return Audit(tuple(findings), everything.figures())


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


class _Everything:
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
        utterance = self.utterances[i]
        return Case(utterance.id, str(utterance.audio), self.splits[i], figure, other)

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
            share = f"{len(chosen):,} of {len(self.utterances):,} utterances"
            yield Finding(kind, "warning", f"{share} {what}", remedy, cases)

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
        return _BETWEEN_LABELS.join(s.label for s in utterance.segments)
    return _BETWEEN_LABELS.join(corpus.symbols(utterance.text)) if corpus.several else utterance.text


def _range(values: NDArray[Any], digits: int) -> list[float]:
    return [round(float(v), digits) for v in (values.min(), np.median(values), values.max())]


def _unusable(all_: _Everything) -> Iterator[Finding]:
    problems = all_.corpus.problems
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
        chosen = [i for i, u in enumerate(all_.utterances) if u.id in problems and bool(all_.heard[i]) != unreadable]
        if chosen:
            ids = [all_.utterances[i].id for i in chosen]
            cases = tuple(all_.case(i, problems[all_.utterances[i].id]) for i in chosen)
            share = f"{len(chosen):,} of {len(all_.utterances):,} utterances"
            yield Finding(kind, "error", f"{share} {what}", remedy, cases, tuple(ids))


def _speaker_leaks(all_: _Everything) -> Iterator[Finding]:
    if all_.corpus.shared_speakers:
        return
    of_speaker: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, utterance in enumerate(all_.utterances):
        if utterance.speaker is not None:
            of_speaker[utterance.speaker][all_.splits[i]].append(i)
    leaking = {speaker: found for speaker, found in of_speaker.items() if len(found) > 1}
    if not leaking:
        return
    cases, dropped = [], []
    for speaker, found in sorted(leaking.items()):
        counts = " and ".join(f"{len(found[split]):,} utterances in {split}" for split in SPLITS if split in found)
        last = max(found, key=SPLITS.index)
        for split, members in found.items():
            if split != last:
                dropped += [all_.utterances[i].id for i in members]
                cases += [all_.case(i, f"speaker {speaker!r} has {counts}") for i in members[:1]]
    yield Finding(
        "speaker leak",
        "error",
        f"{len(leaking):,} × a speaker in more than one split: the test would not show how strangers fare",
        "split by speaker; --skip-bad leaves their utterances out of the earlier split; "
        "or write shared_speakers = true into recipe.toml if that is meant",
        tuple(cases),
        tuple(dropped),
    )


def _same_audio(all_: _Everything) -> Iterator[Finding]:
    """The same stretch of a file, the same samples in another file, or nearly the same ones."""
    measured = all_.corpus.measured
    identities = np.where(all_.heard, measured.rows["identity"], 0)
    overlaps = _overlaps(all_.utterances)
    told = {(d.first, d.second) for d in overlaps}
    alike = find_duplicates(all_.utterances, identities, measured.keys, measured.owners)
    pairs = overlaps + [d for d in alike if (d.first, d.second) not in told]
    leaks = [d for d in pairs if all_.splits[d.first] != all_.splits[d.second]]
    within = _once([d for d in pairs if all_.splits[d.first] == all_.splits[d.second] and _is_copy(all_, d)])
    if leaks:
        cases, dropped = [], []
        for d in leaks:
            kept, lost = sorted((d.first, d.second), key=lambda i: -SPLITS.index(all_.splits[i]))
            cases.append(all_.case(lost, _alike(all_, d, kept), all_.utterances[kept].id))
            dropped.append(all_.utterances[lost].id)
        yield Finding(
            "audio leak",
            "error",
            f"{len(leaks):,} × the same sound, or nearly, in two splits: the test asks for what was learnt by heart",
            "keep one copy; --skip-bad leaves out the one in the earlier split",
            tuple(cases),
            tuple(dict.fromkeys(dropped)),
        )
    contradictory = [d for d in within if all_.texts[d.first] != all_.texts[d.second]]
    for kind, found, what, remedy in (
        (
            "contradiction",
            contradictory,
            "have the sound of another with another label",
            "listen, and keep the one whose label is right",
        ),
        (
            "duplicate",
            [d for d in within if d not in contradictory],
            "are copies of another of the same split",
            "keep one of each: copies count twice in training and in the error rate",
        ),
    ):
        if found:
            cases_ = tuple(all_.case(d.second, _alike(all_, d, d.first), all_.utterances[d.first].id) for d in found)
            share = f"{len(found):,} of {len(all_.utterances):,} utterances"
            yield Finding(kind, "warning", f"{share} {what}", remedy, cases_)


def _once(pairs: Sequence[Duplicate]) -> list[Duplicate]:
    """Of a group of copies each but the first once, with the one it is most like."""
    best: dict[int, Duplicate] = {}
    for d in pairs:
        if d.second not in best or d.similarity > best[d.second].similarity:
            best[d.second] = d
    return [best[second] for second in sorted(best)]


def _is_copy(all_: _Everything, d: Duplicate) -> bool:
    """Within a split, stretches of one file may overlap: windows over a noise. Copies are more."""
    a, b = all_.utterances[d.first], all_.utterances[d.second]
    if all_.made[d.first] or all_.made[d.second]:
        return False
    return a.audio != b.audio or (a.start, a.duration) == (b.start, b.duration)


def _alike(all_: _Everything, d: Duplicate, other: int) -> str:
    utterance = all_.utterances[other]
    where = f"{utterance.audio} ({all_.splits[other]}, {all_.texts[other]!r})"
    if d.similarity == 1 and np.isnan(d.overlap):
        return f"the samples of {where}"
    if d.similarity == 1 and not np.isnan(d.overlap):
        return f"shares {d.overlap:.2f} s with {utterance.id} ({all_.splits[other]})"
    return f"{d.similarity:.0%} alike over {d.overlap:.1f} s with {where}"


def _overlaps(utterances: Sequence[Utterance]) -> list[Duplicate]:
    """Stretches of one file that overlap."""
    of_file: dict[str, list[int]] = defaultdict(list)
    for i, utterance in enumerate(utterances):
        of_file[str(utterance.audio)].append(i)
    real: dict[str, list[int]] = defaultdict(list)
    for path, members in of_file.items():
        real[os.path.realpath(path)] += members
    found = []
    for members in real.values():
        if len(members) < 2:
            continue
        spans = sorted((utterances[i].start, _end(utterances[i]), i) for i in members)
        open_: list[tuple[float, int]] = []
        for start, end, i in spans:
            open_ = [(e, j) for e, j in open_ if e > start + 1e-3]
            found += [Duplicate(min(i, j), max(i, j), 1.0, min(e, end) - start) for e, j in open_]
            open_ = sorted([*open_, (end, i)])[-8:]
    return found


def _end(utterance: Utterance) -> float:
    return float("inf") if utterance.duration is None else utterance.start + utterance.duration


def _rates(all_: _Everything) -> Iterator[Finding]:
    rates = Counter(int(r) for r in all_.rows["sample_rate"][all_.heard])
    if not rates:
        return
    commonest = max(rates, key=lambda r: (rates[r], r))
    wanted = all_.corpus.sample_rate or commonest
    listed = ", ".join(f"{n:,} at {r:,} Hz" for r, n in sorted(rates.items()))
    mixed = (all_.rows["sample_rate"] != commonest) & (len(rates) > 1)
    yield from all_.finding(
        "mixed rates",
        all_.select(mixed, by_label=False),
        f"have another sample rate than the rest ({listed})",
        lambda row: f"{int(row['sample_rate']):,} Hz",
        f"all are resampled to {wanted:,} Hz; but below that rate the high bands are empty, and a label that goes with "
        "a rate is learnt by it: record alike, or set features.sample_rate to the lowest",
    )
    if len(rates) == 1 and commonest < wanted:
        yield from all_.finding(
            "low rate",
            all_.select(all_.heard, by_label=False),
            f"are recorded at {commonest:,} Hz, below the {wanted:,} Hz of the features",
            lambda row: f"{int(row['sample_rate']):,} Hz",
            f"set features.sample_rate = {commonest}",
        )
    narrow = all_.sounding & (all_.rows["bandwidth"] < _NARROW * min(wanted, commonest) / 2)
    narrow &= all_.rows["bandwidth"] < 0.99 * all_.rows["sample_rate"] / 2
    yield from all_.finding(
        "band-limited",
        all_.select(narrow, by_label=False),
        f"hold nothing above a cliff in the spectrum, below {_NARROW * min(wanted, commonest) / 2:,.0f} Hz",
        lambda row: f"ends at {row['bandwidth']:,.0f} Hz, its rate promises {row['sample_rate'] / 2:,.0f} Hz",
        "they were up-sampled, or came through a telephone or a codec: find the originals, "
        "or set features.sample_rate to twice the least bandwidth for all",
        worst=lambda row: -float(row["bandwidth"]),
    )


def _levels(all_: _Everything) -> Iterator[Finding]:
    rows, snr = all_.rows, all_.rows["level"] - all_.rows["noise"]
    yield from all_.finding(
        "clipping",
        all_.select(rows["flat_peaks"] >= _FLAT_PEAKS),
        "are clipped: their peaks are cut flat",
        lambda row: f"{int(row['flat_peaks']):,} flat peaks at {float(row['peak']):.2f} of full scale",
        "record them again at a lower gain; what is cut off cannot be brought back",
        worst=lambda row: float(row["flat_peaks"]),
    )
    silent = ~all_.sounding | (rows["level"] < _QUIET)
    yield from all_.finding(
        "silence",
        all_.select(silent),
        "are silent, or nearly",
        lambda row: "digital silence" if not row["identity"] else f"{float(row['level']):.0f} dBFS at its loudest",
        "was the microphone muted, or the wrong channel taken? record them again",
        worst=lambda row: -float(row["level"]),
    )
    yield from all_.finding(
        "noise",
        all_.select(all_.sounding & ~silent & (snr < _LEAST_SNR)),
        f"rise less than {_LEAST_SNR:.0f} dB above their own noise",
        lambda row: f"signal to noise about {float(row['level'] - row['noise']):.0f} dB",
        "listen: is there any speech in them?",
        worst=lambda row: -float(row["level"] - row["noise"]),
    )
    yield from all_.finding(
        "offset",
        all_.select(np.abs(rows["dc"]) > _OFFSET),
        "have a constant offset (DC)",
        lambda row: f"mean sample {float(row['dc']):+.3f} of full scale",
        "a fault of the sound card: high-pass them at 20 Hz",
        worst=lambda row: abs(float(row["dc"])),
    )
    yield from all_.finding(
        "drop-out",
        all_.select(rows["dropout"] > _DROPOUT),
        "have a hole in the middle of sound",
        lambda row: f"{1000 * float(row['dropout']):.0f} ms without a change",
        "lost packets or buffer under-runs: record them again",
        worst=lambda row: float(row["dropout"]),
    )
    sound = all_.sounding & ~silent & (snr > _CUT_SNR)
    for edge, key in (("beginning", "first_level"), ("end", "last_level")):
        other = "start recording earlier" if edge == "beginning" else "stop recording later"
        yield from all_.finding(
            f"cut-off {edge}",
            all_.select(sound & (rows[key] - rows["level"] > _CUT)),
            f"are as loud at their very {edge} as anywhere: the sound there is cut",
            lambda row, key=key: (
                f"{float(row[key]):.0f} dBFS in the outer 20 ms, {float(row['level']):.0f} dBFS where loud"
            ),  # type: ignore[misc]
            f"is it a click? else {other}, or widen the segment",
            worst=lambda row, key=key: float(row[key] - row["level"]),  # type: ignore[misc]
        )
    for edge, key in (("before", "leading"), ("after", "trailing")):
        usual = float(np.percentile(rows[key][sound], 75)) if sound.any() else 0.0
        yield from all_.finding(
            f"silence {edge}",
            all_.select(sound & (rows[key] > max(_LONG_SILENCE, 3 * usual + 1))),
            f"have a long silence {edge} the sound; {usual:.1f} s is usual here",
            lambda row, key=key: f"{float(row[key]):.1f} of {float(row['duration']):.1f} s",  # type: ignore[misc]
            "trim them, or check that the text is all of what is said",
            worst=lambda row, key=key: float(row[key]),  # type: ignore[misc]
        )


def _channels(all_: _Everything) -> Iterator[Finding]:
    rows = all_.rows
    yield from all_.finding(
        "dead channel",
        all_.select((rows["n_channels"] > 1) & (rows["channel_gap"] > _DEAD_CHANNEL), by_label=False),
        "have a channel without the sound of the other",
        lambda row: f"one of {int(row['n_channels'])} channels is {float(row['channel_gap']):.0f} dB below another",
        "all channels are mixed; write the one with the voice out as mono",
        worst=lambda row: float(row["channel_gap"]),
    )
    yield from all_.finding(
        "counter-phase",
        all_.select((rows["n_channels"] > 1) & (rows["channel_correlation"] < _COUNTER_PHASE), by_label=False),
        "have channels that cancel when they are mixed",
        lambda row: f"correlation {float(row['channel_correlation']):+.2f}",
        "a cable is wired the wrong way round; write one channel out as mono",
        worst=lambda row: -float(row["channel_correlation"]),
    )
    counts = Counter(int(n) for n in rows["n_channels"][all_.heard])
    commonest = max(counts, key=lambda n: (counts[n], n), default=1)
    yield from all_.finding(
        "mixed channels",
        all_.select((rows["n_channels"] != commonest) & (len(counts) > 1), by_label=False),
        "have another number of channels than the rest",
        lambda row: f"{int(row['n_channels'])} channels, most have {commonest}",
        "fine where one microphone is mixed down; check that no channel holds another speaker",
    )


def _durations(all_: _Everything) -> Iterator[Finding]:
    durations = all_.rows["duration"]
    if not all_.heard.any():
        return
    median = float(np.median(durations[all_.heard]))
    for kind, flags in (("very long", durations > _LENGTH * median + 5), ("very short", durations < median / _LENGTH)):
        yield from all_.finding(
            kind,
            all_.select(flags),
            f"are {kind}, beside a median of {median:.2f} s",
            lambda row: f"{float(row['duration']):.2f} s",
            "cut long ones into utterances; listen whether short ones hold anything",
        )


def _paces(all_: _Everything) -> Iterator[Finding]:
    """Transcripts too long or too short for their audio, by letters a second of sound."""
    if all_.corpus.task != "transcribe":
        return
    letters = [len(text.replace(" ", "")) for text in all_.texts]
    # A spelled letter is a word of its own, and takes as long as three.
    lengths = np.array([max(n, 3 * len(t.split())) for n, t in zip(letters, all_.texts, strict=True)], np.float64)
    rows = all_.rows
    sound = rows["duration"] - np.minimum(rows["leading"] + rows["trailing"], rows["duration"])
    sound = np.maximum(sound, np.maximum(rows["duration"] / 2, 0.05))  # a bang may hide the quieter speech around it
    known = all_.sounding & (lengths > 0)
    if known.sum() < 10:
        return
    pace = lengths / sound
    median = float(np.median(pace[known]))
    problems = all_.corpus.problems
    for kind, flags, what in (
        ("text too long", pace > _PACE * median, "faster"),
        ("text too short", (pace < median / _PACE) & (sound > 1.0), "slower"),
    ):
        chosen = [i for i in all_.select(flags & known) if all_.utterances[i].id not in problems]
        if chosen:
            chosen.sort(key=lambda i: -abs(np.log(pace[i] / median)))
            cases = tuple(
                all_.case(
                    i,
                    f"{letters[i]} letters in {sound[i]:.1f} s of sound: {_short(all_.texts[i])!r}",
                )
                for i in chosen
            )
            yield Finding(
                kind,
                "warning",
                f"{len(chosen):,} of {len(all_.utterances):,} transcripts are {_PACE:.0f} times {what} than the usual "
                f"{median:.1f} letters a second",
                "does the text belong to this recording, and is it all of it?",
                cases,
            )


def _labels(all_: _Everything) -> Iterator[Finding]:
    problems = all_.corpus.problems
    if all_.corpus.task == "transcribe":
        empty = [i for i, text in enumerate(all_.texts) if not text.strip() and all_.utterances[i].id not in problems]
        yield from all_.finding(
            "empty text",
            empty,
            "have no transcript",
            lambda row: f"{float(row['duration']):.2f} s, nothing said",
            "right for recordings in which nobody speaks; else write what is said",
        )
    units: dict[str, list[int]] = defaultdict(list)
    for i, text in enumerate(all_.texts):
        for unit in dict.fromkeys(text.split() if all_.corpus.task == "transcribe" else text.split(_BETWEEN_LABELS)):
            if unit.strip():
                units[unit].append(i)
    yield from _nearly_same(all_, units)
    yield from _odd(all_)
    if all_.corpus.task in ("classify", "label"):
        yield from _classes(all_, units)
    elif all_.corpus.task == "transcribe":
        yield from _rare_symbols(all_)


def _nearly_same(all_: _Everything, units: Mapping[str, list[int]]) -> Iterator[Finding]:
    """Labels or words that differ only in case, marks or Unicode; and labels a letter away from a common one."""
    of_key: dict[str, list[str]] = defaultdict(list)
    for unit in units:
        of_key[_loose(unit)].append(unit)
    groups = [sorted(group, key=lambda u: -len(units[u])) for key, group in of_key.items() if len(group) > 1 and key]
    if all_.corpus.task == "classify" and len(units) < 500:
        groups += [[common, rare] for rare, common in _misspelt(units)]
    if not groups:
        return
    cases = [
        all_.case(
            units[odd][0], f"{odd!r} ({len(units[odd]):,} times) beside {group[0]!r} ({len(units[group[0]]):,} times)"
        )
        for group in groups
        for odd in group[1:]
    ]
    what = "labels" if all_.corpus.task == "classify" else "words"
    yield Finding(
        "nearly the same",
        "warning",
        f"{len(cases):,} {what} differ from another by case, marks or a letter only: they are learnt as two",
        'spell them alike; vocabulary.lower_case = true and vocabulary.punctuation = "remove" do much of it',
        tuple(cases),
    )


def _loose(text: str) -> str:
    text = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in text if unicodedata.category(c)[0] in "LN")


def _misspelt(units: Mapping[str, list[int]]) -> Iterator[tuple[str, str]]:
    for rare in units:
        for common in units:
            if (
                len(rare) >= 4
                and len(units[rare]) * 10 <= len(units[common])
                and _loose(rare) != _loose(common)
                and _one_edit(rare.casefold(), common.casefold())
            ):
                yield rare, common


def _one_edit(a: str, b: str) -> bool:
    if abs(len(a) - len(b)) > 1:
        return False
    if len(a) > len(b):
        a, b = b, a
    i = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))
    if a[i:] == b[i + 1 :] or a[i + 1 :] == b[i + 1 :]:
        return True
    return a[i : i + 2] == b[i : i + 2][::-1] and a[i + 2 :] == b[i + 2 :]  # two letters changed places


def _odd(all_: _Everything) -> Iterator[Finding]:
    """Texts with what nobody says: markup, control characters, letters of another script, broken encodings."""
    marks = Counter(mark for text in all_.texts for mark in set(text))
    scripts: Counter[str] = Counter()
    for mark, n in marks.items():
        scripts[_script(mark)] += n
    del scripts[""]
    total = max(1, len(all_.texts))
    foreign = {script for script, n in scripts.items() if n <= max(2, 0.02 * total) and len(scripts) > 1} - {"LATIN"}
    if len(scripts) > 1 and scripts["LATIN"] <= max(2, 0.02 * total):
        foreign.add("LATIN")
    found = []
    for i, text in enumerate(all_.texts):
        reason = _oddity(text, foreign)
        if reason:
            found.append(all_.case(i, f"{reason} in {_short(text)!r}"))
    if found:
        yield Finding(
            "odd text",
            "warning",
            f"{len(found):,} of {len(all_.texts):,} texts hold what nobody says",
            "spell out what is heard, or take the mark out; an encoding that went wrong is read again by --encoding",
            tuple(found),
        )


def _oddity(text: str, foreign: set[str]) -> str:
    for mark in "" if text.isascii() and text.isprintable() and not foreign else text:
        category = unicodedata.category(mark)
        if mark == "\ufffd" or category in ("Co", "Cn"):
            return f"a character that is none, U+{ord(mark):04X},"
        if category == "Cc" and mark not in "\t\n\r":
            return f"the control character U+{ord(mark):04X}"
        if (script := _script(mark)) in foreign:
            return f"{script.title()} {mark!r}"
    for broken in ("Ã¤", "Ã¶", "Ã¼", "Ã©", "Ã¨", "â€", "Ã±", "ÃŸ"):
        if broken in text:
            return f"broken encoding, {broken!r},"
    if any(a in text and b in text.split(a, 1)[1] for a, b in (("<", ">"), ("[", "]"), ("{", "}"))):
        return "markup"
    return ""


@lru_cache(maxsize=4096)
def _script(mark: str) -> str:
    """The script of a letter by its Unicode name, e.g. LATIN; empty for all else."""
    if mark.isascii():
        return "LATIN" if mark.isalpha() else ""
    if unicodedata.category(mark)[0] != "L":
        return ""
    script = unicodedata.name(mark, "").split(" ")[0]
    # Japanese is written in three, and the marks of length and repetition belong to all of them
    return (
        "CJK"
        if script in ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC")
        else script.replace("MODIFIER", "")
    )


def _classes(all_: _Everything, units: Mapping[str, list[int]]) -> Iterator[Finding]:
    present = [split for split in SPLITS if all_.corpus.splits.get(split)]
    for split in present:
        lacking = [label for label, members in units.items() if not any(all_.splits[i] == split for i in members)]
        if split == "train":  # prep calls them impossible targets
            lacking = [
                label
                for label in lacking
                if not any(all_.utterances[i].id in all_.corpus.problems for i in units[label])
            ]
        if lacking:
            cases = tuple(all_.case(units[label][0], f"{label!r} has none in {split}") for label in sorted(lacking))
            yield Finding(
                "missing class",
                "warning",
                f"{split} lacks {len(lacking):,} of {len(units):,} classes: {_listed(sorted(lacking))}",
                "record more of them, or split so that each class stands in every split",
                cases,
            )
    in_train = {label: sum(all_.splits[i] == "train" for i in members) for label, members in units.items()}
    usual = statistics.median(in_train.values()) if in_train else 0
    rare = sorted((n, label) for label, n in in_train.items() if 0 < n < min(_RARE_LABEL, usual / 2 + 1))
    if rare:
        yield Finding(
            "rare label",
            "warning",
            f"{len(rare):,} of {len(units):,} classes have fewer than {_RARE_LABEL} training recordings",
            "record more, or join them to another class",
            tuple(all_.case(units[label][0], f"{label!r}: {n} in train, {usual:g} are usual") for n, label in rare),
        )


def _rare_symbols(all_: _Everything) -> Iterator[Finding]:
    """Symbols that are met too seldom to be learnt, where most are met often."""
    holders: dict[str, list[int]] = defaultdict(list)
    for i, utterance in enumerate(all_.utterances):
        if all_.splits[i] == "train" and utterance.id not in all_.corpus.problems:
            for symbol in set(all_.corpus.symbols(utterance.text)):
                holders[symbol].append(i)
    counts = sorted(map(len, holders.values()))
    if len(counts) < 3 or len(counts) > 400 or statistics.median(counts) < 20:
        return  # words of a large vocabulary are rare by nature
    rare = sorted((len(members), symbol) for symbol, members in holders.items() if len(members) < 3)
    if rare:
        yield Finding(
            "rare symbol",
            "warning",
            f"{len(rare):,} of {len(holders):,} symbols stand in one or two training utterances",
            "a slip of the pen? else record more of them, or leave the symbol out by the rules of [vocabulary]",
            tuple(all_.case(holders[s][0], f"{s!r} in {n}: {_short(all_.texts[holders[s][0]])!r}") for n, s in rare),
        )


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


_CHECKS: tuple[Callable[[_Everything], Iterator[Finding]], ...] = (
    _unusable,
    _speaker_leaks,
    _same_audio,
    _labels,
    _paces,
    _durations,
    _rates,
    _channels,
    _levels,
)
