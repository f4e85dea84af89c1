"""Which settings suit a corpus: sample rate, symbols, network and training, each with its reason.

They are guesses from counts and headers, good enough to start with; none has been tuned on the corpus.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from audiornn.audio import AudioInfo
from audiornn.corpus.collection import Collection
from audiornn.corpus.layouts.survey import named
from audiornn.corpus.manifest import SPLITS, Utterance
from audiornn.corpus.segment_checks import SLIP
from audiornn.corpus.stretches import STRETCH
from audiornn.corpus.tracks import PITCH
from audiornn.corpus.voice_pitch import VoicePitch, pitch_band, voice_pitch
from audiornn.errors import SettingsError
from audiornn.features import FeatureSettings
from audiornn.settings import TrainingSettings
from audiornn.text import apply_rules, removed_marks
from audiornn.vocabulary import Vocabulary, ctc_length

__all__ = ["LEFT_OUT", "Setting", "feature_settings", "heard_seconds", "model_settings", "unlearnable"]

#: How lines end that say what prep refuses without that option.
LEFT_OUT = "prep leaves them out with --skip-bad"

_STEPS = 3000  # a training of this many steps is enough for most and over in minutes
_MORE_STEPS, _HEARD = 6000, 35.0  # CTC goes on to learn: so many, unless they hear more than so many hours
_LEAST_STEPS, _ROUNDS = 1000, 500  # of a classifier: few recordings are heard more often, up to so many times
_FEW = 150  # utterances, below which CTC needs help to leave its blank plateau
_SOME = 4000  # utterances, below which too much noise and too many masks leave CTC learning for long
_SLIPS = 0.01  # of the recordings, in which they overlap by more and should not
_MARGIN = 1.25  # frames that CTC should have for each it needs: augmentation makes an utterance a tenth faster
_AT_EASE = 4.75  # frames to spare for each: CTC still has two at 30 ms an output, and AN4 does better in less time
_LOWEST_PITCH, _HIGHEST_PITCH = 55.0, 520.0  # Hz; features reach as far at the least, as recipes/pitch's
_LAGS_AN_OCTAVE = 34.6
_WINDOWS, _HOPS = (200, 1200), (80, 480)  # samples of a frame at 8 kHz and below, and at 48 and above; likewise apart
_RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000, 192000)
_ROOM = 1.1  # of the band above a label
_HIGH = 1000.0  # Hz from which a label is no voice's


@dataclass(frozen=True)
class Setting:
    """A line of recipe.toml: `key = value  # reason`; `section` is empty for those at the top."""

    section: str
    key: str
    value: str | int | float | bool
    reason: str = ""


def heard_seconds(utterance: Utterance, header: AudioInfo) -> float:
    """The length of an utterance, by its own word or its recording's header."""
    return utterance.duration or max(0.0, header.duration - utterance.start)


