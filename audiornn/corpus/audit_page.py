"""The audit as one HTML page: plots of the corpus, and players for what is odd in it.

The page needs nothing but itself, neither a network nor a script, and the same corpus always gives the same bytes.
"""

from __future__ import annotations

import base64
import html
import importlib.util
import io
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiornn.audio import audio_info, load_audio
from audiornn.corpus.audit import Audit
from audiornn.corpus.findings import Case, Corpus, Finding
from audiornn.corpus.manifest import SPLITS, Utterance
from audiornn.errors import AudioError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = ["audit_page"]

_SHOWN = 20  # cases of a finding; as many as _LISTED are folded away
_LISTED = 200
_TEXT_LENGTH = 160  # characters of a text or a figure

_PLAYERS_A_FINDING = 6
_PLAYERS = 60
_SOUND_BYTES = 4_000_000  # of all players, as base64: with tables and plots the page stays below six megabytes
_PLAYED_SECONDS = 8.0
_PLAYED_RATE = 16000  # Hz
_AT_THE_END = ("cut-off end", "silence after")  # what is odd lies in the last seconds

_BARS = 40  # more labels or speakers than these are a histogram
_TICK_LENGTH = 22  # characters of a label beside its bar
_WIDTH, _HEIGHT = 3.9, 2.35  # inches of a plot: two beside each other on a desk, one on a telephone
_MARGIN = 0.62  # inches to the left of an axis of counts
# Okabe and Ito's: told apart whatever the colour vision, and each split has its own line, too. The page replaces them
# by its own variables, which know of the dark mode.
_COLOURS = {"train": "#0072b2", "dev": "#d55e00", "test": "#009e73"}
_LINES = {"train": "-", "dev": (0, (4, 1.5)), "test": (0, (1.2, 1.2))}
_INK, _RULE = "#000000", "#808080"

_STYLE = """
:root { color-scheme: light dark; --paper: #fdfdfb; --ink: #23262a; --soft: #5c636b; --rule: #dcdcd6; --tint: #f2f2ec;
  --link: #1f5f8b; --error: #a3261b; --warning: #7d5700; --train: #0072b2; --dev: #d55e00; --test: #008a64; }
@media (prefers-color-scheme: dark) { :root { --paper: #17191c; --ink: #e3e3de; --soft: #a2a8af; --rule: #383c41;
  --tint: #202327; --link: #8cc4ea; --error: #ff9a8d; --warning: #ecc164; --train: #56b4e9; --dev: #f0803c;
  --test: #2fcf9f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 62rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; margin: 3rem 0 .25rem; }
h3 { font-size: 1.05rem; margin: 0; }
p { margin: .4rem 0; max-width: 44rem; }
a { color: var(--link); }
small, .soft { color: var(--soft); font-size: .875rem; }
.lead { font-size: 1.1rem; }
.error { color: var(--error); }
.warning { color: var(--warning); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .75rem 0; font-size: .9rem; font-feature-settings: "tnum"; }
th, td { text-align: left; vertical-align: top; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--rule); }
th { color: var(--soft); font-weight: 500; }
.numbers { width: auto; white-space: nowrap; }
.numbers td + td, .numbers th + th { text-align: right; padding: .35rem 0 .35rem 1.6rem; }
.cases td { overflow-wrap: anywhere; }
.cases td:first-child { width: 26%; min-width: 12rem; }
.cases td:nth-child(2) { overflow-wrap: normal; }
.cases td:nth-child(3), .cases td:nth-child(4) { min-width: 6rem; }
.cases td:nth-child(5) { width: 17rem; }
.cases td:last-child { padding-right: 0; }
section { border-top: 2px solid var(--rule); padding-top: .9rem; margin-top: 1.6rem; }
.contents { padding: 0; list-style: none; }
.contents li { display: inline-block; margin: 0 1.4rem .2rem 0; }
audio { display: block; width: 16rem; max-width: 100%; height: 2.2rem; margin: .1rem 0 .3rem; }
summary { cursor: pointer; color: var(--link); padding: .25rem 0; }
.plots { columns: 2 24rem; column-gap: 2rem; }
figure { margin: 0 0 2rem; break-inside: avoid; }
figcaption strong { display: block; }
svg { display: block; width: 100%; height: auto; margin-top: .3rem; stroke-linejoin: round; }
svg text { font-family: inherit !important; fill: var(--soft); }
@media (max-width: 44rem) {
  .cases, .cases tbody, .cases tr, .cases td, .cases td:first-child { display: block; width: auto; }
  .cases thead { display: none; }
  .cases td { border: 0; padding: .1rem 0; }
  .cases td:nth-child(2), .cases td:nth-child(3) { display: inline; }
  .cases td:nth-child(3)::before { content: " · "; }
  .cases tr { border-bottom: 1px solid var(--rule); padding: .5rem 0; }
}
"""


