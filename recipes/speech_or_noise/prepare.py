"""Speech or noise: one second each, of words over noise and of noise alone, from Google Speech Commands.

A recording is labelled `speech`, or has no label. Loudness tells nothing: both kinds are brought to levels drawn from
one range, and the noise under the words is of the same kinds as the noise alone.
"""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiornn.audio import load_audio
from audiornn.corpus.manifest import Utterance
from audiornn.errors import CorpusError
from audiornn.recipe import load_recipe, packaged_recipes

SAMPLE_RATE = 16000
N_SAMPLES = SAMPLE_RATE  # one second
COUNTS = {"train": 4000, "dev": 400, "test": 600}  # of each kind
NOISE_PARTS = {"train": (0.0, 0.8), "dev": (0.8, 0.9), "test": (0.9, 1.0)}  # of each noise file
RECORDED = 0.5  # share of the noise that is; the rest is synthetic
SNR = (10.0, 40.0)  # dB, of the word over its noise
LEVEL = (-35.0, -15.0)  # dBFS, root mean square
SEED = 1  # of all that is drawn

Samples = NDArray[np.float64]


def obtain(corpus_dir: Path, *, jobs: int) -> Path:
    """Fetch Speech Commands, as its own recipe does.

    Returns:
        The corpus' folder.
    """
    return load_recipe(packaged_recipes() / "speechcommands").obtain(corpus_dir, jobs=jobs)


def prepare(corpus_dir: Path, *, made_dir: Path | None = None, jobs: int = 1) -> dict[str, list[Utterance]]:
    """Words over noise, and noise alone, as many of each.

    Args:
        corpus_dir: Speech Commands, or a subset with its layout and lists.
        made_dir: gets the recordings.
        jobs: not needed; it takes seconds.

    Training, dev and test share no speaker and no stretch of a noise file. Synthetic noise is of seven kinds: white,
    pink and brown; hum; clicks; tones; and noise that swells like syllables.

    Expected output of prep: 8,000 train, 800 dev, 1,200 test utterances, 1 label.
    """
    if made_dir is None:
        raise CorpusError("speech_or_noise: its recordings must be written somewhere; call prepare with a made_dir")
    words = load_recipe(packaged_recipes() / "speechcommands", ["corpus.words=all"]).prepare(corpus_dir)
    files = sorted((corpus_dir / "_background_noise_").glob("*.wav"))
    if not files:
        raise CorpusError(f"{corpus_dir / '_background_noise_'}: holds no noise")
    recorded = {file: load_audio(file, SAMPLE_RATE).astype(np.float64) for file in files}
    sources = [str(u.id) for split in words.values() for u in split] + [file.name for file in files]
    plan = hashlib.sha256(Path(__file__).read_bytes() + "\n".join(sources).encode()).hexdigest()[:12]
    for other in made_dir.iterdir() if made_dir.is_dir() else ():
        if other.is_dir() and other.name != plan:
            shutil.rmtree(other)  # of an older plan
    splits = {}
    for number, split in enumerate(COUNTS):
        noise = [_part(samples, NOISE_PARTS[split]) for samples in recorded.values()]
        rng = np.random.default_rng([SEED, number])
        splits[split] = _make(made_dir / plan / split, words[split], noise, COUNTS[split], rng)
    return splits


def _make(
    folder: Path, words: list[Utterance], recorded: list[Samples], count: int, rng: np.random.Generator
) -> list[Utterance]:
    """The recordings of a split, as many words as there are of `count`, and as many of noise alone."""
    count = min(count, len(words))
    chosen = [words[int(i)] for i in rng.permutation(len(words))[:count]]
    utterances = []
    for i, word in enumerate([*chosen, *[None] * count]):
        noise = _noise(recorded, rng)
        if word is None:
            utterance = Utterance(f"{folder.name}/noise_{i - count:04d}", folder / f"noise_{i - count:04d}.flac")
            samples = noise
        else:
            utterance = Utterance(f"{folder.name}/{word.id}", folder / f"speech_{i:04d}.flac", "speech", word.speaker)
            spoken = load_audio(word.audio, SAMPLE_RATE)[:N_SAMPLES].astype(np.float64)
            spoken = np.pad(spoken, (0, N_SAMPLES - len(spoken)))
            samples = _at_level(spoken, 0.0) + _at_level(noise, -rng.uniform(*SNR))
        _write(utterance.audio, _at_level(samples, rng.uniform(*LEVEL)))
        utterances.append(utterance)
    return utterances


