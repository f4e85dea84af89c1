"""Recordings in: every container, rate and channel gives its samples; everything else one line that names the file."""

import io
import os
import struct
import sys
import threading

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audiornn.audio import audio_blocks, audio_info, load_audio, to_waveform
from audiornn.errors import AudioError

RATE = 8000
LOSSLESS = [
    ("wav", "WAV", "PCM_16", 4e-5),
    ("wav", "WAV", "PCM_24", 2e-7),
    ("wav", "WAV", "PCM_32", 1e-7),
    ("wav", "WAV", "PCM_U8", 8e-3),
    ("wav", "WAV", "FLOAT", 0.0),
    ("wav", "WAV", "DOUBLE", 0.0),
    ("wav", "WAVEX", "PCM_16", 4e-5),
    ("flac", "FLAC", "PCM_16", 4e-5),
    ("flac", "FLAC", "PCM_24", 2e-7),
    ("sph", "NIST", "PCM_16", 4e-5),
    ("aiff", "AIFF", "PCM_16", 4e-5),
    ("au", "AU", "PCM_16", 4e-5),
    ("w64", "W64", "PCM_16", 4e-5),
    ("caf", "CAF", "PCM_16", 4e-5),
]
LOSSY = [("ogg", "OGG", "VORBIS"), ("opus", "OGG", "OPUS"), ("mp3", "MP3", "MPEG_LAYER_III")]


def tone(seconds=1.0, rate=RATE, n_channels=1):
    time = np.arange(round(seconds * rate)) / rate
    channels = [0.4 * np.sin(2 * np.pi * 300 * (c + 1) * time) for c in range(n_channels)]
    samples = np.stack(channels, axis=1).astype(np.float32)
    return samples[:, 0] if n_channels == 1 else samples


def written(path, samples, rate=RATE, container="WAV", coding="PCM_16"):
    if container not in soundfile.available_formats():
        pytest.skip(f"this libsndfile cannot write {container}")
    soundfile.write(path, samples, rate, format=container, subtype=coding)
    return path


def sphere(samples, *, byte_order="01", rate=RATE):
    """A NIST SPHERE file as the LDC writes them."""
    fields = {"channel_count": "-i 1", "sample_count": f"-i {len(samples)}", "sample_rate": f"-i {rate}"}
    fields |= {"sample_n_bytes": "-i 2", "sample_byte_format": f"-s2 {byte_order}", "sample_sig_bits": "-i 16"}
    header = "NIST_1A\n   1024\n" + "".join(f"{key} {value}\n" for key, value in fields.items()) + "end_head\n"
    integers = np.round(samples * 32767).astype("<i2" if byte_order == "01" else ">i2")
    return header.encode().ljust(1024) + integers.tobytes()


def wav_bytes(samples, *, coding="PCM_16"):
    out = io.BytesIO()
    soundfile.write(out, samples, RATE, format="WAV", subtype=coding)
    return out.getvalue()


def fails(source, *words, **arguments):
    with pytest.raises(AudioError) as caught:
        load_audio(source, **arguments)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
    return message


# --- what can be read ---


@pytest.mark.parametrize(("suffix", "container", "coding", "tolerance"), LOSSLESS)
@pytest.mark.parametrize("n_channels", [1, 2])
def test_lossless_containers_give_the_samples(tmp_path, suffix, container, coding, tolerance, n_channels):
    samples = tone(n_channels=n_channels)
    path = written(tmp_path / f"a.{suffix}", samples, container=container, coding=coding)
    expected = samples if n_channels == 1 else samples.mean(axis=1)
    waveform = load_audio(path)
    assert (waveform.dtype, waveform.shape) == (np.float32, (RATE,))
    np.testing.assert_allclose(waveform, expected, rtol=0, atol=tolerance)
    info = audio_info(path)
    assert (info.sample_rate, info.n_channels, info.n_samples, info.duration) == (RATE, n_channels, RATE, 1.0)


@pytest.mark.parametrize(("suffix", "container", "coding"), LOSSY)
def test_lossy_containers_give_the_sound(tmp_path, suffix, container, coding):
    samples = tone(2.0)
    waveform = load_audio(written(tmp_path / f"a.{suffix}", samples, container=container, coding=coding))
    assert abs(len(waveform) - len(samples)) < 0.1 * RATE
    peak = np.fft.rfftfreq(len(waveform), 1 / RATE)[np.abs(np.fft.rfft(waveform)).argmax()]
    assert abs(peak - 300) < 2
    assert abs(np.square(waveform).mean() / np.square(samples).mean() - 1) < 0.1


