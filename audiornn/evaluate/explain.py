"""Pictures of spotting: why a recording gave its hits, and what each threshold would cost. Needs matplotlib."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import Waveform
from audiornn.errors import SettingsError
from audiornn.evaluate.detection import DetPoint
from audiornn.evaluate.spotting import SpotReport
from audiornn.listen.keywords import Scores, SpotSettings, moving_mean
from audiornn.listen.results import KeywordSpot

__all__ = ["draw_det", "draw_spots"]

_INK, _GRID = "#333333", "#dddddd"
#: Okabe and Ito's, which people with any kind of colour vision can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_COLUMNS = 2000  # of a drawn waveform; more cannot be seen
_MOST_KEYWORDS = 12
_APART = 3  # pixels from a text to the next
_BESIDE_TICK = 0.14  # normal deviates that "none" has on either side


def draw_spots(
    path: Path,
    waveform: Waveform,
    sample_rate: int,
    scores: Scores,
    keywords: Sequence[str],
    settings: SpotSettings,
    spots: Sequence[KeywordSpot],
    output_seconds: float,
    *,
    title: str = "",
) -> None:
    """Draw a recording, each keyword's score with its thresholds, and the hits, as a PNG.

    Args:
        path: of the PNG.
        waveform: (samples,) at `sample_rate` Hz.
        sample_rate: Hz.
        scores: of every output frame, a column a keyword; they are drawn smoothed, as they are decided on.
        keywords: the columns.
        settings: the decision layer.
        spots: its hits.
        output_seconds: from an output frame to the next.
        title: over the picture.

    Raises:
        SettingsError: more keywords than a picture can hold.
    """
    if len(keywords) > _MOST_KEYWORDS:
        raise SettingsError(f"a picture holds {_MOST_KEYWORDS} keywords at most, not {len(keywords)}; name fewer")
    figure, axes = _figure(
        len(keywords) + 1, heights=[1.6, *[1.0] * len(keywords)], duration=len(waveform) / sample_rate
    )
    top = axes[0]
    duration = len(waveform) / sample_rate
    low, high = _envelope(waveform)
    time = np.linspace(0, duration, len(low))
    top.fill_between(time, low, high, color="#888888", linewidth=0)
    peak = max(1e-3, float(np.abs(waveform).max()))
    top.set_ylim(-1.1 * peak, (1.8 if len(keywords) > 1 else 1.1) * peak)  # with room for the hits' keywords
    top.set_yticks([])
    top.set_title(title, loc="left", fontsize=10, color=_INK)
    frames = np.arange(len(scores.values)) * output_seconds  # the middle of each
    values = moving_mean(scores.values, settings.smoothing, output_seconds)
    labels: dict[Any, list[Any]] = {axis: [] for axis in axes}  # the texts of the hits
    for k, (keyword, axis) in enumerate(zip(keywords, axes[1:], strict=True)):
        colour = _COLOURS[k % len(_COLOURS)]
        onset, offset = settings.threshold(keyword)
        axis.fill_between(frames, 0, values[:, k], step="mid", color=colour, alpha=0.25, linewidth=0)
        axis.step(frames, values[:, k], where="mid", color=colour, linewidth=1.2)
        axis.axhline(onset, color=_INK, linewidth=0.9, linestyle="--")
        axis.axhline(offset, color=_INK, linewidth=0.9, linestyle=":")
        axis.text(1.004, onset, f"onset {onset:.2g}", transform=axis.get_yaxis_transform(), va="bottom", fontsize=7)
        axis.text(1.004, offset, f"offset {offset:.2g}", transform=axis.get_yaxis_transform(), va="top", fontsize=7)
        axis.set_ylim(0, 1.35)  # with room for the hits' scores
        axis.set_yticks([0, 0.5, 1])
        axis.set_ylabel(keyword, rotation=0, ha="right", va="center", fontsize=9, color=colour, fontweight="bold")
        for spot in spots:
            if spot.keyword != keyword:
                continue
            for both in (top, axis):
                both.axvspan(
                    spot.start, max(spot.end, spot.start + duration / 500), color=colour, alpha=0.18, linewidth=0
                )
            middle = (spot.start + spot.end) / 2
            labels[axis].append(axis.text(middle, 1.3, f"{spot.score:.2f}", ha="center", va="top", fontsize=7))
            if len(keywords) > 1:  # else the axis names it
                bold = {"fontsize": 8, "fontweight": "bold", "color": colour}
                labels[top].append(top.text(middle, 1.7 * peak, keyword, ha="center", va="top", **bold))
    axes[-1].set_xlim(
        0, max(duration, float(frames[-1]) if len(frames) else 0.0)
    )  # the silence that settles the end, too
    axes[-1].set_xlabel("seconds", fontsize=9)
    _make_readable(figure, labels)
    _save(figure, path)


def draw_det(path: Path, report: SpotReport) -> None:
    """Draw the detection error trade-off of each keyword (Martin et al. 1997) as a PNG: misses against false alarms.

    A curve gives the fewest misses that some threshold has with no more than so many false alarms. Misses stand on a
    normal deviate's axis whose ends are none and all, false alarms an hour on a logarithmic one whose left end is none;
    the dot is the threshold that was evaluated. The thick curve is all keywords together, at one threshold for all.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6.4, 5), layout="constrained")
    one = 1 / report.hours
    none = one / 3  # false alarms, where a logarithm has no place for them
    rows = [*report.keywords, report.total] if len(report.keywords) > 1 else report.keywords
    for k, row in enumerate(rows):
        if not row.det or not row.said:
            continue
        colour, style = _COLOURS[k % len(_COLOURS)], ("-", "--", ":")[k // len(_COLOURS) % 3]
        width = 1.4
        if row is report.total:
            colour, style, width = _INK, "-", 3.0
        fewest = _fewest_misses(row.det)
        x = [max(point.false_alarms_per_hour, none) for point in fewest]
        y = [_miss_place(point.miss_rate) for point in fewest]
        axis.plot(x, y, style, color=colour, linewidth=width, label=row.keyword, drawstyle="steps-post")
        axis.plot(
            max(row.false_alarms_per_hour, none), _miss_place(row.miss_rate or 0.0), "o", color=colour, markersize=6
        )
    axis.set_xscale("log")
    most = max([one, *(point.false_alarms_per_hour for row in report.keywords for point in row.det)])
    rates = [10.0**power for power in range(-4, 6) if one / 1.5 < 10.0**power <= most]
    axis.set_xticks([none, *rates], ["none", *(f"{rate:g}" for rate in rates)])
    axis.set_xticks([], minor=True)
    axis.set_xlim(one / 4, 1.3 * most)
    axis.axvspan(one / 4, one / 2, color="#f2f2f2", zorder=0)
    ticks = [0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95]
    axis.set_yticks(
        [_miss_place(rate) for rate in (0.0, *ticks, 1.0)], ["none", *(f"{100 * tick:g} %" for tick in ticks), "all"]
    )
    bottom, top = _miss_place(0.0) - _BESIDE_TICK, _miss_place(1.0) + _BESIDE_TICK
    axis.set_ylim(bottom, top)
    for place, frame in ((_miss_place(0.0), bottom), (_miss_place(1.0), top)):
        axis.axhspan(frame, 2 * place - frame, color="#f2f2f2", zorder=0)
    axis.set_xlabel(f"false alarms an hour (one in {report.hours:.3g} h is {one:.3g})")
    axis.set_ylabel("missed")
    axis.grid(color=_GRID, linewidth=0.6)
    axis.set_title(f"{report.split}: {report.utterances:,} recordings", loc="left", fontsize=10)
    if len(axis.get_lines()) > 1:
        axis.legend(fontsize=8, frameon=False)
    _save(figure, path)


def _fewest_misses(curve: Sequence[DetPoint]) -> list[DetPoint]:
    """Of a curve's points, by rising false alarms, those that miss fewer than all with no more false alarms do."""
    fewest: list[DetPoint] = []
    for point in sorted(curve, key=lambda point: (point.false_alarms, point.missed)):
        if not fewest or point.missed < fewest[-1].missed:
            fewest.append(point)
    # To the right of the last point nothing is gained by more false alarms, as far as any threshold has them.
    return [*fewest, replace(fewest[-1], false_alarms_per_hour=max(point.false_alarms_per_hour for point in curve))]


def _miss_place(rate: float) -> float:
    """Where a share of misses stands on its axis: at its normal deviate; none and all beyond the last ticks."""
    least, most = (NormalDist().inv_cdf(end) for end in (0.001, 0.985))
    if rate <= 0:
        return least - 2 * _BESIDE_TICK
    return most + 2 * _BESIDE_TICK if rate >= 1 else min(max(NormalDist().inv_cdf(rate), least), most)


def _figure(n_rows: int, *, heights: Sequence[float], duration: float) -> tuple[Any, NDArray[Any]]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        n_rows,
        1,
        sharex=True,
        figsize=(min(16.0, max(8.0, duration)), 0.9 * sum(heights) + 0.6),
        height_ratios=heights,
        layout="constrained",
    )
    for axis in axes:
        axis.grid(axis="x", color=_GRID, linewidth=0.6)
        axis.set_axisbelow(True)
        axis.tick_params(labelsize=8, colors=_INK)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
    return figure, axes