def model_settings(
    collection: Collection,
    splits: Mapping[str, Sequence[Utterance]],
    headers: Sequence[tuple[Utterance, AudioInfo]],
    *,
    sample_rate: int | None = None,
) -> tuple[list[Setting], list[str]]:
    """Everything from features to training, and lines on what was guessed of it; `sample_rate` in Hz is asked for."""
    n_train = len(splits["train"])
    if collection.task == "regress":
        settings, guessed = _regressor(collection, headers, sample_rate)
        return settings + _timed_training(n_train, headers), guessed
    rate, guessed = _sample_rate([header for _, header in headers], sample_rate, collection.band)
    settings = feature_settings(rate, log_mel=collection.task != "transcribe" or n_train >= _FEW)
    settings += _lowest_frequency(collection.band, rate)
    if collection.task == "classify":
        settings += [
            Setting("model", "front", "conv2d", "the best on dev of Speech Commands"),
            Setting(
                "model",
                "stride",
                3,
                f"an output every {_hop(rate, 3)}: a third less to compute than every {_hop(rate, 2)}",
            ),
            Setting("training", "label_smoothing", 0.1),
        ]
        if collection.several:
            settings.append(Setting("vocabulary", "several", True, "labels parted by commas: any number of them holds"))
        return settings + _classifier_training(n_train), guessed
    if collection.task == "label":
        settings += [Setting("model", "front", "conv2d", "convolutions over time and bands: fewer words mistaken")]
        settings.append(Setting("model", "stride", 2, f"an output every {_hop(rate, 2)}"))
        n_overlapping = sum(_overlap(utterance) for utterance in collection.utterances)
        if n_overlapping > _SLIPS * len(collection.utterances):
            settings.append(Setting("vocabulary", "several", True, "labels overlap"))
            guessed.append(
                f"labels overlap in {n_overlapping:,} recordings, so that each is judged by itself; "
                "vocabulary.several = false gives a frame one label, and prep names what overlaps"
            )
        return settings + _timed_training(n_train, headers), guessed
    texts = [u.text for u in collection.utterances]
    vocabulary, line = _vocabulary_settings(texts)
    rules = {setting.key: setting.value for setting in vocabulary}
    stride, fits = _stride(headers, rules, rate)
    settings += [*vocabulary, *_transcriber(n_train, stride, str(rules["unit"]), rate)]
    settings += _transcriber_training(n_train, fmean([heard_seconds(u, header) for u, header in headers] or [0.0]))
    guessed.append(line)
    if not fits:
        guessed.append(f"some texts are too long for their audio to be learnt by CTC: {LEFT_OUT}")
    return settings, guessed


def _regressor(
    collection: Collection, headers: Sequence[tuple[Utterance, AudioInfo]], sample_rate: int | None
) -> tuple[list[Setting], list[str]]:
    if pitch := voice_pitch(collection.utterances, collection.tracks):
        settings, guessed = _pitch_settings(pitch), [f"{pitch.name} is a voice's pitch: features are recipes/pitch's"]
        if sample_rate is not None:
            raise SettingsError(f"--sample-rate is not for a voice's pitch ({pitch.name}), which is heard at 8,000 Hz")
        if pitch.no_voice:
            guessed.append(
                f"{pitch.name} is 0 or below in {100 * pitch.no_voice:.2g} % of the rows, as pitch trackers say that "
                "there is no voice; it would be learnt as a pitch: leave those cells of a table empty"
            )
        if pitch.name != PITCH:
            guessed.append(
                f"{pitch.name} named {PITCH}, as base-2 logarithms of Hz and empty where there is no voice, would be "
                "scored in cents, too"
            )
    else:
        band = pitch_band(collection.utterances, collection.tracks)
        rate, guessed = _sample_rate([header for _, header in headers], sample_rate, band, "pitches")
        settings = feature_settings(rate, log_mel=True)
    return settings + _OF_VALUES, guessed


def _pitch_settings(pitch: VoicePitch) -> list[Setting]:
    """Features in which the pitch stands as a peak: recipes/pitch's, reaching further where these voices do."""
    lowest, highest = min(_LOWEST_PITCH, pitch.lowest), max(_HIGHEST_PITCH, pitch.highest)
    n_lags = round(_LAGS_AN_OCTAVE * math.log2(highest / lowest))
    fmin, fmax = 50.0, 1000.0 * highest / _HIGHEST_PITCH
    return [
        Setting("features", "kind", "autocorrelation", f"{pitch.name} is a pitch, which stands in it as a peak"),
        Setting("features", "sample_rate", 8000),
        Setting("features", "n_fft", 1024),
        Setting("features", "win_length", 512, "64 ms"),
        Setting("features", "hop_length", 80),
        Setting("features", "n_mels", 1 + round((fmax - fmin) / 10), "a band every 10 Hz"),
        Setting("features", "n_lags", n_lags, "a third of a semitone from one to the next"),
        Setting("features", "lowest_pitch", lowest, "Hz"),
        Setting("features", "highest_pitch", highest),
        Setting("features", "fmin", fmin),
        Setting("features", "fmax", fmax),
        Setting(
            "model", "bins", n_lags, 'a probability each: it may say "this or an octave higher", not what lies between'
        ),
    ]