@pytest.mark.parametrize("byte_order", ["01", "10"])
def test_sphere_of_either_byte_order(tmp_path, byte_order):
    (tmp_path / "a.sph").write_bytes(sphere(tone(), byte_order=byte_order))
    np.testing.assert_allclose(load_audio(tmp_path / "a.sph"), tone(), rtol=0, atol=4e-5)


def test_a_shortened_sphere_file_is_refused_by_name(tmp_path):
    header = sphere(tone())[:1024].replace(b"end_head\n", b"sample_coding -s26 pcm,embedded-shorten-v2.00\nend_head\n")
    (tmp_path / "a.sph").write_bytes(header[:1024] + b"ajkg" + bytes(5000))
    fails(tmp_path / "a.sph", "a.sph")


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_any_rate_becomes_the_models(tmp_path, rate):
    path = written(tmp_path / "a.wav", tone(0.5, rate), rate, coding="FLOAT")
    waveform = load_audio(path, 16000)
    assert abs(len(waveform) - 8000) <= 1
    n = min(len(waveform), 8000)
    np.testing.assert_allclose(waveform[500 : n - 500], tone(0.5, 16000)[500 : n - 500], rtol=0, atol=2e-3)


def test_channels_are_mixed_or_picked(tmp_path):
    samples = tone(n_channels=3)
    path = written(tmp_path / "a.wav", samples, coding="FLOAT")
    np.testing.assert_array_equal(load_audio(path), samples.mean(axis=1))
    for channel in (1, 2, 3):
        np.testing.assert_array_equal(load_audio(path, channel=channel), samples[:, channel - 1])


@pytest.mark.parametrize("channel", [0, 3, -1])
def test_a_channel_that_is_not_there_is_named(tmp_path, channel):
    path = written(tmp_path / "a.wav", tone(n_channels=2))
    fails(path, "a.wav", f"channel {channel}", "2", channel=channel)


def test_one_broken_channel_does_not_spoil_the_other(tmp_path):
    samples = tone(n_channels=2)
    samples[100, 1] = np.nan
    path = written(tmp_path / "a.wav", samples, coding="FLOAT")
    np.testing.assert_array_equal(load_audio(path, channel=1), samples[:, 0])
    fails(path, "a.wav", "not finite", channel=2)


@given(
    block_seconds=st.sampled_from([0.0001, 0.01, 0.0333, 0.25, 0.5, 2.0]),
    sample_rate=st.sampled_from([None, 8000, 16000, 11025]),
    start=st.sampled_from([0.0, 0.1, 0.77777]),
    duration=st.sampled_from([None, 0.1, 0.2]),
)
def test_blocks_joined_are_the_whole_bit_for_bit(tmp_path_factory, block_seconds, sample_rate, start, duration):
    folder = tmp_path_factory.getbasetemp() / "blocks"
    folder.mkdir(exist_ok=True)
    path = folder / "a.flac"
    if not path.exists():
        written(path, tone(n_channels=2), container="FLAC")
    whole = load_audio(path, sample_rate, start=start, duration=duration)
    blocks = audio_blocks(path, sample_rate, start=start, duration=duration, block_seconds=block_seconds)
    joined = np.concatenate(list(blocks))
    np.testing.assert_array_equal(joined, whole)


def test_blocks_are_of_bounded_length(tmp_path):
    path = written(tmp_path / "a.wav", tone(3.0))
    assert max(len(block) for block in audio_blocks(path, 16000, block_seconds=0.25)) < 0.5 * 16000


def test_a_stretch_is_cut_at_samples(tmp_path):
    path = written(tmp_path / "a.wav", tone(), coding="FLOAT")
    np.testing.assert_array_equal(load_audio(path, start=0.25), tone()[2000:])
    np.testing.assert_array_equal(load_audio(path, start=0.25, duration=0.125), tone()[2000:3000])
    np.testing.assert_array_equal(load_audio(path, duration=0.5), tone()[:4000])


def test_rounded_seconds_reach_the_end(tmp_path):
    path = written(tmp_path / "a.wav", tone(), coding="FLOAT")
    assert len(load_audio(path, start=0.5, duration=0.505)) == 4000


@pytest.mark.parametrize(("start", "duration"), [(1.0, None), (5.0, None), (-0.1, None), (0.5, 0.6), (0.0, 60.0)])
def test_a_stretch_outside_is_an_error(tmp_path, start, duration):
    path = written(tmp_path / "a.wav", tone())
    fails(path, "a.wav", "1.00 s", start=start, duration=duration)


