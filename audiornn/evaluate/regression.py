"""Values over time against their references: errors in the tracks' own units, and for pitch the field's measures.

Conventions: a frame counts in a track where the reference is defined. RMSE and MAE are over all those frames together;
R² = 1 − Σ (y − ŷ)² / Σ (y − ȳ)², ȳ the mean of the references: 0 is what always saying that mean would give. Intervals
are 95 % bootstraps over recordings.

A track named `log2_f0` is the base-2 logarithm of a fundamental frequency in Hz, and one named `voicing` is 1 where
there is one and 0 where there is none, said from 0.5 on. For them mir_eval measures (Salamon et al. 2014): raw pitch
accuracy (the share of voiced frames within 50 cents, voiced or not by the estimate), raw chroma accuracy (octaves
forgiven), and voicing recall and false alarm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import Waveform
from audiornn.corpus.manifest import Utterance
from audiornn.corpus.tracks import PITCH, VOICING, tracks_at_frames
from audiornn.errors import AudioError, CorpusError
from audiornn.evaluate.bootstrap import percentile_interval, resampled_totals
from audiornn.evaluate.error_rates import interval_of_counts
from audiornn.evaluate.hearing import Progress, hear_all, unseen
from audiornn.evaluate.tally import Tally
from audiornn.listen.recognizer import Recognizer

__all__ = ["PitchScore", "RegressionReport", "TrackRow", "evaluate_tracks", "pitch_score"]

_LEAST_SPREAD = 1e-12  # of the references' squares; less is the rounding of their sums


@dataclass(frozen=True)
class TrackRow:
    """One track: frames where it is defined, root mean square and mean absolute error, and R².

    Each has its interval; of one recording alone it is NaN. What does not vary has no R².
    """

    track: str
    frames: int
    rmse: float
    rmse_interval: tuple[float, float]
    mae: float
    mae_interval: tuple[float, float]
    r2: float | None
    r2_interval: tuple[float, float] | None


@dataclass(frozen=True)
class PitchScore:
    """The measures of melody extraction, over all recordings together.

    Attributes:
        voiced_frames: of the reference.
        raw_pitch_accuracy: share of them within 50 cents.
        raw_pitch_interval: 95 %, a bootstrap over recordings.
        raw_chroma_accuracy: the same, octaves forgiven.
        voicing_recall: share of them that are said to be voiced; None where no track says so.
        voicing_false_alarm: share of the voiceless frames that are said to be voiced.
    """

    voiced_frames: int
    raw_pitch_accuracy: float
    raw_pitch_interval: tuple[float, float]
    raw_chroma_accuracy: float
    voicing_recall: float | None
    voicing_false_alarm: float | None


@dataclass(frozen=True)
class RegressionReport:
    """What an evaluation found.

    Attributes:
        split: the split's name, or the manifest's.
        utterances: how many were listened to.
        tracks: a row each.
        pitch: where a track is a pitch.
        unreadable: recordings that could not be listened to, with the reason.
        tallies: the squared errors of each track, of each recording: what models are compared by.
    """

    split: str
    utterances: int
    tracks: tuple[TrackRow, ...]
    pitch: PitchScore | None
    unreadable: tuple[str, ...] = ()
    task: str = "regress"
    tallies: tuple[Tally, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain types; `pitch` only where there is one, and no figure of a track that is nowhere defined."""
        entry = {key: value for key, value in asdict(self).items() if key != "tallies"}
        for row in entry["tracks"]:
            row.update({key: None for key in ("rmse", "rmse_interval", "mae", "mae_interval") if not row["frames"]})
        if self.pitch is None:
            del entry["pitch"]
        return entry

    @property
    def headline(self) -> str:
        """The root mean square errors in a few words."""
        return ", ".join(f"RMSE of {row.track} {row.rmse:.4g}" for row in self.tracks)

    def to_text(self) -> str:
        """A page for people."""
        width = max(5, *(len(row.track) for row in self.tracks))
        lines = [f"{'track':{width}}  {'frames':>9}  {'RMSE (95 % interval)':28}  {'MAE (95 % interval)':28}  R²"]
        for row in self.tracks:
            errors = [
                _shown(value, interval, ".4g") if row.frames else "–"
                for value, interval in ((row.rmse, row.rmse_interval), (row.mae, row.mae_interval))
            ]
            r2 = "–" if row.r2 is None or row.r2_interval is None else _shown(row.r2, row.r2_interval, ".4f")
            lines.append(f"{row.track:{width}}  {row.frames:9,}  {errors[0]:28}  {errors[1]:28}  {r2}")
        if self.pitch is not None:
            low, high = (100 * bound for bound in self.pitch.raw_pitch_interval)
            lines += [
                "",
                f"raw pitch accuracy {100 * self.pitch.raw_pitch_accuracy:.2f} %  (within 50 cents, of "
                f"{self.pitch.voiced_frames:,} voiced frames; 95 % interval {low:.2f}–{high:.2f}), "
                f"octaves forgiven {100 * self.pitch.raw_chroma_accuracy:.2f} %",
            ]
            if self.pitch.voicing_recall is not None:
                alarms = self.pitch.voicing_false_alarm
                told = "no frame is without a voice" if alarms is None else f"false alarm {100 * alarms:.2f} %"
                lines.append(f"voicing recall {100 * self.pitch.voicing_recall:.2f} %, {told}")
        return "\n".join(lines)


