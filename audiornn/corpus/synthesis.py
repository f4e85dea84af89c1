"""Speech out of text, by espeak-ng: a corpus where there is none, and a wake word in hundreds of voices.

`synthesise` speaks one text, `render` makes a recording of it (rate, level, silence, noise), `synthesise_files` writes
many. All are functions of their arguments alone: the same job gives the same samples in any order, in any process.

The library and its voices come with the package `espeakng_loader` and are called through ctypes.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import io
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
import soundfile

from audiornn.audio import Waveform, to_waveform
from audiornn.corpus.workers import run_in_workers
from audiornn.errors import AudiornnError, nearest
from audiornn.files import write_atomically

__all__ = ["SynthesisJob", "Voice", "list_voices", "phonemes", "render", "synthesise", "synthesise_files", "variants"]

# espeak-ng's speak_lib.h
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000  # without it, missing data ends the process
_POSITION_CHARACTER = 1
_CHARS_UTF8 = 1
_IPA = 2
_RATE, _PITCH, _PITCH_RANGE, _WORD_GAP = 1, 3, 4, 7
_LONGEST_PATH = 159  # of its data folder; a longer one would be cut off and not found

#: Fewer files than this are written sooner by one process than two are started.
_WORTH_A_PROCESS = 100

_SUFFIXES = {".flac": "FLAC", ".wav": "WAV"}


@dataclass(frozen=True)
class Voice:
    """Who speaks, and how.

    Attributes:
        name: an espeak-ng language, with a variant or without: ``en-us``, ``en-gb+f3`` (see `list_voices`, `variants`).
        rate: words a minute, 80 to 450.
        pitch: 0 to 99; 50 is the variant's own, 0 an octave below, 99 an octave above.
        pitch_range: how lively the intonation is, 0 (monotone) to 99; 50 is the variant's own.
        word_gap: a pause between words, in espeak-ng's unit: 10 ms at the default rate, shorter when faster.

    Raises:
        AudiornnError: a number outside its range. Whether the name exists is seen when it speaks.
    """

    name: str
    rate: int = 175
    pitch: int = 50
    pitch_range: int = 50
    word_gap: int = 0

    def __post_init__(self) -> None:
        limits = {"rate": (80, 450), "pitch": (0, 99), "pitch_range": (0, 99), "word_gap": (0, 500)}
        for what, (lowest, highest) in limits.items():
            value = getattr(self, what)
            if not lowest <= value <= highest:
                raise AudiornnError(f"voice {self.name!r}: {what} is {value}, but must lie in {lowest}…{highest}")


@dataclass(frozen=True)
class SynthesisJob:
    """One recording to make.

    Attributes:
        text: what to say.
        voice: who says it.
        path: where to write it; ``.flac`` or ``.wav``, 16 bit.
        sample_rate: Hz.
        leading_silence: seconds before the first sound.
        trailing_silence: seconds after the last.
        peak: the loudest sample of the speech, above 0, to 1.
        snr: dB from the noise up to the speech, both as their mean power (the speech's without the added silences);
            None adds no noise, and silence is digital zeros.
        noise: ``white``, or ``pink``: as much power in every octave.
        seed: of the noise.
    """

    text: str
    voice: Voice
    path: Path
    sample_rate: int = 16_000
    leading_silence: float = 0.0
    trailing_silence: float = 0.0
    peak: float = 0.9
    snr: float | None = None
    noise: Literal["white", "pink"] = "white"
    seed: int = 0


def list_voices(language: str = "en") -> list[str]:
    """The names of a language's voices, ``en-gb``, ``en-us``, …; one for each accent, sorted.

    Raises:
        AudiornnError: `espeakng_loader` is not installed.
    """
    return sorted(tag for tag in _languages() if tag == language or tag.startswith(f"{language}-"))


@functools.cache
def variants() -> tuple[str, ...]:
    """The names that may follow a voice's ``+``: ``f1``, ``m3``, ``Annie``, …; sorted.

    Raises:
        AudiornnError: `espeakng_loader` is not installed.
    """
    return tuple(sorted(path.name for path in (_data_folder() / "voices" / "!v").iterdir()))


def synthesise(text: str, voice: Voice) -> tuple[Waveform, int]:
    """Speak a text.

    Returns:
        float32 samples in −1…1, shape (samples,), without silence around them; and their rate in Hz (22,050).

    Raises:
        AudiornnError: an unknown voice or variant, a text with nothing in it to speak, or no `espeakng_loader`.
    """
    identifier = _identifier(voice.name)
    if "\0" in text:
        raise AudiornnError(f"{text!r}: cannot be spoken, it holds a NUL character")
    # In a thread of its own: Ctrl-C inside a callback from C would be swallowed, and a piece of the speech with it.
    with ThreadPoolExecutor(1) as thread:
        spoken, sample_rate = thread.submit(_speak, text, identifier, voice).result()
    samples = np.frombuffer(spoken, dtype=np.int16)
    sounding = np.flatnonzero(samples)
    if not sounding.size:
        raise AudiornnError(f"{text!r}: there is nothing in it to speak")
    return samples[sounding[0] : sounding[-1] + 1] / np.float32(32768), sample_rate


def render(job: SynthesisJob) -> Waveform:
    """Make a job's recording: the speech at its rate and level, silence around it, noise over all.

    Returns:
        float32 samples in −1…1, shape (samples,), at `job.sample_rate`.

    Raises:
        AudiornnError: as `synthesise`.
    """
    speech = to_waveform(*synthesise(job.text, job.voice), job.sample_rate, name=job.text)
    speech = speech * np.float32(job.peak / np.abs(speech).max())
    margins = (round(job.leading_silence * job.sample_rate), round(job.trailing_silence * job.sample_rate))
    waveform = np.pad(speech, margins)
    if job.snr is not None:
        level = np.sqrt(np.mean(np.square(speech, dtype=np.float64))) * 10 ** (-job.snr / 20)
        waveform = waveform + (level * _noise(job.noise, len(waveform), job.seed)).astype(np.float32)
    return np.clip(waveform, -1, 1)


def synthesise_files(jobs: Sequence[SynthesisJob], n_jobs: int = 1) -> int:
    """Write the recordings that are not there yet, in `n_jobs` processes; a bar shows how far, on a terminal.

    A file gets its name once it is whole, so that a call after a kill only adds what is missing.

    Returns:
        How many files were written.

    Raises:
        AudiornnError: as `synthesise`, or a file cannot be written. What was written before stays.
        ValueError: two jobs for one file.
    """
    if len({job.path for job in jobs}) < len(jobs):
        raise ValueError("two jobs would write the same file")
    began = time.time()
    missing = [job for job in jobs if not job.path.exists()]
    if not missing:
        return 0
    _data_folder()  # the clear error first: where espeak-ng is missing, tqdm often is too
    from tqdm import tqdm

    n_processes = min(n_jobs, len(missing) // _WORTH_A_PROCESS)
    done = run_in_workers(_write, missing, n_processes, chunk=16)
    for _ in tqdm(done, "synthesising", total=len(missing), unit="file", disable=None, leave=False):
        pass
    # What a call that was killed left half written; another call's files at work are younger.
    for folder in {job.path.parent for job in missing}:
        for partial in folder.glob(".*.partial"):
            with contextlib.suppress(OSError):
                if partial.stat().st_mtime < began:
                    partial.unlink()
    return len(missing)


def _write(job: SynthesisJob) -> None:
    container = _SUFFIXES.get(job.path.suffix.lower())
    if container is None:
        raise AudiornnError(f"{job.path}: is not written by synthesis; choose a name that ends in .flac or .wav")
    # Encoded in memory: an error in writing then comes from the system, with its reason, not from libsndfile.
    encoded = io.BytesIO()
    soundfile.write(encoded, render(job), job.sample_rate, format=container, subtype="PCM_16")
    with write_atomically(job.path) as out:
        out.write(encoded.getbuffer())


def _noise(colour: str, n_samples: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Noise of unit power, shape (n_samples,)."""
    noise = np.random.default_rng(seed).standard_normal(n_samples)
    if colour == "pink":
        spectrum = np.fft.rfft(noise)
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
        spectrum[0] = 0
        noise = np.fft.irfft(spectrum, n_samples)
    noise /= np.sqrt(np.mean(noise**2))
    return noise


def phonemes(texts: Sequence[str], voice: str = "en-us") -> list[str]:
    """How a voice says texts, in the International Phonetic Alphabet with marks of stress.

    Raises:
        AudiornnError: espeak-ng is not installed, or has no such voice.
    """
    identifier = _identifier(voice)
    said = []
    with _espeak() as (library, _):
        if library.espeak_SetVoiceByName(identifier.encode()):
            raise AudiornnError(f"{voice}: espeak-ng has no such voice")
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_int]
        for text in texts:
            encoded = ctypes.create_string_buffer(text.encode())
            place = ctypes.c_void_p(ctypes.addressof(encoded))
            clauses = []
            while place.value:  # it goes on by a clause each time, and ends at none
                clauses.append(library.espeak_TextToPhonemes(ctypes.byref(place), _CHARS_UTF8, _IPA).decode())
            said.append(" ".join(clauses))
    return said