@pytest.mark.parametrize(
    "stretch", [{"start": float("nan")}, {"start": float("inf")}, {"duration": float("nan")}, {"duration": -1.0}]
)
def test_seconds_that_are_none_are_an_error(tmp_path, stretch):
    fails(written(tmp_path / "a.wav", tone()), "a.wav", **stretch)


# --- where it comes from ---


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG"])
def test_standard_input_is_a_source(monkeypatch, tmp_path, container):
    coding = "VORBIS" if container == "OGG" else "PCM_16"
    path = written(tmp_path / "a", tone(), container=container, coding=coding)
    reader, writer = os.pipe()

    def feed():
        with os.fdopen(writer, "wb") as out:
            out.write(path.read_bytes())

    threading.Thread(target=feed, daemon=True).start()
    with os.fdopen(reader, "rb") as pipe:  # as in a shell: it cannot seek
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
        np.testing.assert_array_equal(load_audio("-"), load_audio(path))


@pytest.mark.parametrize("content", [b"", b"no audio at all, whatever the length of it"])
def test_bad_standard_input_is_called_so(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    fails("-", "standard input")


def test_binary_files_are_sources(tmp_path):
    path = written(tmp_path / "a.wav", tone())
    with open(path, "rb") as file:
        np.testing.assert_array_equal(load_audio(file), load_audio(path))
    np.testing.assert_array_equal(load_audio(io.BytesIO(path.read_bytes())), load_audio(path))


def test_a_pipe_is_a_source(tmp_path):
    path = written(tmp_path / "a.wav", tone(0.2))
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as out:
        out.write(path.read_bytes())
    with os.fdopen(reader, "rb") as pipe:
        np.testing.assert_array_equal(load_audio(pipe), load_audio(path))


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="no /dev/fd here")  # noqa: PTH112 - a device, not a path
def test_a_shells_process_substitution_is_a_source(tmp_path):
    path = written(tmp_path / "a.wav", tone(0.2))
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as out:
        out.write(path.read_bytes())
    with os.fdopen(reader, "rb"):
        np.testing.assert_array_equal(load_audio(f"/dev/fd/{reader}"), load_audio(path))


def test_a_nameless_file_is_not_called_by_its_address():
    assert "0x" not in fails(io.BytesIO(b"no audio at all"))


@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "Path"])
def test_a_message_names_the_whole_path(tmp_path, kind):
    (tmp_path / "yes").mkdir()
    (tmp_path / "yes" / "a.wav").write_text("no audio")
    fails(kind(tmp_path / "yes" / "a.wav"), str(tmp_path / "yes" / "a.wav"))


@pytest.mark.parametrize(
    ("riff", "data"),
    [
        pytest.param(0xFFFFFFFF, 0xFFFFFFFF, id="ffmpeg"),
        pytest.param(0xFFFFFFFF, 0xFFFFFFFF - 36, id="ffmpeg-data"),
        pytest.param(0x7FFFF024, 0x7FFFF000, id="sox"),
        pytest.param(0x7FFFFF24, 0x7FFFFF00, id="arecord"),
        pytest.param(0x7FFFFFFF, 0x7FFFFFFF - 36, id="largest"),
        pytest.param(8, 0, id="libsndfile"),
    ],
)
def test_wav_headers_of_streams_are_accepted(riff, data):
    content = bytearray(wav_bytes(tone()))
    position = content.index(b"data")
    struct.pack_into("<I", content, 4, riff)
    struct.pack_into("<I", content, position + 4, data)
    assert len(load_audio(io.BytesIO(bytes(content)))) == RATE


@pytest.mark.parametrize("n_samples", [1, 2, 7, 99])
def test_tiny_recordings_are_read(tmp_path, n_samples):
    path = written(tmp_path / "a.wav", tone()[:n_samples])
    assert len(load_audio(path)) == n_samples


# --- what cannot ---


def test_missing_empty_folder_and_text(tmp_path):
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("this is no audio\n" * 200)
    fails(tmp_path / "none.wav", "none.wav", "no such file")
    fails(tmp_path / "empty.wav", "empty.wav", "empty")
    fails(tmp_path, str(tmp_path), "folder")
    fails(tmp_path / "text.wav", "text.wav", "not audio", "FLAC")


def test_audio_info_has_the_same_errors(tmp_path):
    for name in ("none.wav", "text.wav"):
        (tmp_path / "text.wav").write_text("this is no audio")
        with pytest.raises(AudioError, match=name):
            audio_info(tmp_path / name)


def test_a_file_without_samples(tmp_path):
    fails(written(tmp_path / "a.wav", tone()[:0]), "a.wav", "no samples")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99, None])