#: As recipes/pitch has it.
_OF_VALUES = [
    Setting("model", "front", "conv", "an output every 20 ms"),
    Setting("model", "stride", 2),
    Setting("model", "dropout", 0.0, "a value with a grain of dropout is no value"),
    Setting("augment", "warp", 0.0, "it moves harmonics, and with them a pitch; 0.1 for values that voices share"),
    Setting("augment", "time_masks", 0, "what is cut away has no value to be guessed from"),
    Setting("augment", "band_masks", 0),
]


def _overlap(utterance: Utterance) -> bool:
    """Whether two labels hold at once for longer than a slip of the hand."""
    held: dict[str, float] = {}
    for segment in sorted(utterance.segments):
        if any(end - segment.start > SLIP for label, end in held.items() if label != segment.label):
            return True
        held[segment.label] = max(segment.end, held.get(segment.label, 0.0))
    return False


def _sample_rate(
    headers: Sequence[AudioInfo], asked: int | None, band: tuple[float, float] | None, what: str = "labels"
) -> tuple[int, list[str]]:
    """The commonest, within what the labels say or speech needs; and lines on it.

    Args:
        headers: of the recordings.
        asked: Hz, by the user.
        band: the lowest and the highest Hz of the labels.
        what: these are called.
    """
    counts = Counter(header.sample_rate for header in headers)
    if not counts:
        return asked or 16000, ["no header of the recordings looked at can be read; prep will say of each why"]
    common = counts.most_common(1)[0][0]
    changes, lines = f"new --sample-rate {common} hears all of them", []
    rate = min(16000, common)
    if asked:
        rate = asked
    elif band is not None:
        enough = [known for known in _RATES if rate <= known < common and known >= 2 * _ROOM * band[1]]
        rate = min([*enough, common])
        how = f"at {rate:,} Hz; {changes}" if rate < common else f"at the recordings' own {rate:,} Hz"
        highest = f"the {what} reach up to {band[1]:,.0f} Hz"
        if 2 * band[1] > rate and len(counts) > 1:  # the commonest rate is not the highest
            lines.append(f"{highest}, of which what lies below {rate // 2:,} Hz is heard {how}")
        else:
            lines.append(f"{highest}, so that all is heard {how}")
    elif common > rate:
        lines.append(
            f"of recordings at {common:,} Hz, what lies below {rate // 2:,} Hz is heard, as of speech; {changes}"
        )
    if len(counts) > 1:
        shares = ", ".join(f"{r:,} Hz: {100 * n / len(headers):.0f} %" for r, n in counts.most_common(4))
        lines.append(f"sample rates differ ({shares}); all become {rate:,} Hz, new --sample-rate takes another")
    return rate, lines


def _window(rate: int) -> tuple[int, int]:
    """Samples of a frame, and from one to the next: 25 and 10 ms where there is speech.

    Whales are heard at rates at which 25 ms hold no sound yet, and bats call for less.
    """
    return (
        min(max(round(0.025 * rate), _WINDOWS[0]), _WINDOWS[1]),
        min(max(round(0.01 * rate), _HOPS[0]), _HOPS[1]),
    )


def _hop(rate: int, n_frames: int) -> str:
    """So many frames in words."""
    return f"{1000 * n_frames * _window(rate)[1] / rate:.3g} ms"


def _lowest_frequency(band: tuple[float, float] | None, rate: int) -> list[Setting]:
    """Where the bands begin: half-way below labels that lie high, which then have more bands to themselves."""
    if band is None or band[0] < _HIGH or band[0] >= rate / 2:
        return []
    return [Setting("features", "fmin", float(round(band[0] / 2, -2)), f"the labels begin at {band[0]:,.0f} Hz")]


def feature_settings(rate: int, *, log_mel: bool) -> list[Setting]:
    """Features at a rate in Hz."""
    settings = []
    if log_mel:
        settings.append(
            Setting("features", "kind", "log_mel", "better than MFCCs on dev of Speech Commands; not compared here")
        )
    if rate != FeatureSettings().sample_rate:
        window, hop = _window(rate)
        settings += [
            Setting("features", "sample_rate", rate, f"{1000 * window / rate:.3g} ms every {_hop(rate, 1)}"),
            Setting("features", "n_fft", 1 << (window - 1).bit_length()),
            Setting("features", "win_length", window),
            Setting("features", "hop_length", hop),
        ]
    return settings