def _shown(value: float, interval: tuple[float, float], form: str) -> str:
    """A figure with its interval, where there is one."""
    low, high = interval
    return f"{value:{form}}" if math.isnan(low) else f"{value:{form}} ({low:{form}}–{high:{form}})"


def evaluate_tracks(
    recognizer: Recognizer,
    utterances: Sequence[Utterance],
    split: str,
    *,
    skip_bad: bool = False,
    progress: Progress = unseen,
) -> RegressionReport:
    """Listen to every utterance, and compare its tracks with their references.

    Args:
        recognizer: a model that regresses.
        utterances: with their track files.
        split: what to call them.
        skip_bad: count unreadable recordings instead of stopping at the first.
        progress: called after each utterance.

    Raises:
        AudioError: a recording cannot be read, or its track file does not fit.
        CorpusError: there is nothing to listen to, or a track file has other tracks than the model.
    """
    card = recognizer.card

    def listen(utterance: Utterance, waveform: Waveform) -> tuple[NDArray[Any], NDArray[Any]]:
        features = recognizer.features(waveform)
        try:
            wanted, names = tracks_at_frames(utterance, len(features), card.features)
        except CorpusError as error:
            raise AudioError(f"{utterance.id}: {error}") from None  # --skip-bad leaves it out, as that of prep does
        if names != card.vocabulary.symbols:
            known = ", ".join(card.vocabulary.symbols)
            raise CorpusError(f"{utterance.track}: its tracks are {', '.join(names)}, the model's {known}")
        return recognizer.log_probs(features), wanted[:: card.stride]

    heard, unreadable = hear_all(
        utterances, split, card.features.sample_rate, listen, skip_bad=skip_bad, progress=progress
    )
    pairs = [pair for _, pair in heard]
    names = card.vocabulary.symbols
    scored = [_scored_track(name, [(f[:, i], w[:, i]) for f, w in pairs]) for i, name in enumerate(names)]
    return RegressionReport(
        split,
        len(heard),
        tuple(row for row, _ in scored),
        _pitch_of(names, pairs),
        unreadable,
        tallies=tuple(tally for _, tally in scored),
    )


