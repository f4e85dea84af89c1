"""How far back a gradient reaches, and how far back a cell remembers: a table, JSON lines, a picture.

Conventions: a lag is counted in frames of the recurrent layer, from frame T, at which the loss is felt, back to frame
T − lag. A norm is that of ∂loss_T/∂state, relative to its own at lag 0. `reach` is the last lag before the norm first
falls below a level.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiornn.evaluate.error_rates import wilson_interval
from audiornn.files import write_atomically

__all__ = ["GradientCurve", "GradientReport", "MemoryRow", "MemoryScore", "reach"]

_SHOWN_LAGS = (1, 10, 30, 100, 300, 1000)
_LEAST_DRAWN = 1e-12
_STYLES = ("-", "--", ":")


def reach(norms: Sequence[float], level: float) -> int:
    """The last lag before `norms`, which begin at lag 0, first fall below a level; their last where they never do."""
    below = np.flatnonzero(np.asarray(norms) < level)
    return int(below[0]) - 1 if len(below) else len(norms) - 1


@dataclass(frozen=True)
class GradientCurve:
    """The gradient in one recurrent layer against the lag.

    Attributes:
        layer: which, and of what cell.
        training: what the network went through before.
        norms: at lags 0, 1, …: the median over utterances of the norm relative to its own at lag 0.
        loss: mean training loss of the last tenth of the steps; None before training.
        clipped: share of the training's steps whose gradient was longer than `training.clip_norm`.
        longest: the longest gradient of all steps.
    """

    layer: str
    training: str
    norms: tuple[float, ...]
    loss: float | None = None
    clipped: float | None = None
    longest: float | None = None

    @property
    def factor(self) -> float:
        """By how much the norm changes a frame: its geometric mean over all lags, as far as it is above zero."""
        last = reach(self.norms, np.finfo(float).tiny)
        return float(self.norms[last] ** (1 / last)) if last > 0 else 0.0


@dataclass(frozen=True)
class MemoryScore:
    """How many tones a trained cell told after a lag.

    Attributes:
        lag: frames of noise between the tone and the question.
        seed: of weights and sounds.
        steps: of training; fewer than were allowed where the task was solved before.
        right: tones told rightly.
        total: tones asked for.
    """

    lag: int
    seed: int
    steps: int
    right: int
    total: int


@dataclass(frozen=True)
class MemoryRow:
    """One kind of cell at the memory task.

    Attributes:
        cell: its name.
        norms: of its gradient before training, as of `GradientCurve`.
        predicted: the lag up to which that gradient stands out of the noise of all that is heard while training.
        scores: a lag and seed each.
    """

    cell: str
    norms: tuple[float, ...]
    predicted: int
    scores: tuple[MemoryScore, ...]

    @property
    def lags(self) -> list[int]:
        """All lags, rising."""
        return sorted({score.lag for score in self.scores})

    def counts(self, lag: int) -> tuple[int, int]:
        """Tones told rightly and asked for at a lag, over all seeds."""
        scores = [score for score in self.scores if score.lag == lag]
        return sum(score.right for score in scores), sum(score.total for score in scores)


@dataclass(frozen=True)
class GradientReport:
    """All that `audiornn gradients` measured.

    Attributes:
        title: of what.
        frame_seconds: from a frame of the recurrent layer to the next.
        curves: a layer and state of training each.
        memory: a kind of cell each; empty where the task was not set.
        memory_task: what was asked, in words.
        chance: the share that guessing gets right.
    """

    title: str
    frame_seconds: float
    curves: tuple[GradientCurve, ...]
    memory: tuple[MemoryRow, ...] = ()
    memory_task: str = ""
    chance: float = 0.0

    def text(self) -> str:
        """One or two tables."""
        return "\n".join([*self._gradient_lines(), *(["", *self._memory_lines()] if self.memory else [])])

    def json_objects(self) -> Iterator[dict[str, Any]]:
        """A curve, a row of the memory task each."""
        for curve in self.curves:
            yield {"gradient": asdict(curve) | {"factor": curve.factor, "frame_seconds": self.frame_seconds}}
        for row in self.memory:
            yield {"memory": asdict(row) | {"task": self.memory_task, "chance": self.chance}}

    def draw(self, path: Path) -> None:
        """Write a PNG: gradients against the lag, and where there are any, memories against the lag."""
        import matplotlib
        from matplotlib.figure import Figure

        with matplotlib.rc_context({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9}):
            figure = Figure(figsize=(11 if self.memory else 7, 4.2), layout="constrained")
            axes = figure.subplots(1, 2 if self.memory else 1, squeeze=False)[0]
            self._draw_gradients(axes[0])
            if self.memory:
                self._draw_memory(axes[1])
            with write_atomically(path) as out:
                figure.savefig(out, format="png", dpi=110, metadata={"Software": None})

    def _gradient_lines(self) -> list[str]:
        longest = max(len(curve.norms) for curve in self.curves) - 1
        lags = [lag for lag in _SHOWN_LAGS if lag <= longest]
        layer = max(len("layer"), *(len(curve.layer) for curve in self.curves))
        training = max(len("training"), *(len(curve.training) for curve in self.curves))
        head = f"{'layer':{layer}}  {'training':{training}}  a frame  " + "  ".join(f"lag {lag:<5,}" for lag in lags)
        trained = any(curve.loss is not None for curve in self.curves)
        lines = [self.title, head.rstrip() + ("      loss  clipped   longest" if trained else "")]
        for curve in self.curves:
            shown = "  ".join(f"{curve.norms[lag]:9.1e}" if lag < len(curve.norms) else " " * 9 for lag in lags)
            line = f"{curve.layer:{layer}}  {curve.training:{training}}  {curve.factor:7.3f}  {shown}"
            if curve.loss is not None and curve.clipped is not None and curve.longest is not None:
                line += f"  {curve.loss:8.3f}  {100 * curve.clipped:5.1f} %  {curve.longest:8.3g}"
            lines.append(line.rstrip())
        return lines

    def _memory_lines(self) -> list[str]:
        lags = self.memory[0].lags
        width = max(len("cell"), *(len(row.cell) for row in self.memory))
        lines = [self.memory_task, f"{'cell':{width}}  predicted" + "".join(f"  {f'lag {lag:,}':>18}" for lag in lags)]
        longest = len(self.memory[0].norms) - 1
        for row in self.memory:
            predicted = f"{row.predicted:,}" if row.predicted < longest else f">{longest - 1:,}"
            line = f"{row.cell:{width}}  {predicted:>9}"
            for lag in lags:
                right, total = row.counts(lag)
                line += f"  {100 * right / total:6.1f} % {f'{right}/{total}':>9}"
            lines.append(line)
        return lines

    def _draw_gradients(self, axes: Any) -> None:
        layers = list(dict.fromkeys(curve.layer for curve in self.curves))
        trainings = list(dict.fromkeys(curve.training for curve in self.curves))
        for curve in self.curves:
            norms = np.where(np.array(curve.norms) < _LEAST_DRAWN, np.nan, curve.norms)
            axes.semilogy(
                norms,
                _STYLES[trainings.index(curve.training) % len(_STYLES)],
                color=f"C{layers.index(curve.layer)}",
                label=f"{curve.layer}, {curve.training}",
                linewidth=1.4,
            )
        axes.set_ylim(_LEAST_DRAWN, 10 * max(max(curve.norms) for curve in self.curves))
        axes.set_xlabel(f"lag T − t (frames of {1000 * self.frame_seconds:.0f} ms)")
        axes.set_ylabel("‖∂loss$_T$ / ∂h$_t$‖, relative to lag 0")
        axes.legend(fontsize=7, frameon=False)

    def _draw_memory(self, axes: Any) -> None:
        for i, row in enumerate(self.memory):
            right, total = zip(*(row.counts(lag) for lag in row.lags), strict=True)
            share = np.array(right) / np.array(total)
            bounds = np.array([wilson_interval(r, n) for r, n in zip(right, total, strict=True)])
            errors = np.abs(bounds.T - share)
            style: dict[str, Any] = {"fmt": "o-", "markersize": 4, "zorder": 2}
            if i % 2:  # open and dashed above the others, so that of two that are alike both are seen
                style = {"fmt": "s--", "markersize": 7, "markerfacecolor": "none", "zorder": 3}
            axes.errorbar(row.lags, share, yerr=errors, color=f"C{i}", label=row.cell, capsize=2, **style)
            if row.predicted > 0:  # a logarithmic axis has no place for 0
                axes.axvline(row.predicted, color=f"C{i}", linestyle=":", linewidth=1)
        axes.axhline(self.chance, color="0.6", linewidth=1)
        axes.set_xscale("log")
        axes.set_ylim(0, 1.05)
        axes.set_xlabel("frames of noise after the tone (dotted: as predicted)")
        axes.set_ylabel("tones recalled (grey: chance)")
        axes.legend(fontsize=7, frameon=False, loc="center right")