@pytest.mark.parametrize(
    ("suffix", "container"),
    [
        ("wav", "WAV"),
        ("flac", "FLAC"),
        ("sph", "NIST"),
        ("aiff", "AIFF"),
        ("au", "AU"),
        ("w64", "W64"),
        ("rf64", "RF64"),
    ],
)
def test_truncated_recordings_are_never_read_in_silence(tmp_path, suffix, container, share):
    content = written(tmp_path / f"a.{suffix}", tone(), container=container).read_bytes()
    cut = len(content) - 2 if share is None else int(share * len(content))
    (tmp_path / f"cut.{suffix}").write_bytes(content[:cut])
    fails(tmp_path / f"cut.{suffix}", f"cut.{suffix}")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize(("suffix", "container", "coding"), LOSSY)
def test_truncated_lossy_recordings_are_never_read_in_silence(tmp_path, suffix, container, coding, share):
    content = written(tmp_path / f"a.{suffix}", tone(4.0), container=container, coding=coding).read_bytes()
    (tmp_path / f"cut.{suffix}").write_bytes(content[: int(share * len(content))])
    fails(tmp_path / f"cut.{suffix}", f"cut.{suffix}")


def test_truncation_is_seen_behind_a_long_comment(tmp_path):
    content = wav_bytes(tone())
    comment = b"LIST" + struct.pack("<I", 4000) + b"INFOICMT" + struct.pack("<I", 3988) + b"x" * 3988
    position = content.index(b"data")
    content = content[:position] + comment + content[position:]
    content = content[:4] + struct.pack("<I", len(content) - 8) + content[8:]
    assert len(load_audio(io.BytesIO(content))) == RATE
    (tmp_path / "cut.wav").write_bytes(content[:-5000])
    fails(tmp_path / "cut.wav", "cut.wav", "truncated")


def test_truncated_sphere_as_the_ldc_writes_it(tmp_path):
    content = sphere(tone())
    for cut in (-2, -7000, 1030, 500):
        (tmp_path / "cut.sph").write_bytes(content[:cut])
        fails(tmp_path / "cut.sph", "cut.sph")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 4000, 7999])
def test_samples_that_are_not_finite(tmp_path, value, place):
    samples = tone()
    samples[place] = value
    fails(written(tmp_path / "a.wav", samples, coding="FLOAT"), "a.wav", "not finite")


def test_damaged_flacs_of_a_real_corpus(shared_data):
    files = sorted((shared_data / "broken").glob("*.flac"))
    assert len(files) == 14
    for file in files:
        fails(file, file.name, "damaged")


@pytest.mark.parametrize(
    ("suffix", "container", "coding"),
    [("wav", "WAV", "PCM_16"), ("flac", "FLAC", "PCM_16"), ("sph", "NIST", "PCM_16"), ("ogg", "OGG", "VORBIS")],
)
@given(data=st.data())
def test_damaged_bytes_are_an_audio_error_or_audio(tmp_path_factory, suffix, container, coding, data):
    """Headers that lie about rates, counts and channels included; never another exception, never nothing at all."""
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    path = folder / f"whole.{suffix}"
    if not path.exists():
        written(path, tone(0.5), container=container, coding=coding)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, min(len(content), 1100) - 1))
        content[place] = data.draw(st.sampled_from([0, 1, 127, 128, 255]))
    (folder / f"damaged.{suffix}").write_bytes(content)
    try:
        waveform = load_audio(folder / f"damaged.{suffix}", RATE)
    except AudioError as error:
        assert f"damaged.{suffix}" in str(error)  # noqa: PT017 - reading it is right too
    else:
        assert len(waveform)
        assert np.isfinite(waveform).all()


def test_blocks_raise_too(tmp_path):
    content = written(tmp_path / "a.flac", tone(3.0), container="FLAC").read_bytes()
    (tmp_path / "cut.flac").write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match=r"cut\.flac"):
        list(audio_blocks(tmp_path / "cut.flac", block_seconds=0.1))