# --- the library --------------------------------------------------------------------------------------------------

#: libespeak-ng is one voice in one place: whoever uses it holds this.
_LOCK = threading.Lock()


@contextlib.contextmanager
def _espeak() -> Iterator[tuple[ctypes.CDLL, int]]:
    """The library as just loaded, and its sample rate in Hz.

    What was spoken before lives on in its static variables (the phase of the roughness, of the flutter, of the Klatt
    voices), where neither espeak_Initialize nor espeak_Terminate reaches. So it is unloaded after every text. Loading
    costs 2 ms, and nothing then depends on the order of texts.
    """
    data = _data_folder()
    with _LOCK:
        try:
            library = ctypes.CDLL(_loader().get_library_path())
        except OSError as error:
            raise AudiornnError(f"espeak-ng cannot be loaded ({error}); {_INSTALL}") from None
        try:
            library.espeak_Synth.argtypes = [
                ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
                ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
            ]  # fmt: skip
            sample_rate = library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(data), _DONT_EXIT)
            if sample_rate <= 0:
                raise AudiornnError(f"{data}: espeak-ng cannot read its data; {_INSTALL}")
            library.espeak_ng_SetRandSeed(ctypes.c_long(1))
            # Two variants (Reed, caleb) draw their breath from the C library's rand instead. Windows hides it.
            with contextlib.suppress(AttributeError):
                library.srand(1)
            yield library, sample_rate
        finally:
            library.espeak_Terminate()
            _unload(library)