def _noise(recorded: list[Samples], rng: np.random.Generator) -> Samples:
    """A second of noise."""
    if rng.random() < RECORDED:
        file = recorded[rng.integers(len(recorded))]
        start = int(rng.integers(len(file) - N_SAMPLES + 1))
        return file[start : start + N_SAMPLES]
    return KINDS[rng.integers(len(KINDS))](rng)


def _coloured(slope: float) -> Callable[[np.random.Generator], Samples]:
    """Noise whose amplitude falls with the frequency to this power."""

    def make(rng: np.random.Generator) -> Samples:
        hertz = np.maximum(np.fft.rfftfreq(N_SAMPLES, 1 / SAMPLE_RATE), 20.0)
        return np.fft.irfft(np.fft.rfft(rng.standard_normal(N_SAMPLES)) * hertz**-slope, N_SAMPLES)

    return make


def _time() -> Samples:
    return np.arange(N_SAMPLES) / SAMPLE_RATE


def _hum(rng: np.random.Generator) -> Samples:
    mains = rng.choice([50.0, 60.0]) * rng.uniform(0.99, 1.01)
    parts = [rng.uniform(0, 1 / k) * np.cos(2 * np.pi * k * mains * _time() + rng.uniform(0, 6)) for k in range(1, 12)]
    return np.sum(parts, axis=0) + 0.05 * rng.standard_normal(N_SAMPLES)


def _clicks(rng: np.random.Generator) -> Samples:
    clicks = np.zeros(N_SAMPLES)
    clicks[rng.integers(0, N_SAMPLES, rng.integers(3, 40))] = rng.standard_normal()
    ringing = np.exp(-_time() * rng.uniform(100, 1000)) * np.cos(2 * np.pi * rng.uniform(300, 5000) * _time())
    return np.convolve(clicks, ringing)[:N_SAMPLES] + 1e-3 * rng.standard_normal(N_SAMPLES)


def _tones(rng: np.random.Generator) -> Samples:
    """Notes one after the other, with overtones: what has harmonics is not yet speech."""
    n_notes = int(rng.integers(2, 8))
    notes = np.repeat(220 * 2 ** (rng.integers(-12, 24, n_notes) / 12), -(-N_SAMPLES // n_notes))[:N_SAMPLES]
    phase = 2 * np.pi * np.cumsum(notes) / SAMPLE_RATE
    tones = np.sum([rng.uniform(0, 1 / k) * np.cos(k * phase) for k in range(1, 6)], axis=0)
    return tones + 0.01 * rng.standard_normal(N_SAMPLES)


def _swelling(rng: np.random.Generator) -> Samples:
    """Noise that comes and goes at the pace of syllables."""
    swell = 0.5 * (1 + np.cos(2 * np.pi * rng.uniform(2, 8) * _time() + rng.uniform(0, 6)))
    return _coloured(rng.uniform(0, 1))(rng) * swell ** rng.uniform(1, 4)


KINDS = (_coloured(0.0), _coloured(0.5), _coloured(1.0), _hum, _clicks, _tones, _swelling)


def _part(samples: Samples, part: tuple[float, float]) -> Samples:
    begin, end = (round(share * len(samples)) for share in part)
    return samples[begin : max(end, begin + N_SAMPLES)]


def _at_level(samples: Samples, decibels: float) -> Samples:
    """The samples at a root mean square so many dB from 1."""
    return np.asarray(samples * (10 ** (decibels / 20) / max(np.sqrt(np.mean(np.square(samples))), 1e-9)))


def _write(path: Path, samples: Samples) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.flac")
        soundfile.write(partial, np.clip(samples, -1, 1), SAMPLE_RATE, subtype="PCM_16")
        partial.replace(path)