# --- samples in memory ---


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.int64])
def test_integers_are_scaled_by_their_range(kind):
    limits = np.iinfo(kind)
    samples = np.array([limits.min, 0, limits.max // 2 + 1, limits.max], kind)
    np.testing.assert_allclose(to_waveform(samples, 8000, 8000), [-1, 0, 0.5, 1], rtol=0, atol=0.008)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_unsigned_integers_are_centred(kind):
    middle = np.iinfo(kind).max // 2 + 1  # silence, in unsigned PCM
    samples = np.array([0, middle, np.iinfo(kind).max], kind)
    np.testing.assert_allclose(to_waveform(samples, 8000, 8000), [-1, 0, 1], rtol=0, atol=0.008)


def test_floats_are_taken_as_they_are():
    for kind in (np.float32, np.float64):
        waveform = to_waveform(tone().astype(kind), RATE, RATE)
        assert waveform.dtype == np.float32
        np.testing.assert_array_equal(waveform, tone())


def test_lists_and_channels_and_rates_in_memory(tmp_path):
    assert to_waveform([0.0, 0.5], 8000, 8000).tolist() == [0.0, 0.5]
    samples = tone(n_channels=2)
    np.testing.assert_array_equal(to_waveform(samples, RATE, RATE), samples.mean(axis=1))
    path = written(tmp_path / "a.wav", samples, coding="FLOAT")
    np.testing.assert_array_equal(to_waveform(samples, RATE, 16000), load_audio(path, 16000))


@pytest.mark.parametrize(
    "samples",
    [np.zeros(0), np.zeros((3, 2, 2)), np.float32(0.5), np.zeros((0, 2)), np.array([0.0, np.nan])],
    ids=["empty", "cube", "scalar", "no-rows", "nan"],
)
def test_what_is_no_waveform_is_refused_by_name(samples):
    with pytest.raises(AudioError, match="my recording"):
        to_waveform(samples, 8000, 8000, name="my recording")


# --- what is no recording, or not as it was meant ---


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integers_that_were_widened_are_not_heard_as_silence(dtype):
    samples = np.array([0, 13_000, -9_000], dtype)
    with pytest.raises(AudioError, match=rf"{dtype} samples reach 13,000, .*astype\('int16'\)"):
        to_waveform(samples, 8000, 8000)
    assert not to_waveform(np.zeros(3, dtype), 8000, 8000).any()


def test_what_to_make_of_wider_integers_is_said():
    with pytest.raises(AudioError, match=r"reach 4,520,960, far from full scale: samples / 2\*\*23"):
        to_waveform(np.array([4_520_960, 0]), 8000, 8000)


def test_channels_come_second():
    with pytest.raises(AudioError, match=r"800 channels\? .* transpose it"):
        to_waveform(np.zeros((2, 800)), 8000, 8000)


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), 0, -1, 3, 2**31, "16000", None, True, [16000]])
def test_a_rate_that_is_none(rate, tmp_path):
    with pytest.raises(AudioError, match=r"a sample rate of .* is none"):
        to_waveform(np.zeros(800), rate, 8000)
    if rate is not None:
        written(tmp_path / "a.wav", tone(0.1))
        with pytest.raises(AudioError, match=r"a sample rate of .* is none"):
            load_audio(tmp_path / "a.wav", rate)


@pytest.mark.parametrize("samples", [np.array(["a"]), np.array([1j]), np.array([True])])
def test_samples_are_numbers(samples):
    with pytest.raises(AudioError, match="samples are numbers"):
        to_waveform(samples, 8000, 8000)


def test_sources_that_are_none(tmp_path):
    path = tmp_path / "a.wav"
    written(path, tone(0.1))
    with soundfile.SoundFile(path) as file, pytest.raises(AudioError, match=r"an open SoundFile: give its path"):
        load_audio(file)
    with open(path, errors="replace") as file, pytest.raises(AudioError, match="is open as text"):
        load_audio(file)
    with open(path, "rb") as file:
        load_audio(file)
        with pytest.raises(AudioError, match=r"was read to its end: file\.seek\(0\)"):
            load_audio(file)
    for source in (None, 5, tone(0.1)):
        with pytest.raises(AudioError, match="expected a path or a file opened for bytes"):
            load_audio(source)
    with pytest.raises(AudioError, match=r"channel '1' is none"):
        load_audio(path, channel="1")


def test_any_path_will_do(tmp_path):
    class Somewhere:
        def __fspath__(self):
            return str(tmp_path / "a.wav")

    written(tmp_path / "a.wav", tone(0.1))
    np.testing.assert_array_equal(load_audio(Somewhere()), load_audio(tmp_path / "a.wav"))


def test_a_pipes_channel_can_be_picked(tmp_path):
    path = written(tmp_path / "a.wav", tone(n_channels=2))
    reader, writer = os.pipe()  # which holds all of so short a recording
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(path.read_bytes())
    with os.fdopen(reader, "rb") as pipe:
        np.testing.assert_array_equal(load_audio(pipe, channel=2), load_audio(path, channel=2))


def test_integers_made_floats_are_refused_below_zero_too():
    with pytest.raises(AudioError, match="integers made floats"):
        to_waveform(np.array([0.0, -20000.0, 50.0]), 16000, 16000)
