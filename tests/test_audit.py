"""A clean corpus has no finding; spoiled in every way that is known here, each is found, on the right files, alone.

The corpora: real recordings where ../shared/data is there (AN4 to transcribe, FSDD to classify), and speech that
espeak-ng makes. A `Way` spoils some takes and says what the audit must find; `judge` compares, both ways.
"""

import dataclasses
import functools
import io
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from audiornn.corpus import duplicates
from audiornn.corpus.audit import audit, audit_source
from audiornn.corpus.findings import Corpus, Inspected
from audiornn.corpus.manifest import SPLITS, Utterance
from audiornn.corpus.measure import MEASURES, Measured, measure_recordings
from audiornn.corpus.preparation import prepare_corpus
from audiornn.corpus.sound_checks import rates
from audiornn.corpus.text_checks import labels
from audiornn.errors import CorpusError
from audiornn.recipe import load_recipe, packaged_recipes
from audiornn.vocabulary import Vocabulary, ctc_length

PAIRS = {"audio leak", "duplicate", "contradiction"}
LABELS = {"nearly the same", "rare label", "missing class"}
SUFFIXES = {"WAV": ".wav", "OGG": ".ogg", "MP3": ".mp3", "FLAC": ".flac"}


# --- a corpus in memory, and on disk ---


@dataclass(frozen=True, eq=False)
class Take:
    """An utterance and its samples, (samples,) or (samples, channels); or the bytes of its file; or another's file."""

    id: str
    split: str
    speaker: str
    text: str
    samples: np.ndarray
    rate: int
    form: tuple[str, str] = ("WAV", "PCM_16")
    raw: bytes | None = None
    of: "Take | None" = None
    start: float = 0.0
    duration: float | None = None

    @property
    def seconds(self):
        return len(self.samples) / self.rate


@pytest.fixture(scope="module", autouse=True)
def compared_once():
    """No two recordings are compared twice: the files of a `Shelf` never change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_compare", functools.cache(duplicates._compare))
        yield


class Shelf:
    """Writes takes, each once, and measures them, each once: what is not spoiled is as it was."""

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir()
        self.files, self.measured, self.keep = {}, {}, []

    def place(self, take):
        if take.of is not None:
            return self.place(take.of)
        if id(take) not in self.files:
            file = self.folder / f"{len(self.files):04d}_{take.id}{SUFFIXES[take.form[0]]}"
            if take.raw is not None:
                file.write_bytes(take.raw)
            else:
                samples = take.samples
                if take.form[1] == "PCM_16":  # each container rounds in its own way
                    samples = np.clip(np.rint(32768 * samples), -32768, 32767).astype(np.int16)
                soundfile.write(file, samples, take.rate, format=take.form[0], subtype=take.form[1])
            self.files[id(take)] = file
            self.keep.append(take)  # or another take would get its id()
        return self.files[id(take)]

    def utterance(self, take):
        return Utterance(take.id, self.place(take), take.text, take.speaker, take.start, take.duration)

    def corpus(self, takes, task):
        splits = {split: [self.utterance(take) for take in takes if take.split == split] for split in SPLITS}
        everything = [u for split in SPLITS for u in splits[split]]
        new = [u for u in everything if (u.audio, u.start, u.duration) not in self.measured]
        found, unreadable = measure_recordings(new, n_jobs=1)
        for i, u in enumerate(new):
            keys = found.keys[found.owners == i]
            self.measured[u.audio, u.start, u.duration] = (found.rows[i], keys, unreadable.get(u.id, ""))
        known = [self.measured[u.audio, u.start, u.duration] for u in everything]
        rows = np.array([row for row, _, _ in known])
        owners = np.repeat(np.arange(len(known)), [len(keys) for _, keys, _ in known])
        measured = Measured(rows, np.concatenate([keys for _, keys, _ in known]), owners)
        problems = {u.id: problem for u, (_, _, problem) in zip(everything, known, strict=True) if problem}
        vocabulary = vocabulary_of(splits["train"], task)
        for u, row in zip(everything, rows, strict=True):
            if u.id not in problems and (problem := impossible(u, row, task, vocabulary)):
                problems[u.id] = problem
        rate = max({take.rate for take in takes}, key=[take.rate for take in takes].count)
        return Corpus(splits, measured, problems, task, vocabulary.split, rate)


def vocabulary_of(utterances, task):
    return Vocabulary.build((u.text for u in utterances), unit="label" if task == "classify" else "character")


def impossible(utterance, row, task, vocabulary):
    try:
        ids = vocabulary.encode(utterance.text)
    except CorpusError as error:
        return str(error)
    if task == "classify":
        return "" if ids else "its label is empty"
    frames = int(row["duration"] * 100) + 1
    return f"{ctc_length(ids)} frames by CTC, {frames} are there" * (ctc_length(ids) > frames)


PREPARE = '''\
"""A list of recordings, with their splits."""

import json

from audiornn.corpus.manifest import Utterance


def prepare(corpus_dir):
    splits = {"train": [], "dev": [], "test": []}
    for line in (corpus_dir / "list.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        split, audio = entry.pop("split"), corpus_dir / entry.pop("audio")
        splits[split].append(Utterance(audio=audio, **entry))
    return splits
'''

TOML = """\
task = "{task}"
licence = "made for a test"