def _speak(text: str, identifier: str, voice: Voice) -> tuple[bytes, int]:
    """What espeak-ng says, as native 16-bit samples, and their rate in Hz."""
    chunks = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    def receive(samples: int | None, n_samples: int, _events: int) -> int:
        if samples and n_samples > 0:
            chunks.append(ctypes.string_at(samples, 2 * n_samples))
        return 0

    with _espeak() as (library, sample_rate):
        library.espeak_SetSynthCallback(receive)
        status = library.espeak_SetVoiceByName(identifier.encode())
        # After the voice, which sets some of them.
        for parameter, value in (
            (_RATE, voice.rate),
            (_PITCH, voice.pitch),
            (_PITCH_RANGE, voice.pitch_range),
            (_WORD_GAP, voice.word_gap),
        ):
            status = status or library.espeak_SetParameter(parameter, value, 0)
        encoded = text.encode()
        status = status or library.espeak_Synth(
            encoded, len(encoded) + 1, 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None
        )
    if status:
        raise AudiornnError(f"{text!r}: espeak-ng cannot speak this as {voice} (its error {status})")
    return b"".join(chunks), sample_rate


def _unload(library: ctypes.CDLL) -> None:
    import _ctypes

    if sys.platform == "win32":
        _ctypes.FreeLibrary(library._handle)
    else:
        _ctypes.dlclose(library._handle)


_INSTALL = "pip install 'audiornn[train]' brings it"


def _loader() -> ModuleType:
    try:
        return importlib.import_module("espeakng_loader")
    except ImportError:
        raise AudiornnError(f"speech synthesis needs the package espeakng-loader; {_INSTALL}") from None


@functools.cache
def _data_folder() -> Path:
    try:
        folder = Path(_loader().get_data_path())
    except RuntimeError as error:
        raise AudiornnError(f"espeak-ng's data are missing ({error}); {_INSTALL}") from None
    if len(os.fsencode(folder)) > _LONGEST_PATH:
        raise AudiornnError(
            f"{folder}: espeak-ng cannot take a path of more than {_LONGEST_PATH} bytes; install audiornn into an "
            "environment nearer the root"
        )
    return folder


@functools.cache
def _languages() -> dict[str, str]:
    """Each language's tag (``en-gb``) and the name espeak-ng knows it by: its file (``gmw/en``)."""
    folder = _data_folder() / "lang"
    names = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        lines = path.read_text(encoding="utf-8").splitlines()
        # The first tag is the accent's own, the others say what it may stand in for.
        tag = next((line.split()[1] for line in lines if line.startswith("language")), path.name)
        names[tag.lower()] = path.relative_to(folder).as_posix()
    return names


def _identifier(name: str) -> str:
    """The name that espeak-ng takes for a voice of ours: ``gmw/en+f3`` for ``en-gb+f3``.

    All names are looked up here: espeak-ng itself would speak on in the voice it had before if it does not know one,
    and in the language's plain voice if it does not know the variant.
    """
    language, plus, variant = name.partition("+")
    identifier = _languages().get(language.lower())
    if identifier is None:
        raise AudiornnError(f"{name}: espeak-ng has no voice {language!r}{nearest(language.lower(), _languages())}")
    if plus and variant not in variants():
        raise AudiornnError(f"{name}: espeak-ng has no variant {variant!r}{nearest(variant, variants())}")
    return identifier + plus + variant