def audit_page(report: Audit, corpus: Corpus) -> str:
    """Show an audit: what the corpus is, what is odd in it, to be heard as well, and how its figures are distributed.

    Args:
        report: what was found.
        corpus: what it was found in; up to sixty of its recordings are read again for the players.

    Returns:
        An HTML document of at most some six megabytes that can be encoded as UTF-8. Without matplotlib, which comes
        with `audiornn[train]`, it says so in place of the plots.
    """
    utterances = corpus.utterances
    folder = _common_folder(utterances)
    name = "/".join(part for part in Path(folder).parts[-2:] if part != os.sep) or "the corpus"
    table = _Cases(report, corpus, utterances, folder)
    errors, others = report.errors, tuple(f for f in report.findings if f.severity != "error")
    parts = [
        f"<h1>Audit of {_escaped(name)}</h1>",
        f'<p class="lead">{_in_words(corpus, utterances)} {_verdict(len(errors), len(others))}</p>',
        _split_table(report, corpus),
        _contents(report.findings),
    ]
    if folder:
        below = "; paths below begin there" if report.findings else ""
        parts.append(f'<p class="soft">The recordings lie in {_escaped(folder)}{below}.</p>')
    for heading, found, meaning in (
        (
            "Errors",
            errors,
            "What makes a result untrue or impossible. <code>audiornn prep</code> stops until they are mended, or "
            "leaves these utterances out with <code>--skip-bad</code>.",
        ),
        ("Warnings", others, "What makes a result worse, the worst cases first. Some may be meant: listen."),
    ):
        if found:
            parts.append(f"<h2>{heading}</h2>\n<p>{meaning}</p>")
            parts += [table.section(finding) for finding in found]
    parts.append('<h2 id="plots">The corpus in plots</h2>')
    parts.append(_plots(corpus))
    body = "\n".join(part for part in parts if part)
    return _plain(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        # A page that promises to need no network says so to the browser, too.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'media-src data:">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Audit of {_escaped(name)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _plain(text: str) -> str:
    """A text that UTF-8 and HTML can hold: no halves of file names that are no Unicode, no control characters."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", text)


def _escaped(text: str, length: int = 1000) -> str:
    return html.escape(_plain(text if len(text) <= length else text[: length - 1] + "…"))


def _sentence(text: str) -> str:
    return _escaped(text) + ("" if text.endswith((".", "?", "!", "…")) else ".")


def _common_folder(utterances: Sequence[Utterance]) -> str:
    """The folder that all recordings lie below, with its separator; empty where there is none."""
    names = [str(utterance.audio) for utterance in utterances]
    if not names:
        return ""
    first, last = min(names), max(names)  # what these two begin with is what all between them begin with
    n_alike = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    folder = first[: first.rfind(os.sep, 0, n_alike) + 1]
    return "" if folder == os.sep else folder


def _said(utterance: Utterance, task: str) -> str:
    if task == "label":
        return " | ".join(segment.label for segment in utterance.segments)
    return utterance.text


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} seconds"
    return f"{seconds / 60:.1f} minutes" if seconds < 3600 else f"{seconds / 3600:,.1f} hours"


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _in_words(corpus: Corpus, utterances: Sequence[Utterance]) -> str:
    n_speakers = len({u.speaker for u in utterances} - {None})
    by = f"by {_counted(n_speakers, 'speaker')}" if n_speakers else "by speakers unknown"
    seconds = float(corpus.measured.rows["duration"].sum())
    n_bad = len(corpus.problems)
    bad = f" {_counted(n_bad, 'utterance')} cannot be used." if n_bad else ""
    return f"{_counted(len(utterances), 'utterance')}, {_duration(seconds)} in all, {by}.{bad}"


def _verdict(n_errors: int, n_warnings: int) -> str:
    if not n_errors + n_warnings:
        return "Nothing was found that would spoil a result."
    errors = f'<b class="error">{_counted(n_errors, "kind")} of error</b>' if n_errors else "no error"
    others = f'<b class="warning">{_counted(n_warnings, "kind")} of warning</b>' if n_warnings else "no warning"
    return f"The audit found {errors} and {others}."


def _split_table(report: Audit, corpus: Corpus) -> str:
    rows = []
    for split, stretch in _stretches(corpus).items():
        members = corpus.splits[split]
        n_speakers = len({u.speaker for u in members} - {None})
        cells = [
            split,
            f"{len(members):,}",
            _duration(float(corpus.measured.rows["duration"][stretch].sum())),
            f"{n_speakers:,}" if n_speakers else "unknown",
        ]
        if figures := report.figures.get(split):
            least, median, most = figures["seconds"]
            cells += [
                f"{least:.2f} to {most:.2f} s, median {median:.2f}",
                f"{figures['level'][1]:.0f} dBFS",
                f"{figures['snr'][1]:.0f} dB",
            ]
        else:
            cells += ["none can be read", "", ""]
        rows.append("".join(f"<td>{cell}</td>" for cell in cells))
    heads = ("split", "utterances", "total", "speakers", "lengths", "median level", "median signal to noise")
    return _table("numbers", heads, rows)


def _table(kind: str, heads: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f'<th scope="col">{head}</th>' for head in heads)
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table class="{kind}">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _contents(findings: Sequence[Finding]) -> str:
    items = "\n".join(
        f'<li><a class="{finding.severity}" href="#finding-{n}">{_escaped(finding.kind)}</a> '
        f"<small>{len(finding.cases):,}</small></li>"
        for n, finding in enumerate(findings, 1)
    )
    if not items:
        return ""
    plots = '<li><a href="#plots">plots</a></li>'
    return f'<nav aria-label="Findings"><ul class="contents">\n{items}\n{plots}\n</ul></nav>'


class _Cases:
    """The findings' cases as tables, with players for the first of each."""

    def __init__(self, report: Audit, corpus: Corpus, utterances: Sequence[Utterance], folder: str) -> None:
        self._corpus = corpus
        self._folder = folder
        self._numbers = {id(finding): n for n, finding in enumerate(report.findings, 1)}
        shown = [case for finding in report.findings for case in finding.cases[:_LISTED]]
        ids = {case.id for case in shown} | {case.other for case in shown}
        self._utterances = {u.id: u for u in utterances if u.id in ids}
        self._players = self._all_players(report.findings)

    def section(self, finding: Finding) -> str:
        """A finding: its sentence, its remedy, its cases."""
        n = self._numbers[id(finding)]
        heard = any((n, place) in self._players for place in range(_SHOWN))
        rows = [self._row(case, (n, place), heard) for place, case in enumerate(finding.cases[:_LISTED])]
        heads = ("recording", "split", "segments" if self._corpus.task == "label" else "text", "what is odd")
        shown = _table("cases", (*heads, "listen") if heard else heads, rows[:_SHOWN])
        parts = [
            f'<section id="finding-{n}">',
            f'<h3><span class="{finding.severity}">{finding.severity.title()}:</span> {_escaped(finding.kind)}</h3>',
            f"<p>{_sentence(self._short(finding.what))}</p>",
            f'<p class="soft">What to do: {_sentence(finding.remedy)}</p>',
            shown,
        ]
        if len(rows) > _SHOWN:
            folded = _table("cases", heads, (self._row(c, (n, -1), False) for c in finding.cases[_SHOWN:_LISTED]))
            parts.append(f"<details><summary>{len(rows) - _SHOWN:,} more</summary>\n{folded}\n</details>")
        if len(finding.cases) > _LISTED:
            n_listed = len(finding.to_json()["cases"])
            which = "names them" if n_listed == len(finding.cases) else f"names the first {n_listed:,}"
            parts.append(
                f'<p class="soft">… and {len(finding.cases) - _LISTED:,} beyond these; audit.json beside this page '
                f"{which}.</p>"
            )
        parts.append("</section>")
        return "\n".join(parts)

    def _short(self, text: str) -> str:
        """A text with paths as they are told here."""
        return text.replace(self._folder, "") if self._folder else text

    def _row(self, case: Case, place: tuple[int, int], heard: bool) -> str:
        utterance = self._utterances.get(case.id)
        name = self._short(case.audio)
        figure = self._short(case.figure).removeprefix(f"{name}: ")  # a message begins with the file's name
        where = _escaped(name)
        if utterance is not None and utterance.start:
            where += f" <small>from {utterance.start:.2f} s</small>"
        said = _said(utterance, self._corpus.task) if utterance is not None else ""
        cells = [
            where,
            _escaped(case.split),
            f'<bdi class="said">{_escaped(said, _TEXT_LENGTH)}</bdi>',
            _escaped(figure, 2 * _TEXT_LENGTH),
        ]
        if heard:
            cells.append(self._players.get(place, ""))
        return "".join(f"<td>{cell}</td>" for cell in cells)

    def _all_players(self, findings: Sequence[Finding]) -> dict[tuple[int, int], str]:
        """Players by the number of their finding and the place of their case.

        The worst case of every finding comes first, then the second of every one: so that none is silent because
        another is long.
        """
        players: dict[tuple[int, int], str] = {}
        n_of: Counter[int] = Counter()
        n_bytes = 0
        sounds: dict[tuple[str, bool], str] = {}
        for place in range(_PLAYERS_A_FINDING):
            for n, finding in enumerate(findings, 1):
                case = finding.cases[place] if place < len(finding.cases) else None
                if case is None or finding.kind == "unreadable":
                    continue
                heard = [u for i in (case.id, case.other) if i and (u := self._utterances.get(i)) is not None]
                if n_of[n] + len(heard) > _PLAYERS_A_FINDING:
                    continue
                at_end = finding.kind in _AT_THE_END
                for u in heard:
                    if (u.id, at_end) not in sounds:
                        sounds[u.id, at_end] = _player(u, self._short(str(u.audio)), at_end=at_end)
                made = [sounds[u.id, at_end] for u in heard]
                n_bytes += sum(map(len, made))
                n_of[n] += len(made)
                if n_bytes > _SOUND_BYTES or n_of.total() > _PLAYERS:
                    return players
                players[n, place] = "\n<small>and the other:</small>\n".join(made)
        return players


def _player(utterance: Utterance, name: str, *, at_end: bool) -> str:
    """A player that holds its sound, or why there is none."""
    try:
        sound, cut = _sound(utterance, at_end=at_end)
    except AudioError as error:
        return f"<small>cannot be played: {_escaped(str(error), _TEXT_LENGTH)}</small>"
    data = base64.b64encode(sound).decode()
    return (
        f'<audio controls preload="none" aria-label="{_escaped(name)}" src="data:audio/flac;base64,{data}"></audio>'
        + (f"<small>{cut}</small>" if cut else "")
    )


def _sound(utterance: Utterance, *, at_end: bool) -> tuple[bytes, str]:
    """A few seconds of an utterance as mono FLAC, and which seconds these are if they are not all."""
    info = audio_info(utterance.audio)
    start = utterance.start
    length = info.duration - start if utterance.duration is None else utterance.duration
    cut = ""
    if length > _PLAYED_SECONDS:
        start += length - _PLAYED_SECONDS if at_end else 0.0
        cut = f"the {'last' if at_end else 'first'} {_PLAYED_SECONDS:g} of {length:.1f} s"
    rate = min(info.sample_rate, _PLAYED_RATE)
    waveform = load_audio(utterance.audio, rate, start=start, duration=min(length, _PLAYED_SECONDS))
    # By hand, because libsndfile reads a sixteenth bit as 1/32768 and writes it as 1/32767: the sound would not be
    # the recording's own.
    samples = np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
    return file.getvalue(), cut


def _stretches(corpus: Corpus) -> dict[str, slice]:
    """Where the rows of each split that has any lie among those measured."""
    found, first = {}, 0
    for split in SPLITS:
        n = len(corpus.splits.get(split, ()))
        if n:
            found[split] = slice(first, first + n)
        first += n
    return found


def _plots(corpus: Corpus) -> str:
    if importlib.util.find_spec("matplotlib") is None:
        return "<p>The plots need matplotlib: <code>pip install 'audiornn[train]'</code>, then prepare again.</p>"
    rows = corpus.measured.rows
    heard = {split: rows[stretch][rows["duration"][stretch] > 0] for split, stretch in _stretches(corpus).items()}
    if not any(map(len, heard.values())):
        return "<p>No recording can be read, so there is nothing to plot.</p>"
    sounding = {split: of[of["identity"] != 0] for split, of in heard.items()}
    rates = {
        split: Counter(
            {f"{rate:,} Hz": int(n) for rate, n in zip(*np.unique(of["sample_rate"], return_counts=True), strict=True)}
        )
        for split, of in heard.items()
    }
    labels = {split: _label_counts(corpus, split) for split in heard}
    speakers = {split: Counter(u.speaker for u in corpus.splits[split] if u.speaker is not None) for split in heard}
    unit = "word" if corpus.task == "transcribe" else "label"
    found = [
        _histogram(
            "Lengths",
            "Utterances by their length. A few far from all others are often cut wrongly.",
            "seconds",
            {split: of["duration"] for split, of in heard.items()},
        ),
        _histogram(
            "Levels",
            "How loud the louder frames are; 0 dBFS is full scale. Splits that differ were recorded differently.",
            "dBFS",
            {split: of["level"] for split, of in sounding.items()},
        ),
        _histogram(
            "Signal to noise",
            "From the quieter frames of a recording up to its louder ones: an estimate, low for speech without pauses.",
            "dB",
            {split: of["level"] - of["noise"] for split, of in sounding.items()},
        ),
        _counts(f"{unit.title()}s", f"How often each {unit} occurs.", unit, labels),
    ]
    if len(set(chain.from_iterable(speakers.values()))) > 1:
        found.append(_counts("Speakers", "Utterances of each speaker.", "speaker", speakers))
    if len(set(chain.from_iterable(rates.values()))) > 1:
        found.append(_counts("Sample rates", "Utterances recorded at each rate.", "rate", rates))
    bands = {split: of["bandwidth"].astype(np.float64) for split, of in sounding.items()}
    if len(np.unique(np.concatenate(list(bands.values())))) > 1:
        found.append(_histogram("Bandwidth", "Up to which frequency there is any sound.", "Hz", bands))
    return '<div class="plots">\n' + "\n".join(plot for plot in found if plot) + "\n</div>"


def _label_counts(corpus: Corpus, split: str) -> Counter[str]:
    utterances = corpus.splits[split]
    if corpus.task == "label":
        return Counter(segment.label for u in utterances for segment in u.segments)
    if corpus.task == "transcribe":
        return Counter(chain.from_iterable(u.text.split() for u in utterances))
    return Counter(u.text for u in utterances)


def _histogram(
    heading: str, note: str, unit: str, values: Mapping[str, NDArray[Any]], *, what: str = "utterances"
) -> str:
    """Overlaid outlines, a split each; counts and values on logarithmic axes where they span too much for others."""
    values = {split: of for split, of in values.items() if len(of)}
    if not values:
        return ""
    everything = np.concatenate(list(values.values())).astype(np.float64)
    edges, log_x = _edges(everything, whole=np.issubdtype(next(iter(values.values())).dtype, np.integer))
    counts = {split: np.histogram(of, edges)[0] for split, of in values.items()}
    met = np.concatenate([n[n > 0] for n in counts.values()])
    log_y = bool(met.max() > 100 * met.min())

    def draw(axes: Axes) -> None:
        for split, n in counts.items():
            # A logarithm knows no zero: an empty bin lies just below the axis.
            heights, floor = (np.maximum(n, 0.5), 0.5) if log_y else (n, 0)
            colour, line = _COLOURS[split], _LINES[split]
            axes.stairs(heights, edges, baseline=floor, color=colour, fill=True, alpha=0.16)
            axes.stairs(heights, edges, baseline=floor, color=colour, linestyle=line, linewidth=1.4)
            axes.plot([], [], color=colour, linestyle=line, linewidth=1.8, label=split)  # for the legend
        axes.set_xlabel(unit)
        axes.set_ylabel(what)
        axes.set_xlim(edges[0], edges[-1])
        if log_x:
            axes.set_xscale("log")
        if log_y:
            axes.set_yscale("log")
        else:
            axes.locator_params(axis="y", integer=True)  # there is no half utterance
        axes.set_ylim(0.7 if log_y else 0, met.max() * (1.6 if log_y else 1.08))
        _plain_numbers(axes.xaxis, axes.yaxis)

    said = "; ".join(
        f"{split} from {of.min():,.4g} to {of.max():,.4g} {unit}, half below {np.median(of):,.4g}"
        for split, of in values.items()
    )
    return _figure(heading, note, f"Histogram: {said}.", _HEIGHT, _MARGIN, len(values) > 1, draw)


def _edges(values: NDArray[np.float64], *, whole: bool) -> tuple[NDArray[np.float64], bool]:
    """Edges of bins, and whether they are spaced by ratio."""
    low, high, n = float(values.min()), float(values.max()), int(np.clip(2 * len(values) ** (1 / 3), 10, 60))
    log = low > 0 and high > 20 * float(np.median(values))
    if low == high:
        return np.linspace(low - 0.5, high + 0.5, 12), False
    edges = np.geomspace(low, high, n + 1) if log else np.linspace(low, high, n + 1)
    edges[0], edges[-1] = low, high  # not a rounding error inside of them
    if whole:  # a bin between two whole numbers would be an empty one
        return np.unique(np.append(np.floor(edges), np.floor(high) + 1)) - 0.5, log
    return edges, log


def _counts(heading: str, note: str, unit: str, counts: Mapping[str, Counter[str]]) -> str:
    """A bar each, its splits end to end; of more than fit, how many are how frequent."""
    total: Counter[str] = Counter()
    for of in counts.values():
        total.update(of)
    if not total:
        return ""
    most, least = max(total.values()), min(total.values())
    times = _counted(most, "time" if unit == "word" else "utterance")
    said = f"{_counted(len(total), unit)}, {times if least == most else f'{least:,} to {times}'} each"
    if len(total) > _BARS:
        return _histogram(
            heading,
            f"{note} {said}.",
            "times" if unit == "word" else f"utterances of a {unit}",
            {split: np.fromiter(of.values(), np.int64) for split, of in counts.items()},
            what=f"{unit}s",
        )
    names = sorted(total, key=lambda name: (-total[name], name))
    ticks = [_tick(name) for name in names]
    margin = min(2.0, 0.25 + 0.085 * max(map(len, ticks)))

    def draw(axes: Axes) -> None:
        left = np.zeros(len(names), np.int64)
        for split, of in counts.items():
            n = np.array([of[name] for name in names], np.int64)
            axes.barh(range(len(names)), n, left=left, height=0.7, color=_COLOURS[split], label=split, alpha=0.85)
            left += n
        # A dollar sign in a label is no formula.
        axes.set_yticks(range(len(names)), ticks, parse_math=False)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0, most * 1.03)
        axes.set_xlabel("times" if unit == "word" else "utterances")
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", integer=True)
        _plain_numbers(axes.xaxis)

    several = sum(bool(of) for of in counts.values()) > 1
    return _figure(heading, note, f"Bars: {said}.", 0.75 + 0.19 * len(names), margin, several, draw)