[features]
sample_rate = {rate}
n_fft = 512
win_length = {win}
hop_length = {hop}
n_mels = 20

[vocabulary]
unit = "character"

[model]
n_layers = 1
n_units = 16
"""


def write_recipe(folder, shelf, takes, task):
    """A recipe that reads a list of the takes."""
    rate = takes[0].rate
    lines = []
    for take in takes:
        entry = {"audio": shelf.place(take).name, "id": take.id, "text": take.text, "speaker": take.speaker}
        lines.append(json.dumps(entry | {"split": take.split, "start": take.start, "duration": take.duration}))
    (shelf.folder / "list.jsonl").write_text("\n".join(lines), encoding="utf-8")
    folder.mkdir()
    (folder / "prepare.py").write_text(PREPARE, encoding="utf-8")
    toml = TOML.format(task=task, rate=rate, win=rate // 40, hop=rate // 100)
    (folder / "recipe.toml").write_text(toml, encoding="utf-8")
    return load_recipe(folder)


# --- ways to spoil one ---


@dataclass
class Bench:
    """The takes while they are spoiled; each is spoiled once."""

    takes: list[Take]
    task: str
    rng: np.random.Generator
    broken: list[bytes]
    used: set[str] = field(default_factory=set)
    expected: dict = field(default_factory=lambda: defaultdict(set))  # by kind: ids, pairs of ids, or labels
    changed: dict = field(default_factory=lambda: defaultdict(set))  # by kind: ids that may have it, too
    dropped: set[str] = field(default_factory=set)
    noted: list = field(default_factory=list)  # (way, kind, key)
    way: "Way | None" = None

    def pick(self, n=2, split="train", *, where=lambda take: True, best=None):
        """Takes that no way has touched, of as many labels as there are."""
        free = [t for t in self.takes if t.split == split and t.id not in self.used and where(t)]
        free = [t for t in free if np.abs(t.samples).max() > 0.05]  # a very quiet take has a fault of its own
        order = self.rng.permutation(len(free))
        free = [free[i] for i in order]
        if best is not None:
            free.sort(key=best)
        chosen = free[:n]
        assert len(chosen) == n, f"{self.way.name}: not enough takes left"
        self.used |= {take.id for take in chosen}
        return chosen

    def note(self, key, *ids, drop=()):
        self.expected[self.way.kind].add(key)
        self.noted.append((self.way.name, self.way.kind, key))
        self.touch(*ids)
        self.dropped |= set(drop)

    def touch(self, *ids):
        for kind in self.way.also:
            self.changed[kind] |= set(ids)

    def change(self, take, **changes):
        """Spoil a take by itself."""
        new = dataclasses.replace(take, **changes)
        self.takes[self.takes.index(take)] = new
        is_error = self.way.severity == "error"
        self.note(take.id, take.id, drop=[take.id] if is_error else ())
        return new

    def copy(self, take, split, *, text=None, **changes):
        """A copy of a take, in a split, said to be by somebody there."""
        speaker = next(t.speaker for t in self.takes if t.split == split)
        name = f"{take.id}_{self.way.name}"
        text = take.text if text is None else text
        new = dataclasses.replace(take, id=name, split=split, speaker=speaker, text=text, **changes)
        self.takes.append(new)
        self.used.add(name)
        lost = min((take, new), key=lambda t: SPLITS.index(t.split))
        is_error = self.way.severity == "error"
        self.note(frozenset((take.id, name)), take.id, name, drop=[lost.id] if is_error else ())

    def noise(self, seconds, rate, level=-75.0):
        return 10 ** (level / 20) * self.rng.standard_normal(round(seconds * rate))


@dataclass(frozen=True)
class Way:
    """A way to spoil a corpus.

    Attributes:
        name: for the test's id.
        kind: what the audit must call it.
        spoil: does it.
        figure: a pattern of the figure.
        severity: of the finding.
        also: other kinds that the spoiled takes have in truth, or may have.
        task: the only one it makes sense for.
    """

    name: str
    kind: str
    spoil: Callable
    figure: str = "."
    severity: str = "warning"
    also: frozenset = frozenset()
    task: str = ""


WAYS = []


def way(kind, figure=".", *, also=(), severity="warning", task=""):
    def add(function):
        WAYS.append(Way(function.__name__, kind, function, figure, severity, frozenset(also), task))
        return function

    return add


def loudest(samples, rate, first=0.0, last=1.0):
    """The middle of the loudest 40 ms between two shares of a take."""
    begin, end = round(first * len(samples)), round(last * len(samples))
    power = np.convolve(np.square(samples[begin:end]), np.ones(rate // 25), "same")
    return begin + int(power.argmax())


def peak_to(samples, peak):
    return samples * (peak / np.abs(samples).max())


def cut_flat(samples):
    """Six times as loud as it should be; a single spike does not decide what is loud."""
    return np.clip(6 * samples * (0.3 / np.quantile(np.abs(samples), 0.995)), -1, 1)


def resampled(samples, rate, to):
    return soxr.resample(samples, rate, to, quality="VHQ")


def through(samples, rate, form, subtype):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    file.seek(0)
    return soundfile.read(file)[0]


CUT = {"cut-off beginning", "cut-off end"}


@way("text too short", r"letters in", also=["text too long", "impossible target"], task="transcribe")
def transcripts_swapped(bench):
    (short,) = bench.pick(1, best=lambda t: len(t.text))
    (long,) = bench.pick(1, best=lambda t: -len(t.text) * t.seconds)
    bench.change(long, text=short.text)
    bench.takes[bench.takes.index(short)] = dataclasses.replace(short, text=long.text)
    bench.touch(short.id)


@way("speaker leak", r"speaker '.+' has \d+ utterances in train and \d+ utterances in test", severity="error")
def speaker_in_two_splits(bench):
    speaker = sorted({t.speaker for t in bench.takes if t.split == "test"})[0]
    # one that no other way has touched, so that what is dropped is known
    moved = bench.pick(3, "test", where=lambda t: t.speaker == speaker)
    for i, take in enumerate(moved):
        bench.takes[bench.takes.index(take)] = dataclasses.replace(take, split="train")
        bench.dropped.add(take.id)
        if i == 0:
            bench.note(speaker, take.id)


@way("audio leak", "the samples of", severity="error")
def file_in_two_splits(bench):
    for take in bench.pick(2, "test"):
        bench.copy(take, "train")


@way("audio leak", "the samples of", severity="error")
def file_in_another_container(bench):
    for take in bench.pick(1, "test"):
        bench.copy(take, "dev", form=("FLAC", "PCM_16"))


@way("audio leak", r"\d+% alike over", severity="error", also=["silence"])
def copy_at_another_gain(bench):
    for take, gain in zip(bench.pick(2, "test"), (0.25, -0.7), strict=True):  # one with its poles turned
        bench.copy(take, "train", samples=gain * take.samples)


@way("audio leak", r"\d+% alike over", severity="error", also=["mixed rates", "band-limited", *CUT])
def copy_at_another_rate(bench):
    for take, rate in zip(bench.pick(2, "test"), (11025, 44100), strict=True):
        bench.copy(take, "train", samples=resampled(take.samples, take.rate, rate), rate=rate)


@way("audio leak", r"\d+% alike over", severity="error", also=[*CUT, "text too long", "text too short"])
def copy_cut_and_padded(bench):
    for take in bench.pick(2, "test", best=lambda t: -t.seconds):
        cut = take.samples[round(0.1 * take.rate) + 37 : -round(0.1 * take.rate)]
        pads = bench.noise(0.213, take.rate), bench.noise(0.3, take.rate)
        bench.copy(take, "train", samples=np.concatenate([pads[0], cut, pads[1]]))


@way("audio leak", r"\d+% alike over", severity="error", also=["silence after", "silence before"])
def copy_with_noise(bench):
    for take in bench.pick(2, "test", best=lambda t: -t.seconds):
        rms = np.sqrt(np.mean(np.square(take.samples)))
        noise = 0.1 * rms * bench.rng.standard_normal(len(take.samples))
        bench.copy(take, "train", samples=take.samples + noise)


@way("audio leak", r"\d+% alike over", severity="error", also=["band-limited"])
def copy_by_ogg(bench):
    for take in bench.pick(1, "test", best=lambda t: -t.seconds):
        bench.copy(take, "train", form=("OGG", "VORBIS"))


# not of words under half a second: of those coded as MP3 one in four is missed
@way("audio leak", r"\d+% alike over", severity="error", also=["band-limited"], task="transcribe")
def copy_by_mp3(bench):
    for take in bench.pick(1, "test", best=lambda t: -t.seconds):
        bench.copy(take, "dev", form=("MP3", "MPEG_LAYER_III"))


@way("audio leak", r"shares 0\.[45]\d s with", severity="error", also=[*CUT, "text too long", "text too short"])
def stretches_that_overlap(bench):
    one, two = bench.pick(2)
    both = dataclasses.replace(one, id="both", samples=np.concatenate([one.samples, two.samples]))
    first = dataclasses.replace(one, of=both, duration=one.seconds + 0.25)
    bench.takes[bench.takes.index(one)] = first
    bench.takes.remove(two)
    speaker = next(t.speaker for t in bench.takes if t.split == "dev")
    second = dataclasses.replace(
        two, of=both, start=one.seconds - 0.25, duration=two.seconds + 0.25, split="dev", speaker=speaker
    )
    bench.takes.append(second)
    bench.note(frozenset((one.id, two.id)), one.id, two.id, drop=[one.id])


@way("duplicate", "the samples of|alike over")
def duplicate_in_a_split(bench):
    one, two = bench.pick(2)
    bench.copy(one, "train")
    bench.copy(two, "train", samples=0.5 * two.samples)


@way("contradiction", "the samples of|alike over", also=["text too short", "text too long"])
def duplicate_with_another_label(bench):
    one, two = bench.pick(2)
    other = next(t.text for t in bench.takes if t.text not in (one.text, two.text))
    bench.copy(one, "train", text=other)
    bench.copy(two, "train", text=other, samples=0.5 * two.samples)


@way("mixed rates", r"(11,025|22,050|48,000) Hz", also=["band-limited", *CUT])
def another_sample_rate(bench):
    for take, rate in zip(bench.pick(3), (11025, 22050, 48000), strict=True):
        bench.change(take, samples=resampled(take.samples, take.rate, rate), rate=rate)


@way("band-limited", r"ends at (3|4),\d{3} Hz, its rate promises 8,000", also=CUT, task="transcribe")
def up_sampled(bench):
    for take in bench.pick(4):
        low = resampled(take.samples, take.rate, take.rate // 2)
        bench.change(take, samples=resampled(low, take.rate // 2, take.rate))


@way("band-limited", r"ends at (3|4),\d{3} Hz, its rate promises 8,000", also=[*CUT, "noise"], task="transcribe")
def telephone(bench):
    for take in bench.pick(4):
        low = resampled(take.samples, take.rate, 8000)
        spectrum = np.fft.rfft(low)
        frequencies = np.fft.rfftfreq(len(low), 1 / 8000)
        spectrum[(frequencies < 300) | (frequencies > 3400)] = 0
        coded = through(peak_to(np.fft.irfft(spectrum, len(low)), 0.7), 8000, "WAV", "ULAW")
        bench.change(take, samples=resampled(coded, 8000, take.rate))


@way("clipping", r"\d+ flat peaks at 1\.00")
def clipped(bench):
    for take in bench.pick(3):
        bench.change(take, samples=cut_flat(take.samples))


@way("clipping", r"\d+ flat peaks at 0\.50")
def clipped_and_turned_down(bench):
    for take in bench.pick(3):
        bench.change(take, samples=0.5 * cut_flat(take.samples))


@way("silence", "digital silence")
def silent(bench):
    for take in bench.pick(2):
        bench.change(take, samples=np.zeros_like(take.samples))


@way("silence", r"-[678]\d dBFS at its loudest")
def nearly_silent(bench):
    for take in bench.pick(2):
        bench.change(take, samples=peak_to(take.samples, 0.0015))


@way("noise", r"signal to noise about \d dB")
def noise_only(bench):
    for take in bench.pick(2):
        bench.change(take, samples=bench.noise(take.seconds, take.rate, -40.0))


@way("cut-off beginning", "dBFS in the outer 20 ms", also=["text too long", "cut-off end"])
def begins_too_late(bench):
    for take in bench.pick(3):
        bench.change(take, samples=take.samples[loudest(take.samples, take.rate, 0, 0.7) :])


@way("cut-off end", "dBFS in the outer 20 ms", also=["text too long", "cut-off beginning"])
def ends_too_early(bench):
    for take in bench.pick(3):
        bench.change(take, samples=take.samples[: loudest(take.samples, take.rate, 0.3, 1)])


@way("silence before", r"^(4|5)\.\d of", also=["very long"])
def long_silence_before(bench):
    one, two = bench.pick(2)
    bench.change(one, samples=np.concatenate([bench.noise(4, one.rate), one.samples]))
    bench.change(two, samples=np.concatenate([np.zeros(4 * two.rate), two.samples]))


@way("silence after", r"^(4|5)\.\d of", also=["very long"])
def long_silence_after(bench):
    one, two = bench.pick(2)
    bench.change(one, samples=np.concatenate([one.samples, bench.noise(4, one.rate)]))
    bench.change(two, samples=np.concatenate([two.samples, np.zeros(4 * two.rate)]))


@way("offset", r"mean sample [+-]0\.05\d")
def constant_offset(bench):
    for take, offset in zip(bench.pick(2), (0.055, -0.055), strict=True):
        bench.change(take, samples=peak_to(take.samples, 0.7) + offset)


@way("drop-out", r"(60|61) ms without a change")
def lost_packets(bench):
    for take in bench.pick(3):
        samples = take.samples.copy()
        power = np.convolve(np.square(samples), np.ones(take.rate // 50), "same")
        away = round(0.045 * take.rate)  # loud on both sides: beside a stop's closure it would be a longer closure
        middle = away + int(np.minimum(power[: -2 * away], power[2 * away :]).argmax())
        samples[middle - round(0.03 * take.rate) : middle + round(0.03 * take.rate)] = 0
        bench.change(take, samples=samples)


@way("dead channel", r"one of 2 channels is \d+ dB below", also=["mixed channels"])
def stereo_with_a_dead_channel(bench):
    for take in bench.pick(2):
        bench.change(take, samples=np.column_stack([take.samples, bench.noise(take.seconds, take.rate, -85)]))


@way("counter-phase", r"correlation -(1\.00|0\.9\d)", also=["mixed channels", "silence", "noise", "drop-out"])
def stereo_in_counter_phase(bench):
    one, two = bench.pick(2)
    bench.change(one, samples=np.column_stack([one.samples, -one.samples]))
    bench.change(two, samples=np.column_stack([two.samples, -0.8 * two.samples]))


@way("empty text", "nothing said", task="transcribe")
def empty_transcript(bench):
    for take in bench.pick(2):
        bench.change(take, text="")


@way("impossible target", "its label is empty", severity="error", task="classify")
def empty_label(bench):
    for take in bench.pick(2):
        bench.change(take, text="")


@way(
    "nearly the same",
    r"'Seven' \(2 times\) beside '(seven|SEVEN)'",
    also=["rare label", "missing class", "rare symbol"],
)
def label_in_another_case(bench):
    for take in bench.pick(2, where=lambda t: "seven" in t.text.casefold().split()):
        changed = bench.change(take, text=re.sub("(?i)seven", "Seven", take.text))
        assert changed.text != take.text
    bench.expected["nearly the same"] -= {t.id for t in bench.takes}
    bench.note("Seven")


@way(
    "nearly the same",
    r"'sevven' \(1 times\) beside '(seven|SEVEN)'",
    also=["rare label", "missing class"],
    task="classify",
)
def misspelt_label(bench):
    (take,) = bench.pick(1, where=lambda t: t.text == "seven")
    bench.change(take, text="sevven")
    bench.expected["nearly the same"] -= {take.id}
    bench.note("sevven")


@way("rare label", "'xylophone': 2 in train", also=["missing class"], task="classify")
def label_that_is_rare(bench):
    for take in bench.pick(2):
        bench.change(take, text="xylophone")
    bench.expected["rare label"] -= {t.id for t in bench.takes}
    bench.note("xylophone")


@way(
    "odd text",
    "Cyrillic|control character|broken encoding|markup|is none|not understood|a remark",
    also=["rare symbol", "nearly the same"],
    task="transcribe",
)
def odd_characters(bench):
    oddities = ("\u0430", "\x07", "\u00c3\u00a9", "<noise>", "\ufffd", "[laughs]", "xxx.")
    *takes, last = bench.pick(len(oddities) + 1, best=lambda t: -t.seconds)
    for take, oddity in zip(takes, oddities, strict=True):
        bench.change(take, text=f"{take.text} {oddity}")
    bench.change(last, text=f"({last.text})")


@way("text too long", r"\d+ letters in", task="transcribe")
def transcript_too_long(bench):
    few = [t for t in bench.takes if t.split == "train" and t.id not in bench.used]
    longest = max((t.text for t in few), key=len)
    for take in bench.pick(2, best=lambda t: t.seconds):
        text = longest
        while len(text.replace(" ", "")) < 40 * take.seconds:
            text += " " + longest
        bench.change(take, text=text)


@way("text too short", r"1 letters in", task="transcribe")
def transcript_too_short(bench):
    for take in bench.pick(2, where=lambda t: len(t.text) > 12, best=lambda t: -t.seconds):
        bench.change(take, text="O")


@way("impossible target", "CTC", severity="error", task="transcribe")
def more_symbols_than_frames(bench):
    for take in bench.pick(2):
        words = take.text.split()
        bench.change(take, text=" ".join(words * round(120 * take.seconds / len(take.text) + 1)))


@way("impossible target", "CTC", severity="error", task="transcribe")
def repeats_that_need_frames(bench):
    (take,) = bench.pick(1)
    bench.change(take, text="O" * round(60 * take.seconds))  # fewer than there are frames, but for the blanks between


@way("missing class", "'nine' has none in dev", task="classify")
def class_that_dev_lacks(bench):
    bench.takes = [t for t in bench.takes if t.text != "nine" or t.split != "dev"]
    bench.note("nine")


@way("impossible target", "is not among", severity="error", also=["missing class"], task="classify")
def class_only_in_test(bench):
    for take in bench.pick(2, "test"):
        bench.change(take, text="xenon")


@way("unreadable", severity="error")
def damaged_files(bench):
    for take, raw in zip(bench.pick(len(bench.broken)), bench.broken, strict=True):
        bench.change(take, raw=raw, form=("FLAC", "PCM_16"))


@way("unreadable", "empty|no samples|truncated|not audio", severity="error")
def empty_and_truncated_files(bench):
    one, two, three, four = bench.pick(4)
    file = io.BytesIO()
    soundfile.write(file, three.samples, three.rate, format="WAV", subtype="PCM_16")
    nothing = io.BytesIO()
    soundfile.write(nothing, np.zeros(0), two.rate, format="WAV", subtype="PCM_16")
    raws = (b"", nothing.getvalue(), file.getvalue()[: len(file.getvalue()) // 2], b"<html>404</html>" * 99)
    for take, raw in zip((one, two, three, four), raws, strict=True):
        bench.change(take, raw=raw)


@way(
    "very long",
    r"\d\d\.\d\d s",
    also=["text too short", "silence after", "duplicate", "contradiction", "drop-out", *CUT],
)
def whole_session_as_one(bench):
    (take,) = bench.pick(1)
    others = [t.samples for t in bench.takes if t.speaker == take.speaker and t.id not in bench.used][:8]
    rows = np.concatenate([np.concatenate([t, bench.noise(0.3, take.rate)]) for t in others])
    median = np.median([t.seconds for t in bench.takes])
    n = round((11 * median + 6) * take.rate)
    bench.change(take, samples=np.tile(rows[::-1], -(-n // len(rows)))[:n])  # backwards: no copy


@way("very short", r"0\.\d\d s", also=["impossible target", "text too long", "noise", "band-limited", *CUT])
def click(bench):
    median = np.median([t.seconds for t in bench.takes])
    for take in bench.pick(2, best=lambda t: -len(t.text)):  # more letters than frames
        middle = loudest(take.samples, take.rate)
        bench.change(take, samples=take.samples[middle : middle + round(0.08 * median * take.rate)])
        bench.dropped |= {take.id} if bench.task == "transcribe" else set()


# --- the clean corpora ---


def padded(samples, rate, rng):
    """A take as a calm room gives it: a moment before and after, noise some 50 dB below the speech over all."""
    pads = [np.zeros(round(rng.uniform(0.12, 0.3) * rate)) for _ in range(2)]
    samples = np.concatenate([pads[0], samples, pads[1]])
    level = np.sqrt(np.mean(np.square(samples)))
    return peak_to(samples + 0.003 * level * rng.standard_normal(len(samples)), rng.uniform(0.3, 0.6))


WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
VOICES = {
    "train": ("en-us+m1", "en-us+f1", "en-gb+m2", "en-gb+f2", "en-gb-scotland+m3", "en-us+f4"),
    "dev": ("en-029+m4", "en-gb+f3"),
    "test": ("en-us+m7", "en-gb-x-rp+f5", "en-us+f3"),
}


def said_by_espeak(task):
    """Each voice says each digit thrice, or two dozen strings of them; never twice alike."""
    pytest.importorskip("espeakng_loader", reason="the voices of espeak-ng are not installed")
    from audiornn.corpus.synthesis import Voice, synthesise

    rng = np.random.default_rng(11)
    takes = []
    for split, voices in VOICES.items():
        for voice in voices:
            for n in range(30 if task == "classify" else 26):
                words = [WORDS[n % 10]] if task == "classify" else list(rng.choice(WORDS, rng.integers(2, 6)))
                how = Voice(voice, rate=int(rng.integers(130, 190)), pitch=20 + 2 * n + int(rng.integers(0, 2)))
                samples, rate = synthesise(" ".join(words), how)
                samples = padded(resampled(samples.astype(float), rate, 16000), 16000, rng)
                text = " ".join(words).upper() if task == "transcribe" else words[0]
                takes.append(Take(f"{voice.replace('+', '-')}_{n:02d}", split, voice, text, samples, 16000))
    return takes


def unpacked(shared_data, corpus):
    build = Path(__file__).resolve().parents[1] / "build" / "corpora"
    subprocess.run([sys.executable, shared_data / "unpack", corpus, build], check=True)
    return build / corpus


def read_takes(splits, *, name=lambda u: u.id, text=lambda u: u.text):
    takes = []
    for split, utterances in splits.items():
        for u in utterances:
            samples, rate = soundfile.read(u.audio)
            takes.append(Take(name(u), split, u.speaker, text(u), samples, rate))
    return takes


def some_of_an4(shared_data):
    """Ten utterances of every fourth speaker, whichever come first."""
    splits = load_recipe(packaged_recipes() / "an4").prepare(unpacked(shared_data, "an4"))
    chosen = {}
    for split, utterances in splits.items():
        speakers = sorted({u.speaker for u in utterances})
        speakers = speakers[::4] if split == "train" else speakers[::2]
        chosen[split] = [u for s in speakers for u in [u for u in utterances if u.speaker == s][:11]]
    return read_takes(chosen, name=lambda u: Path(u.id).name)


def some_of_fsdd(shared_data):
    """Seven takes of every digit by five speakers, but for those that were cut to begin or end within the word."""
    folder = unpacked(shared_data, "fsdd") / "recordings"
    splits = {"train": [], "dev": [], "test": []}
    for speaker, split in FSDD.items():
        for digit in range(10):
            for take in range(10, 17):
                file = folder / f"{digit}_{speaker}_{take}.wav"
                splits[split].append(Utterance(file.stem, file, WORDS[digit], speaker))
    return [take for take in read_takes(splits) if is_whole(take)]


def is_whole(take):
    """Whether a take's first and last 20 ms are quieter than its loudest 20 ms by 10 dB: a word fades in and out."""
    n = take.rate // 50
    power = np.convolve(np.square(take.samples), np.ones(n), "valid")
    return max(power[0], power[-1]) < 0.1 * power.max()