def _vocabulary_settings(texts: Sequence[str]) -> tuple[list[Setting], str]:
    """Unit, case and punctuation, from the texts; and a line on them."""
    has_marks = any(removed_marks(text) for text in texts)
    is_mixed = any(not text.isupper() and not text.islower() for text in texts if text.upper() != text.lower()) or (
        len({text.isupper() for text in texts if text.isupper() or text.islower()}) > 1
    )
    lower_case, punctuation = is_mixed or has_marks, "remove" if has_marks else "keep"
    is_turkish = lower_case and 100 * sum("İ" in text or "ı" in text for text in texts) >= len(texts)
    language = "tr" if is_turkish else ""
    words = Counter(
        word
        for text in texts
        for word in apply_rules(text, lower_case=lower_case, punctuation=punctuation, language=language).split()
    )
    few = 0 < len(words) <= 100 and sum(words.values()) >= 5 * len(words)
    reason = f"{len(words):,} different words" + (", each often" if few else "; too many to learn each as one")
    settings = [Setting("vocabulary", "unit", "word" if few else "character", reason)]
    if lower_case:
        settings.append(Setting("vocabulary", "lower_case", True, "the texts mix cases" if is_mixed else ""))
    if language:
        settings.append(Setting("vocabulary", "language", language, "the texts hold İ or ı: I is the capital of ı"))
    if has_marks:
        marks = named(sorted({repr(mark) for text in texts for mark in removed_marks(text)}))
        settings.append(Setting("vocabulary", "punctuation", "remove", f"the texts hold {marks}; none of it is heard"))
    changed = [setting.key for setting in settings[1:]]
    rest = f", {' and '.join(changed)} set: the model writes so" if changed else ""
    return settings, f"symbols are {settings[0].value}s ({reason}){rest}; [vocabulary] of recipe.toml changes it"


def _vocabulary(rules: Mapping[str, Any]) -> Vocabulary:
    """One without symbols, by the rules of the settings."""
    return Vocabulary(
        (),
        rules["unit"],
        bool(rules.get("lower_case")),
        str(rules.get("punctuation", "keep")),
        str(rules.get("language", "")),
        several=bool(rules.get("several")),
    )