def _tick(name: str) -> str:
    name = _plain(" ".join(name.split()))
    return name if len(name) <= _TICK_LENGTH else name[: _TICK_LENGTH - 1] + "…"


def _plain_numbers(*axes: Axis) -> None:
    """1,000 where matplotlib writes powers of ten."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    for axis in axes:
        axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:,.12g}".replace("-", "−")))


def _figure(
    heading: str, note: str, alt: str, height: float, margin: float, legend: bool, draw: Callable[[Axes], None]
) -> str:
    """A plot as SVG within the page: it takes the page's colours and letters, and can be read aloud by its `alt`."""
    import matplotlib
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "svg.hashsalt": heading,  # ids that are the same each time, and another plot's are others
        "svg.fonttype": "none",
        "font.size": 9,
        "axes.edgecolor": _RULE,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": _RULE,
        "ytick.color": _RULE,
    }
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of letters its own font lacks: the reader's browser has them
        matplotlib.rcdefaults()  # whatever a matplotlibrc on this machine says
        matplotlib.rcParams.update(settings)
        figure = Figure(figsize=(_WIDTH, height))
        axes = figure.subplots()
        top = 0.27 if legend else 0.08
        figure.subplots_adjust(margin / _WIDTH, 0.42 / height, 1 - 0.2 / _WIDTH, 1 - top / height)
        draw(axes)
        if legend:
            figure.legend(loc="upper left", ncols=3, frameon=False, borderaxespad=0.1, handlelength=1.8)
        out = io.StringIO()
        figure.savefig(
            out, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    svg = _as_part_of_a_page(out.getvalue(), alt)
    return (
        f"<figure>\n<figcaption><strong>{_escaped(heading)}</strong>\n"
        f'<span class="soft">{_escaped(note)}</span></figcaption>\n{svg}\n</figure>'
    )


def _as_part_of_a_page(svg: str, alt: str) -> str:
    """Without what belongs to a file of its own: the prolog, a size, a style for everything, ids of nothing."""
    svg = svg[svg.index("<svg") :].rstrip()
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r' width="[^"]*" height="[^"]*"', f' role="img" aria-label="{_escaped(alt)}"', svg, count=1)
    needed = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in needed else "", svg)
    colours = {colour: f"var(--{split})" for split, colour in _COLOURS.items()}
    colours |= {_INK: "currentColor", _RULE: "var(--soft)"}
    return re.sub(
        r'style="[^"]*"',
        lambda style: re.sub("|".join(colours), lambda colour: colours[colour[0]], style[0]),
        svg,
    )