FSDD = {"jackson": "train", "lucas": "train", "theo": "train", "yweweler": "dev", "nicolas": "test"}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """The takes of a corpus and the shelf with their files, made once."""
    made = {}

    def make(source, task, shared_data=None):
        if (source, task) not in made:
            takes = said_by_espeak(task) if source == "espeak" else SOURCES[source](shared_data)
            made[source, task] = (takes, Shelf(tmp_path_factory.mktemp("audit") / source))
        return made[source, task]

    return make


SOURCES = {"an4": some_of_an4, "fsdd": some_of_fsdd}


# --- what must be found, and what not ---


def spoil(takes, task, ways, broken, seed=3):
    bench = Bench(list(takes), task, np.random.default_rng(seed), broken)
    for one in ways:
        bench.way = one
        one.spoil(bench)
    return bench


def key_of(finding, case):
    if finding.kind in PAIRS:
        return frozenset((case.id, case.other))
    if finding.kind in LABELS:
        return re.match(r"'(.*?)'", case.figure)[1]
    if finding.kind == "speaker leak":
        return re.match(r"speaker '(.*?)'", case.figure)[1]
    return case.id


def judge(report, bench, ways):
    """Lines on what was missed, on what was found where nothing is, and on figures that say something else."""
    found, lines = defaultdict(dict), []
    for finding in report.findings:
        for case in finding.cases:
            found[finding.kind].setdefault(key_of(finding, case), []).append(case)
    for name, kind, key in bench.noted:
        pattern = next(w.figure for w in ways if w.name == name)
        figures = [case.figure for case in found[kind].get(key, ())]
        if figures and not any(re.search(pattern, figure) for figure in figures):
            lines.append(f"figure: {kind} of {shown(key)} by {name}: {figures[0]}")
    for kind, keys in bench.expected.items():
        lines += [f"missed: {kind} of {shown(key)}" for key in keys - set(found[kind])]
    for kind, cases in found.items():
        for key in set(cases) - bench.expected[kind]:
            if not any(case.id in bench.changed[kind] for case in cases[key]):
                lines.append(f"false: {kind} of {shown(key)}: {cases[key][0].figure}")
    for finding in report.findings:
        severities = {w.severity for w in ways if w.kind == finding.kind} or {finding.severity}
        if finding.severity not in severities:
            lines.append(f"{finding.kind} is of severity {finding.severity}")
        if len(finding.remedy) < 20:
            lines.append(f"{finding.kind} says no remedy")
    lines += [f"not dropped: {i}" for i in bench.dropped - set(report.dropped)]
    lines += [
        f"dropped: {i}: {reason}"
        for i, reason in report.dropped.items()
        if i not in bench.dropped and not any(i in ids for ids in bench.changed.values())
    ]
    return sorted(lines)


