"""A WAV through a pipe gives the samples that libsndfile reads from a file, however the pipe cuts it."""

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audiornn.audio import audio_info, load_audio
from audiornn.errors import AudioError
from audiornn.wav_stream import WavStream, read_wav_header

CODINGS = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]


class Pipe(io.RawIOBase):
    """Gives what it holds in pieces of these sizes, again and again."""

    def __init__(self, content, sizes):
        self.content, self.sizes, self.n_reads = content, sizes, 0

    def read(self, n=-1):
        size = self.sizes[self.n_reads % len(self.sizes)]
        self.n_reads += 1
        piece, self.content = self.content[: min(n, size)], self.content[min(n, size) :]
        return piece


def wav(samples, coding, container="WAV"):
    out = io.BytesIO()
    soundfile.write(out, samples, 8000, coding, format=container)
    return out.getvalue()


def noise(n, n_channels, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n, n_channels))


@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
@pytest.mark.parametrize("coding", CODINGS)
def test_every_coding(coding, container):
    content = wav(noise(500, 2), coding, container)
    expected, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)

    @given(st.lists(st.integers(1, 700), min_size=1, max_size=4))
    def equal(sizes):
        found = read_wav_header(Pipe(content, sizes), "pipe")
        assert (found.sample_rate, found.n_channels) == (rate, 2)
        np.testing.assert_allclose(np.concatenate(list(found.blocks())), expected, rtol=0, atol=1e-7)

    equal()


def padded(content):
    """A WAV of 24 bits with four bytes for each sample, as ALSA's S24_LE is written."""
    samples = np.frombuffer(content[44:], np.uint8).reshape(-1, 3)
    n_channels = struct.unpack("<H", content[22:24])[0]
    wide = np.concatenate([samples, np.where(samples[:, 2:] > 127, 255, 0).astype(np.uint8)], axis=1).tobytes()
    head = bytearray(content[:44])
    head[32:34] = struct.pack("<H", 4 * n_channels)
    head[40:44] = struct.pack("<I", len(wide))
    return bytes(head) + wide


def test_24_bits_in_four_bytes_each():
    content = wav(noise(500, 2), "PCM_24")
    found = read_wav_header(Pipe(padded(content), [100, 7]), "pipe")
    expected, _ = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    np.testing.assert_allclose(np.concatenate(list(found.blocks())), expected, rtol=0, atol=1e-7)
    careless = bytearray(wav(noise(10, 2), "PCM_16"))
    careless[32:34] = struct.pack("<H", 8)  # of 16 bits nothing else can be meant
    assert read_wav_header(Pipe(bytes(careless), [100]), "pipe").coding == "i2"


def test_files_that_only_a_pipe_s_reader_understands(tmp_path):
    content = wav(noise(500, 2), "PCM_24")
    expected = load_audio(io.BytesIO(content))
    path = tmp_path / "a.wav"
    path.write_bytes(padded(content))
    np.testing.assert_allclose(load_audio(path), expected, rtol=0, atol=1e-7)
    np.testing.assert_allclose(load_audio(path, start=0.01, duration=0.02), expected[80:240], rtol=0, atol=1e-7)
    assert (audio_info(path).n_samples, audio_info(path).n_channels) == (500, 2)
    killed = bytearray(content)
    killed[40:44] = bytes(4)  # the program that wrote it had no time to say how long it became
    notes = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"recorder 1.0.0"
    with pytest.raises(AudioError, match="holds no samples"):
        load_audio(io.BytesIO(bytes(killed[:44]) + notes))
    path.write_bytes(killed)
    np.testing.assert_allclose(load_audio(path), expected, rtol=0, atol=1e-7)
    path.write_bytes(killed[:44])
    with pytest.raises(AudioError, match="holds no samples"):
        load_audio(path)
    path.write_bytes(padded(content)[:-100])
    with pytest.raises(AudioError, match="truncated"):
        load_audio(path)


def test_pipes_of_other_sorts_however_they_are_cut():
    for container in ("AIFF", "FLAC", "AU", "CAF", "W64", "RF64", "PAF", "IRCAM", "PVF", "AVR", "MAT5"):
        content = wav(noise(8000, 1), "PCM_16", container)
        assert len(load_audio(Pipe(content, [3, 7]))) == 8000, container
    mp3 = wav(noise(8000, 1), "MPEG_LAYER_III", "MP3")
    tagless = mp3[mp3.index(b"\xff\xf3") :] if not mp3.startswith(b"\xff") else mp3
    assert len(load_audio(Pipe(tagless, [3, 7]))) >= 8000


@pytest.mark.parametrize("content", [b"hello\n" * 10, bytes(100), b"\x01\x00" * 50])
def test_a_pipe_of_what_is_no_audio_is_not_waited_for(content):
    pipe = Pipe(content, [7])
    with pytest.raises(AudioError, match=r"not audio that can be read, it begins .* raw samples need a WAV's header"):
        load_audio(pipe)
    assert len(pipe.content) > len(content) - 30


def test_notes_before_the_samples_are_passed_over():
    content = wav(noise(100, 1), "PCM_16")
    note = b"LIST" + struct.pack("<I", 5) + b"hello\x00"  # an odd chunk is padded
    content = content[:12] + note + content[12:]
    found = read_wav_header(Pipe(content, [7]), "pipe")
    assert len(np.concatenate(list(found.blocks()))) == 100


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFF000, 0x7FFFFF00, 0])
def test_a_length_that_nobody_knew(length):
    content = bytearray(wav(noise(100, 1), "PCM_16"))
    content[40:44] = struct.pack("<I", length)
    found = read_wav_header(Pipe(bytes(content), [1000]), "pipe")
    assert found.n_bytes is None
    assert len(np.concatenate(list(found.blocks()))) == 100


@given(st.integers(0, 243))
def test_a_wav_cut_anywhere(n):
    content = wav(noise(100, 1), "PCM_16")
    found = read_wav_header(Pipe(content[:n], [50]), "the pipe")
    if n < 44:
        assert found == content[:n]
        return
    samples = []
    with pytest.raises(AudioError, match=r"the pipe: is truncated.*0\.01 s"):
        samples.extend(found.blocks())
    assert sum(map(len, samples)) == (n - 44) // 2


@given(st.binary(max_size=200))
def test_what_is_no_wav_is_given_back(content):
    found = read_wav_header(Pipe(content, [64]), "pipe")
    assert not isinstance(found, WavStream)
    assert content.startswith(found)
