"""A microphone's samples as they come, through PortAudio (`pip install 'audiornn[mic]'`)."""

from __future__ import annotations

import itertools
import queue
from collections.abc import Callable, Iterator
from typing import Any

from audiornn.audio import Resampler, Waveform, to_mono
from audiornn.errors import AudioError, SettingsError

__all__ = ["microphone_blocks"]

#: Seconds without a sample after which a microphone is taken to be gone: PortAudio often does not tell.
SILENT_DEVICE = 3.0
_BLOCK = 0.05  # seconds that come at once


def microphone_blocks(
    sample_rate: int,
    *,
    device: str | int | None = None,
    opened: Callable[[], None] = lambda: None,
    report: Callable[[str], None] = lambda line: None,
) -> Iterator[Waveform]:
    """Listen to a microphone until it is gone or nobody wants any more.

    Args:
        sample_rate: Hz of the blocks; a device that cannot give it is resampled from its own default.
        device: its number or a part of its name; None is the system's default.
        opened: called when it listens.
        report: told once when samples are lost because nobody took them in time.

    Yields:
        float32 samples (samples,), some 50 ms at a time.

    Raises:
        SettingsError: sounddevice or PortAudio is not installed.
        AudioError: there is no such microphone, it cannot be opened, or it went away.
    """
    sounddevice = _sounddevice()
    rate, n_channels = _format_of(sounddevice, device, sample_rate)
    blocks: queue.SimpleQueue[tuple[Any, bool] | None] = queue.SimpleQueue()

    def take(samples: Any, n_frames: int, time: Any, status: Any) -> None:
        blocks.put((samples.copy(), bool(getattr(status, "input_overflow", False))))

    resample = Resampler(rate, sample_rate, name="the microphone")
    lost = False
    try:
        with sounddevice.InputStream(
            samplerate=rate,
            device=device,
            channels=n_channels,
            dtype="float32",
            blocksize=max(1, round(_BLOCK * rate)),
            callback=take,
            finished_callback=lambda: blocks.put(None),
        ):
            opened()
            while True:
                try:
                    block = blocks.get(timeout=SILENT_DEVICE)
                except queue.Empty:
                    block = None
                if block is None:
                    raise AudioError("the microphone stopped giving samples; was it unplugged?")
                samples, overflow = block
                if overflow and not lost:
                    lost = True
                    report("the microphone's samples came faster than they were listened to; some are lost")
                yield resample(to_mono(samples, name="the microphone"), last=False)
    except sounddevice.PortAudioError as error:
        raise AudioError(
            f"the microphone cannot be listened to ({_reason(error)}); is another program using it?"
        ) from None


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ModuleNotFoundError:
        raise SettingsError(
            "a microphone needs sounddevice, which is not installed: pip install 'audiornn[mic]'"
        ) from None
    except OSError:
        raise SettingsError(
            "a microphone needs the PortAudio library, which is not installed: apt install libportaudio2"
        ) from None
    return sounddevice


def _format_of(sounddevice: Any, device: str | int | None, wanted: int) -> tuple[int, int]:
    """The rate and the channels to open a device at: the wanted rate or its own, one channel or all that it has."""
    try:
        found = sounddevice.query_devices(device, "input")
    except (sounddevice.PortAudioError, ValueError) as error:
        which = "there is no microphone" if device is None else f"there is no microphone {device!r}"
        raise AudioError(f"{which} ({_reason(error)}); `python -m sounddevice` lists the devices") from None
    own = round(found["default_samplerate"])
    for rate, n_channels in itertools.product((wanted, own), dict.fromkeys((1, int(found["max_input_channels"])))):
        try:
            sounddevice.check_input_settings(device=device, channels=n_channels, dtype="float32", samplerate=rate)
        except (sounddevice.PortAudioError, ValueError):
            continue
        return rate, n_channels
    return own, 1  # opening it says why not


def _reason(error: Exception) -> str:
    return " ".join(str(error.args[0] if error.args else error).split()).rstrip(".")[:120]
