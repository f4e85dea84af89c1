"""A WAV through a pipe gives the samples that libsndfile reads from a file, however the pipe cuts it."""

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

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
