"""Pictures of spotting: why a recording gave its hits, and what each threshold would cost. Needs matplotlib."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import Waveform
from audiornn.errors import SettingsError
from audiornn.evaluate.spotting import SpotReport
from audiornn.listen.keywords import Scores, SpotSettings, moving_mean
from audiornn.listen.results import KeywordSpot

__all__ = ["draw_det", "draw_spots"]

_INK, _GRID = "#333333", "#dddddd"
#: Okabe and Ito's, which people with any kind of colour vision can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_COLUMNS = 2000  # of a drawn waveform; more cannot be seen
_MOST_KEYWORDS = 12


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
    top.set_ylim(-1.1 * peak, 1.1 * peak)
    top.set_yticks([])
    top.set_title(title, loc="left", fontsize=10, color=_INK)
    frames = np.arange(len(scores.values)) * output_seconds  # the middle of each
    values = moving_mean(scores.values, settings.smoothing, output_seconds)
    for k, (keyword, axis) in enumerate(zip(keywords, axes[1:], strict=True)):
        colour = _COLOURS[k % len(_COLOURS)]
        onset, offset = settings.threshold(keyword)
        axis.fill_between(frames, 0, values[:, k], step="mid", color=colour, alpha=0.25, linewidth=0)
        axis.step(frames, values[:, k], where="mid", color=colour, linewidth=1.2)
        axis.axhline(onset, color=_INK, linewidth=0.9, linestyle="--")
        axis.axhline(offset, color=_INK, linewidth=0.9, linestyle=":")
        axis.text(1.004, onset, f"onset {onset:.2g}", transform=axis.get_yaxis_transform(), va="bottom", fontsize=7)
        axis.text(1.004, offset, f"offset {offset:.2g}", transform=axis.get_yaxis_transform(), va="top", fontsize=7)
        axis.set_ylim(0, 1.05)
        axis.set_yticks([0, 0.5, 1])
        axis.set_ylabel(keyword, rotation=0, ha="right", va="center", fontsize=9, color=colour, fontweight="bold")
        for spot in spots:
            if spot.keyword != keyword:
                continue
            for both in (top, axis):
                both.axvspan(
                    spot.start, max(spot.end, spot.start + duration / 500), color=colour, alpha=0.18, linewidth=0
                )
            axis.text(
                (spot.start + spot.end) / 2, 0.97, f"{spot.score:.2f}", ha="center", va="top", fontsize=7, color=_INK
            )
            top.text(
                (spot.start + spot.end) / 2,
                1.02 * peak,
                keyword,
                ha="center",
                va="top",
                fontsize=8,
                color=colour,
                fontweight="bold",
            )
    axes[-1].set_xlim(
        0, max(duration, float(frames[-1]) if len(frames) else 0.0)
    )  # the silence that settles the end, too
    axes[-1].set_xlabel("seconds", fontsize=9)
    _save(figure, path)


def draw_det(path: Path, report: SpotReport) -> None:
    """Draw the detection error trade-off of each keyword (Martin et al. 1997) as a PNG: misses against false alarms.

    Misses stand on a normal deviate's axis, false alarms an hour on a logarithmic one whose left end is none at all;
    the dot is the threshold that was evaluated. The thick curve is all keywords together, at one threshold for all.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6.4, 5), layout="constrained")
    one = 1 / report.hours
    ticks = [0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95]
    lowest, highest = 0.0005, 0.97
    deviate = NormalDist().inv_cdf
    rows = [*report.keywords, report.total] if len(report.keywords) > 1 else report.keywords
    for k, row in enumerate(rows):
        if not row.det or not row.said:
            continue
        colour, style = _COLOURS[k % len(_COLOURS)], ("-", "--", ":")[k // len(_COLOURS) % 3]
        width = 1.4
        if row is report.total:
            colour, style, width = _INK, "-", 3.0
        x = [max(point.false_alarms_per_hour, one / 3) for point in row.det]
        y = [deviate(min(max(point.miss_rate, lowest), highest)) for point in row.det]
        axis.plot(x, y, style, color=colour, linewidth=width, label=row.keyword, drawstyle="steps-post")
        axis.plot(
            max(row.false_alarms_per_hour, one / 3),
            deviate(min(max(row.miss_rate or 0.0, lowest), highest)),
            "o",
            color=colour,
            markersize=6,
        )
    axis.set_xscale("log")
    axis.axvspan(one / 3.5, one / 2, color="#f2f2f2", zorder=0)
    most = max([one, *(point.false_alarms_per_hour for row in report.keywords for point in row.det)])
    rates = [10.0**power for power in range(-4, 6) if one / 1.5 < 10.0**power <= most]
    axis.set_xticks([one / 3, *rates], ["none", *(f"{rate:g}" for rate in rates)])
    axis.set_xticks([], minor=True)
    axis.set_xlim(one / 3.5, 1.3 * most)
    axis.set_yticks([deviate(tick) for tick in ticks], [f"{100 * tick:g} %" for tick in ticks])
    axis.set_ylim(deviate(lowest), deviate(highest))
    axis.set_xlabel(f"false alarms an hour (one in {report.hours:.3g} h is {one:.3g})")
    axis.set_ylabel("missed")
    axis.grid(color=_GRID, linewidth=0.6)
    axis.set_title(f"{report.split}: {report.utterances:,} recordings", loc="left", fontsize=10)
    if len(axis.get_lines()) > 1:
        axis.legend(fontsize=8, frameon=False)
    _save(figure, path)


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