def _scored_track(name: str, pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> tuple[TrackRow, Tally]:
    """One track from each recording's values and references, both (frames,)."""
    sums = []
    for found, wanted in pairs:
        defined = ~np.isnan(wanted)
        y, error = wanted[defined].astype(np.float64), (found - wanted)[defined].astype(np.float64)
        sums.append([defined.sum(), np.square(error).sum(), np.abs(error).sum(), y.sum(), np.square(y).sum()])
    table = np.array(sums)
    alone = (table[:, 0] > 0).sum() < 2  # one recording says nothing of how another fares
    measures = [] if alone else [_measures(total) for total in resampled_totals(table)]
    intervals = [percentile_interval(m[k] for m in measures) or (math.nan, math.nan) for k in range(3)]
    rmse, mae, r2 = _measures(table.sum(axis=0))
    row = TrackRow(
        name,
        int(table[:, 0].sum()),
        rmse,
        intervals[0],
        mae,
        intervals[1],
        None if math.isnan(r2) else r2,
        None if math.isnan(r2) else intervals[2],
    )
    squares, frames = tuple(table[:, 1].tolist()), tuple(table[:, 0].astype(int).tolist())
    return row, Tally(f"RMSE of {name}", name, squares, frames, intervals[0], is_root=True)


def _measures(total: NDArray[np.float64]) -> tuple[float, float, float]:
    """RMSE, MAE and R² of sums over frames: how many, squared and absolute errors, references and their squares."""
    n, squares, absolutes, y, y_squares = total
    if not n:
        return math.nan, math.nan, math.nan
    spread = y_squares - y * y / n
    varies = spread > _LEAST_SPREAD * y_squares
    return math.sqrt(squares / n), float(absolutes / n), float(1 - squares / spread) if varies else math.nan


def _pitch_of(names: Sequence[str], pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> PitchScore | None:
    if PITCH not in names:
        return None
    at = names.index(PITCH)
    if VOICING not in names:
        return pitch_score([wanted[:, at] for _, wanted in pairs], [found[:, at] for found, _ in pairs])
    voice = names.index(VOICING)  # many trackers write a pitch in every row, and beside it whether there is one
    return pitch_score(
        [np.where(wanted[:, voice] < 0.5, np.nan, wanted[:, at]) for _, wanted in pairs],
        [found[:, at] for found, _ in pairs],
        [found[:, voice] >= 0.5 for found, _ in pairs],
        [wanted[:, voice] < 0.5 for _, wanted in pairs],
    )


def pitch_score(
    wanted: Sequence[NDArray[Any]],
    found: Sequence[NDArray[Any]],
    voiced: Sequence[NDArray[np.bool_]] | None = None,
    voiceless: Sequence[NDArray[np.bool_]] | None = None,
) -> PitchScore | None:
    """mir_eval's measures of pitch.

    Args:
        wanted: log₂ of the reference in Hz, (frames,) of each recording; NaN where there is none.
        found: the estimate's.
        voiced: where the estimate says there is one; None where it does not say.
        voiceless: where the reference says there is none; None where that is wherever it has no pitch.

    Returns:
        None where no reference frame is voiced.
    """
    from mir_eval import melody

    def cents(octaves: NDArray[Any]) -> NDArray[np.float64]:
        return 1200 * (octaves.astype(np.float64) - math.log2(10.0))  # above 10 Hz, as mir_eval counts them

    counts = []
    for i, (reference, estimate) in enumerate(zip(wanted, found, strict=True)):
        is_voiced = (~np.isnan(reference)).astype(np.float64)
        said = np.ones_like(is_voiced) if voiced is None else voiced[i].astype(np.float64)
        reference_cents = np.where(is_voiced > 0, cents(reference), 0.0)
        n = is_voiced.sum()
        within = [0.0, 0.0]
        if n:
            arguments = is_voiced, reference_cents, np.ones_like(is_voiced), np.maximum(cents(estimate), 1.0)
            within = [
                n * melody.raw_pitch_accuracy(*arguments, cent_tolerance=50),
                n * melody.raw_chroma_accuracy(*arguments, cent_tolerance=50),
            ]
        without = 1 - is_voiced if voiceless is None else voiceless[i].astype(np.float64)
        counts.append([n, *within, (is_voiced * said).sum(), without.sum(), (without * said).sum()])
    table = np.array(counts)
    n, right, chroma, recalled, n_voiceless, alarms = table.sum(axis=0)
    if not n:
        return None
    return PitchScore(
        int(n),
        float(right / n),
        interval_of_counts(table[:, :2], lambda total: total[1] / total[0]),
        float(chroma / n),
        None if voiced is None else float(recalled / n),
        None if voiced is None or not n_voiceless else float(alarms / n_voiceless),
    )