def _make_readable(figure: Any, labels: Mapping[Any, Sequence[Any]]) -> None:
    """Move texts of each axis into it, and leave out those that would be written over the one before."""
    figure.draw_without_rendering()  # lays the axes out, which says how wide a text is
    for axis, texts in labels.items():
        frame, end = axis.get_window_extent(), -math.inf
        for text in sorted(texts, key=lambda text: float(text.get_position()[0])):
            box = text.get_window_extent()
            inside = max(0.0, frame.x0 - box.x0) - max(0.0, box.x1 - frame.x1)
            if box.x0 + inside < end + _APART:
                text.remove()
                continue
            if inside:
                x, y = axis.transData.transform(text.get_position())
                text.set_position(axis.transData.inverted().transform((x + inside, y)))
            end = box.x1 + inside


def _envelope(waveform: Waveform) -> tuple[NDArray[Any], NDArray[Any]]:
    """The lowest and highest sample of each column."""
    per_column = max(1, len(waveform) // _COLUMNS)
    columns = waveform[: len(waveform) // per_column * per_column].reshape(-1, per_column)
    return columns.min(axis=1), columns.max(axis=1)


def _save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")  # of a script that the font lacks
            figure.savefig(path, format="png", dpi=130)
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no folder {path.parent} to draw it in") from None
    except IsADirectoryError:
        raise SettingsError(f"{path}: is a folder; name a PNG") from None
    finally:
        pyplot.close(figure)