def _stride(headers: Sequence[tuple[Utterance, AudioInfo]], rules: Mapping[str, Any], rate: int) -> tuple[int, bool]:
    """Frames to an output: as many as CTC can spare for the densest of the texts; and whether it can learn them."""
    vocabulary = _vocabulary(rules)
    spare = []
    for utterance, header in headers:
        symbols = vocabulary.split(utterance.text)
        ids = {symbol: i for i, symbol in enumerate(dict.fromkeys(symbols))}
        needed = ctc_length([ids[symbol] for symbol in symbols])
        if needed:
            spare.append(heard_seconds(utterance, header) * rate / _window(rate)[1] / (needed * _MARGIN))
    spare.sort()
    least = spare[len(spare) // 50] if spare else 2.0  # one in fifty may be a wrong transcript
    most = 3 if rules["unit"] == "word" or least >= _AT_EASE else 2
    return max(1, min(most, int(least))), not spare or spare[0] >= 1 / _MARGIN


def _transcriber(n_train: int, stride: int, unit: str, rate: int) -> list[Setting]:
    few = n_train < _FEW
    settings = []
    if few:
        settings.append(Setting("model", "n_units", 64, f"{n_train} utterances"))
    elif unit == "character":
        settings.append(Setting("model", "n_units", 192, "spelling needs more than single words"))
    if stride > 1:
        front = "stack" if few else "conv2d"
        reason = f"{_hop(rate, stride)} an output: enough for these texts, and CTC starts sooner"
        settings += [Setting("model", "front", front, reason), Setting("model", "stride", stride)]
    if few:
        settings += [
            Setting(
                "augment", "noise", 0.0, "with noise or masks on, so few utterances may keep CTC on its blank plateau"
            ),
            Setting("augment", "time_masks", 0),
            Setting("augment", "band_masks", 0),
        ]
    elif n_train < _SOME:
        settings += [
            Setting("augment", "noise", 0.2, "gently, and late: what did best on dev of AN4, 848 utterances"),
            Setting("augment", "time_masks", 1),
            Setting("augment", "band_masks", 1),
            Setting("augment", "easy_first", 0.5),
        ]
    return settings


def _transcriber_training(n_train: int, seconds: float) -> list[Setting]:
    """For utterances of so many seconds, on average."""
    batch_size = (
        6 if n_train < _FEW else 8 if n_train < 1500 else 16 if n_train < _SOME else 32 if n_train < 30000 else 64
    )
    affordable = round(3600 * _HEARD / (batch_size * max(seconds, 0.1)))
    settings = _training(n_train, batch_size, max(_STEPS, min(_MORE_STEPS, affordable)), most=100)
    if n_train < _FEW:
        settings.append(Setting("training", "learning_rate", 5e-3, "a small network"))
    return settings


def _classifier_training(n_train: int) -> list[Setting]:
    batch_size = 8 if n_train < 200 else 16 if n_train < 1000 else 32 if n_train < 5000 else 64
    most = max(60, min(_ROUNDS, _LEAST_STEPS // -(-max(1, n_train) // batch_size)))
    return _training(n_train, batch_size, _STEPS, most=most)


def _timed_training(n_train: int, headers: Sequence[tuple[Utterance, AudioInfo]]) -> list[Setting]:
    """Of labelled stretches or values over time: each second teaches, so that few recordings go round more often."""
    batch_size = 8 if n_train < 1000 else 16 if n_train < 5000 else 32
    seconds = fmean([min(STRETCH, heard_seconds(u, header)) for u, header in headers] or [STRETCH])
    affordable = round(3600 * _HEARD / (batch_size * max(seconds, 0.1)))
    return _training(n_train, batch_size, min(_STEPS, affordable), most=200)


def _training(n_train: int, batch_size: int, n_steps: int, most: int) -> list[Setting]:
    """Epochs for about so many steps, within limits."""
    a_pass = -(-n_train // batch_size)
    epochs = max(10, min(most, round(n_steps / a_pass)))
    settings = []
    if epochs != TrainingSettings().epochs:
        settings.append(Setting("training", "epochs", epochs, f"of {a_pass:,} steps each: {epochs * a_pass:,} in all"))
    if batch_size != TrainingSettings().batch_size:
        settings.append(Setting("training", "batch_size", batch_size, f"{n_train:,} utterances to learn from"))
    return settings


def unlearnable(splits: Mapping[str, Sequence[Utterance]], settings: Iterable[Setting]) -> list[str]:
    """Whether dev or test hold symbols that train lacks, which prep takes for mistakes."""
    chosen = {setting.key: setting.value for setting in settings}
    if chosen["task"] == "regress":
        return []
    if chosen["task"] == "label":
        return _unlearnable_labels(splits)
    unit = "label" if chosen["task"] == "classify" else str(chosen["unit"])
    vocabulary = _vocabulary({**chosen, "unit": unit})
    known = {symbol for u in splits["train"] for symbol in vocabulary.split(u.text)}
    lines = []
    for name in SPLITS[1:]:
        strange = Counter(s for u in splits[name] for s in sorted(set(vocabulary.split(u.text)) - known))
        n = sum(not set(vocabulary.split(u.text)) <= known for u in splits[name])
        if strange:
            lines.append(
                f"{n:,} utterances of {name} hold {unit}s that train lacks ({named(map(repr, strange))}): {LEFT_OUT}"
            )
    return lines


def _unlearnable_labels(splits: Mapping[str, Sequence[Utterance]]) -> list[str]:
    """Labels of stretches that stand in dev or test only."""
    labels = {name: {s.label for u in utterances for s in u.segments} for name, utterances in splits.items()}
    lines = []
    for name in SPLITS[1:]:
        if strange := sorted(labels[name] - labels["train"]):
            n = sum(any(s.label in strange for s in u.segments) for u in splits[name])
            lines.append(
                f"{n:,} utterances of {name} hold labels that train lacks ({named(map(repr, strange))}): {LEFT_OUT}"
            )
    return lines