def shown(key):
    return " and ".join(sorted(key)) if isinstance(key, frozenset) else key


def ways_for(task):
    return [w for w in WAYS if w.task in ("", task)]


def broken_files(shared_data):
    """What a public corpus really shipped; or, without it, a FLAC file with a hole."""
    if shared_data is not None:
        return [file.read_bytes() for file in sorted((shared_data / "broken").glob("*.flac"))[:4]]
    file = io.BytesIO()
    noise = 0.1 * np.random.default_rng(0).standard_normal(16000)
    soundfile.write(file, noise, 16000, format="FLAC", subtype="PCM_16")
    damaged = bytearray(file.getvalue())
    damaged[len(damaged) // 2 : len(damaged) // 2 + 2000] = bytes(2000)
    return [bytes(damaged)]


CORPORA = [("espeak", "transcribe"), ("espeak", "classify"), ("an4", "transcribe"), ("fsdd", "classify")]
# FSDD's takes are cut to the word: without a moment of the room, nothing tells where a word was cut
NOT_OF_FSDD = {"ends_too_early", "begins_too_late"}


@pytest.fixture
def corpus_of(clean, request):
    def corpus(source, task):
        shared = None if source == "espeak" else request.getfixturevalue("shared_data")
        return (*clean(source, task, shared), broken_files(shared))

    return corpus


@pytest.mark.parametrize(("source", "task"), CORPORA)
def test_a_clean_corpus_has_no_finding(corpus_of, source, task):
    takes, shelf, _ = corpus_of(source, task)
    report = audit(shelf.corpus(takes, task))
    assert not report.findings, report.to_text(cases=20)
    assert "nothing found" in report.to_text()


@pytest.mark.parametrize(("source", "task"), CORPORA)
def test_all_ways_at_once_are_found_and_nothing_else(corpus_of, source, task):
    takes, shelf, broken = corpus_of(source, task)
    ways = [w for w in ways_for(task) if source != "fsdd" or w.name not in NOT_OF_FSDD]
    bench = spoil(takes, task, ways, broken)
    report = audit(shelf.corpus(bench.takes, task))
    lines = judge(report, bench, ways)
    assert not lines, "\n".join(lines)
    assert len(ways) > 20


ALONE = [(*corpus, w.name) for corpus in CORPORA for w in ways_for(corpus[1]) if w.name not in NOT_OF_FSDD]


@pytest.mark.slow
@pytest.mark.parametrize(("source", "task", "name"), ALONE)
def test_a_way_alone_is_found_and_nothing_else(corpus_of, source, task, name):
    takes, shelf, broken = corpus_of(source, task)
    ways = [w for w in WAYS if w.name == name]
    bench = spoil(takes, task, ways, broken)
    report = audit(shelf.corpus(bench.takes, task))
    lines = judge(report, bench, ways)
    assert not lines, "\n".join(lines)
    kinds = {finding.kind for finding in report.findings}
    assert ways[0].kind in kinds
    assert kinds <= {ways[0].kind, *ways[0].also}


@pytest.mark.parametrize(("source", "task"), [("espeak", "classify"), ("an4", "transcribe")])
def test_errors_stop_prep_and_skip_bad_leaves_out_those(corpus_of, tmp_path, source, task):
    takes, shelf, broken = corpus_of(source, task)
    takes = [take for i, take in enumerate(takes) if take.split != "train" or i % 3]
    ways = [w for w in ways_for(task) if w.severity == "error" and w.name != "class_only_in_test"]
    bench = spoil(takes, task, ways, broken)
    recipe = write_recipe(tmp_path / "spoiled", shelf, bench.takes, task)
    with pytest.raises(CorpusError, match=f"{len(bench.dropped)} of {len(bench.takes)} utterances cannot be used"):
        prepare_corpus(recipe, shelf.folder, tmp_path / "data")
    assert not (tmp_path / "data" / "spoiled" / "prepared.json").exists()
    ready = prepare_corpus(recipe, shelf.folder, tmp_path / "data", skip_bad=True)
    assert ready.skipped == len(bench.dropped)
    left = {u.id for split in SPLITS for u in ready.utterances(split)}
    assert left == {take.id for take in bench.takes} - bench.dropped
    bad = (tmp_path / "data" / "spoiled" / "bad.txt").read_text(encoding="utf-8")
    assert {line.split(": ")[0] for line in bad.splitlines()} == bench.dropped
    told = json.loads((tmp_path / "data" / "spoiled" / "audit.json").read_text(encoding="utf-8"))
    errors = {f["kind"] for f in told["findings"] if f["severity"] == "error"}
    assert errors == {w.kind for w in ways}


def test_prep_of_a_clean_corpus_finds_nothing(corpus_of, tmp_path):
    takes, shelf, _ = corpus_of("espeak", "classify")
    recipe = write_recipe(tmp_path / "clean", shelf, [t for t in takes if t.id.endswith(("0", "3", "5"))], "classify")
    ready = prepare_corpus(recipe, shelf.folder, tmp_path / "data")
    assert ready.skipped == 0
    assert "nothing found" in ready.audit


def test_real_strings_of_digits_have_no_finding(shared_data):
    report, corpus, left_out = audit_source(unpacked(shared_data, "connected_digits"), n_jobs=1)
    assert len(corpus.utterances) == 77
    assert not left_out
    assert not report.findings, report.to_text(cases=20)


def test_a_class_that_only_the_test_has_is_told_without_a_recipe(corpus_of, tmp_path):
    """`audiornn audit` of a manifest has no vocabulary that would say so."""
    takes, shelf, _ = corpus_of("espeak", "classify")
    few = [t for t in takes if t.text in ("one", "two", "six") and (t.text != "six" or t.split == "test")]
    for split in SPLITS:
        lines = [
            json.dumps({"audio_filepath": str(shelf.place(t)), "text": t.text, "speaker": t.speaker})
            for t in few
            if t.split == split
        ]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    report, *_ = audit_source(tmp_path, n_jobs=1)
    said = [case.figure for finding in report.findings for case in finding.cases]
    assert any("'six'" in figure and "train" in figure for figure in said), report.to_text()


def test_what_the_rules_make_one_is_not_told_as_two():
    texts = ("Yes,", "yes")
    nothing = Measured(np.zeros(2, MEASURES), np.zeros((0, 2), np.uint32), np.zeros(0, np.int64))
    corpus = Corpus({"train": [Utterance(str(i), Path("a.wav"), text) for i, text in enumerate(texts)]}, nothing)
    assert "nearly the same" in {finding.kind for finding in labels(Inspected(corpus))}
    vocabulary = Vocabulary((), "character", lower_case=True, punctuation="remove")
    corpus = dataclasses.replace(corpus, normalise=vocabulary.normalise)
    assert "nearly the same" not in {finding.kind for finding in labels(Inspected(corpus))}


def test_rates_that_all_lie_above_the_features_are_alike_to_them():
    utterances = [Utterance(str(i), Path(f"{i}.wav"), "x") for i in range(3)]
    rows = np.zeros(3, MEASURES)
    rows["sample_rate"], rows["duration"] = [48000, 44100, 22050], 1.0
    measured = Measured(rows, np.zeros((0, 2), np.uint32), np.zeros(0, np.int64))
    corpus = Corpus({"train": utterances}, measured, sample_rate=16000)
    assert "mixed rates" not in {finding.kind for finding in rates(Inspected(corpus))}
    corpus = dataclasses.replace(corpus, sample_rate=22050)  # where the lowest ends, and others do not
    assert "mixed rates" in {finding.kind for finding in rates(Inspected(corpus))}
