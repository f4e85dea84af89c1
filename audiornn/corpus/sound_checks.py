"""Checks of how a corpus sounds: sample rates, levels, noise, faults of recording, channels, durations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from audiornn.corpus.findings import Finding, Inspected

__all__ = ["channels", "durations", "levels", "rates"]

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
_LENGTH = 10.0  # times longer or shorter than the median


def rates(seen: Inspected) -> Iterator[Finding]:
    """Sample rates that differ, or promise more than there is."""
    n_of_rate = Counter(int(r) for r in seen.rows["sample_rate"][seen.heard])
    if not n_of_rate:
        return
    commonest = max(n_of_rate, key=lambda r: (n_of_rate[r], r))
    wanted = seen.corpus.sample_rate or commonest
    listed = ", ".join(f"{n:,} at {r:,} Hz" for r, n in sorted(n_of_rate.items()))
    # Where all are recorded at more than the features hear, resampling leaves them alike.
    mixed = (seen.rows["sample_rate"] != commonest) & (min(n_of_rate) <= wanted)
    yield from seen.finding(
        "mixed rates",
        seen.select(mixed, by_label=False),
        f"have another sample rate than the rest ({listed})",
        lambda row: f"{int(row['sample_rate']):,} Hz",
        f"all are resampled to {wanted:,} Hz; but below that rate the high bands are empty, and a label that goes with "
        "a rate is learnt by it: record alike, or set features.sample_rate to the lowest",
    )
    if len(n_of_rate) == 1 and commonest < wanted:
        yield from seen.finding(
            "low rate",
            seen.select(seen.heard, by_label=False),
            f"are recorded at {commonest:,} Hz, below the {wanted:,} Hz of the features",
            lambda row: f"{int(row['sample_rate']):,} Hz",
            f"set features.sample_rate = {commonest}",
        )
    narrow = seen.sounding & (seen.rows["bandwidth"] < _NARROW * min(wanted, commonest) / 2)
    narrow &= seen.rows["bandwidth"] < 0.99 * seen.rows["sample_rate"] / 2
    yield from seen.finding(
        "band-limited",
        seen.select(narrow, by_label=False),
        f"hold nothing above a cliff in the spectrum, below {_NARROW * min(wanted, commonest) / 2:,.0f} Hz",
        lambda row: f"ends at {row['bandwidth']:,.0f} Hz, its rate promises {row['sample_rate'] / 2:,.0f} Hz",
        "they were up-sampled, or came through a telephone or a codec: find the originals, "
        "or set features.sample_rate to twice the least bandwidth for all",
        worst=lambda row: -float(row["bandwidth"]),
    )


def levels(seen: Inspected) -> Iterator[Finding]:
    """Clipping, silence, noise, offsets, holes, and sound that is cut at an edge or far from it."""
    rows, snr = seen.rows, seen.rows["level"] - seen.rows["noise"]
    yield from seen.finding(
        "clipping",
        seen.select(rows["flat_peaks"] >= _FLAT_PEAKS),
        "are clipped: their peaks are cut flat",
        lambda row: f"{int(row['flat_peaks']):,} flat peaks at {float(row['peak']):.2f} of full scale",
        "record them again at a lower gain; what is cut off cannot be brought back",
        worst=lambda row: float(row["flat_peaks"]),
    )
    silent = ~seen.sounding | (rows["level"] < _QUIET)
    yield from seen.finding(
        "silence",
        seen.select(silent),
        "are silent, or nearly",
        lambda row: "digital silence" if not row["identity"] else f"{float(row['level']):.0f} dBFS at its loudest",
        "was the microphone muted, or the wrong channel taken? record them again",
        worst=lambda row: -float(row["level"]),
    )
    yield from seen.finding(
        "noise",
        seen.select(seen.sounding & ~silent & (snr < _LEAST_SNR)),
        f"rise less than {_LEAST_SNR:.0f} dB above their own noise",
        lambda row: f"signal to noise about {float(row['level'] - row['noise']):.0f} dB",
        "listen: is there any speech in them?",
        worst=lambda row: -float(row["level"] - row["noise"]),
    )
    yield from seen.finding(
        "offset",
        seen.select(np.abs(rows["dc"]) > _OFFSET),
        "have a constant offset (DC)",
        lambda row: f"mean sample {float(row['dc']):+.3f} of full scale",
        "a fault of the sound card: high-pass them at 20 Hz",
        worst=lambda row: abs(float(row["dc"])),
    )
    yield from seen.finding(
        "drop-out",
        seen.select(rows["dropout"] > _DROPOUT),
        "have a hole in the middle of sound",
        lambda row: f"{1000 * float(row['dropout']):.0f} ms without a change",
        "lost packets or buffer under-runs: record them again",
        worst=lambda row: float(row["dropout"]),
    )
    if seen.corpus.task not in ("label", "regress"):  # else labels or values say where there is what
        yield from _edges(seen, sound=seen.sounding & ~silent & (snr > _CUT_SNR))


def _edges(seen: Inspected, sound: NDArray[np.bool_]) -> Iterator[Finding]:
    """Sound that is cut off, and long silence around it."""
    rows = seen.rows
    for edge, key in (("beginning", "first_level"), ("end", "last_level")):
        other = "start recording earlier" if edge == "beginning" else "stop recording later"
        yield from seen.finding(
            f"cut-off {edge}",
            seen.select(sound & (rows[key] - rows["level"] > _CUT)),
            f"are as loud at their very {edge} as anywhere: the sound there is cut",
            lambda row, key=key: (
                f"{float(row[key]):.0f} dBFS in the outer 20 ms, {float(row['level']):.0f} dBFS where loud"
            ),  # type: ignore[misc]
            f"is it a click? else {other}, or widen the segment",
            worst=lambda row, key=key: float(row[key] - row["level"]),  # type: ignore[misc]
        )
    for edge, key in (("before", "leading"), ("after", "trailing")):
        usual = float(np.percentile(rows[key][sound], 75)) if sound.any() else 0.0
        yield from seen.finding(
            f"silence {edge}",
            seen.select(sound & (rows[key] > max(_LONG_SILENCE, 3 * usual + 1))),
            f"have a long silence {edge} the sound; {usual:.1f} s is usual here",
            lambda row, key=key: f"{float(row[key]):.1f} of {float(row['duration']):.1f} s",  # type: ignore[misc]
            "trim them, or check that the text is all of what is said",
            worst=lambda row, key=key: float(row[key]),  # type: ignore[misc]
        )


def channels(seen: Inspected) -> Iterator[Finding]:
    """Channels that are dead, cancel, or are more or fewer than the others'."""
    rows = seen.rows
    yield from seen.finding(
        "dead channel",
        seen.select((rows["n_channels"] > 1) & (rows["channel_gap"] > _DEAD_CHANNEL), by_label=False),
        "have a channel without the sound of the other",
        lambda row: f"one of {int(row['n_channels'])} channels is {float(row['channel_gap']):.0f} dB below another",
        "all channels are mixed; write the one with the voice out as mono",
        worst=lambda row: float(row["channel_gap"]),
    )
    yield from seen.finding(
        "counter-phase",
        seen.select((rows["n_channels"] > 1) & (rows["channel_correlation"] < _COUNTER_PHASE), by_label=False),
        "have channels that cancel when they are mixed",
        lambda row: f"correlation {float(row['channel_correlation']):+.2f}",
        "a cable is wired the wrong way round; write one channel out as mono",
        worst=lambda row: -float(row["channel_correlation"]),
    )
    counts = Counter(int(n) for n in rows["n_channels"][seen.heard])
    commonest = max(counts, key=lambda n: (counts[n], n), default=1)
    yield from seen.finding(
        "mixed channels",
        seen.select((rows["n_channels"] != commonest) & (len(counts) > 1), by_label=False),
        "have another number of channels than the rest",
        lambda row: f"{int(row['n_channels'])} channels, most have {commonest}",
        "fine where one microphone is mixed down; check that no channel holds another speaker",
    )


def durations(seen: Inspected) -> Iterator[Finding]:
    """Recordings far longer or shorter than usual."""
    seconds = seen.rows["duration"]
    if not seen.heard.any():
        return
    median = float(np.median(seconds[seen.heard]))
    for kind, flags in (("very long", seconds > _LENGTH * median + 5), ("very short", seconds < median / _LENGTH)):
        yield from seen.finding(
            kind,
            seen.select(flags),
            f"are {kind}, beside a median of {median:.2f} s",
            lambda row: f"{float(row['duration']):.2f} s",
            "cut long ones into utterances; listen whether short ones hold anything",
        )
