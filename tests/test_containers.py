"""Containers whose headers say too little or too much: all of a recording is heard, or it is an error."""

import gzip
import os
import struct

import numpy as np
import pytest
import soundfile

from audiornn.audio import audio_info, load_audio
from audiornn.containers import length_of_mp3
from audiornn.errors import AudioError

RATE = 16000
SOUND = (0.3 * np.sin(2 * np.pi * 440 * np.arange(8 * RATE) / RATE)).astype(np.float32)
SOUND[: 4 * RATE] += np.random.default_rng(0).normal(0, 0.1, 4 * RATE).astype(np.float32)


def mp3(path, samples=SOUND, mode="VARIABLE"):
    soundfile.write(path, samples, RATE, format="MP3", compression_level=0.5, bitrate_mode=mode)
    return path.read_bytes()


def without_length(content):
    """An MP3 without its first frame, which holds the length and no sound."""
    for begin in range(10, len(content)):
        if content[begin] == 0xFF and content[begin + 1] & 0xE6 == 0xE2 and content[begin : begin + 2] == content[:2]:
            return content[begin:]
    raise AssertionError("no second frame")


@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
def test_an_mp3_that_does_not_say_its_length_is_heard_whole(mode, tmp_path):
    content = mp3(tmp_path / "said.mp3", mode=mode)
    (tmp_path / "unsaid.mp3").write_bytes(without_length(content))
    heard = load_audio(tmp_path / "unsaid.mp3")
    assert len(heard) == pytest.approx(len(SOUND), abs=0.15 * RATE)
    assert audio_info(tmp_path / "unsaid.mp3").n_samples == len(heard)
    tone = np.abs(np.fft.rfft(heard[-2 * RATE : -RATE // 2] * np.hanning(1.5 * RATE)))
    assert tone.argmax() / 1.5 == pytest.approx(440, abs=1), "the end is the end, and not silence"


def test_mp3s_joined_by_their_bytes_are_heard_one_after_the_other(tmp_path):
    one, other = mp3(tmp_path / "a.mp3"), mp3(tmp_path / "b.mp3", SOUND[::-1].copy())
    tag = b"ID3\x03\x00\x00\x00\x00\x02\x01" + bytes(257)
    (tmp_path / "both.mp3").write_bytes(tag + one + tag + other + b"TAG" + bytes(125))
    with open(tmp_path / "both.mp3", "rb") as file:
        assert len(load_audio(file)) == pytest.approx(2 * len(SOUND), abs=0.3 * RATE)


def test_an_mp3_that_says_its_length_is_left_as_it_is(tmp_path):
    content = mp3(tmp_path / "a.mp3")
    (tmp_path / "a.mp3").write_bytes(content + b"TAG" + bytes(125))
    with open(tmp_path / "a.mp3", "rb") as file:
        assert length_of_mp3(file, "a.mp3") is None
        assert file.tell() == 0
    assert len(load_audio(tmp_path / "a.mp3")) == pytest.approx(len(SOUND), abs=0.15 * RATE)


def test_padding_between_joined_mp3s_is_passed_over_and_other_rates_are_refused(tmp_path):
    one = mp3(tmp_path / "a.mp3")
    (tmp_path / "padded.mp3").write_bytes(one + bytes(5000) + one)
    assert len(load_audio(tmp_path / "padded.mp3")) == pytest.approx(2 * len(SOUND), abs=0.3 * RATE)
    soundfile.write(tmp_path / "b.mp3", SOUND, 2 * RATE)
    (tmp_path / "both.mp3").write_bytes(one + (tmp_path / "b.mp3").read_bytes())
    with pytest.raises(AudioError, match="several MP3s of different rates"):
        load_audio(tmp_path / "both.mp3")


_ID3 = b"ID3\x03\x00\x00\x00\x00\x00\x05" + bytes(5)


@pytest.mark.parametrize("seconds", [0.5, 6.0])
@pytest.mark.parametrize(
    ("form", "tag", "serial"),
    [("VORBIS", b"", 0), ("VORBIS", b"", 1), ("OPUS", b"", 0), ("OPUS", b"", 1), ("FLAC", b"", 0), ("FLAC", _ID3, 0)],
)
def test_joined_recordings_of_which_one_alone_would_be_heard_are_refused(form, seconds, tag, serial, tmp_path):
    noise = np.random.default_rng(1).normal(0, 0.1, round(seconds * RATE))
    is_flac = form == "FLAC"
    soundfile.write(
        tmp_path / "one", noise, RATE, format="FLAC" if is_flac else "OGG", subtype=None if is_flac else form
    )
    content = (tmp_path / "one").read_bytes()
    assert len(load_audio(tmp_path / "one")) == pytest.approx(len(noise), abs=RATE // 10)
    other = content
    if serial and not is_flac:  # each page bears its stream's number; its check sum then fits no more, nor is looked at
        other = b"OggS".join(
            page[:10] + bytes([page[10] ^ 1]) + page[11:] if page else b"" for page in content.split(b"OggS")
        )
    (tmp_path / "two").write_bytes((tag if is_flac else b"") + content + other)
    with pytest.raises(AudioError, match=r"several .* joined, of which only the first"):
        load_audio(tmp_path / "two")


def test_a_file_that_is_healthy_is_looked_through_once(tmp_path, monkeypatch):
    path, other = tmp_path / "a.flac", tmp_path / "b.flac"
    for file, samples in ((path, SOUND), (other, -SOUND)):
        soundfile.write(file, samples, RATE)
        os.utime(file, (1, 1))
    heard = load_audio(path)
    monkeypatch.setattr("audiornn.audio.refuse_joined", None)
    assert np.array_equal(load_audio(path, start=1.0, duration=0.5), heard[RATE : RATE + RATE // 2])
    monkeypatch.undo()
    content = path.read_bytes()
    path.write_bytes(other.read_bytes() + content)
    os.utime(path, (1, 1))
    with pytest.raises(AudioError, match="joined"):
        load_audio(path)


@pytest.mark.parametrize("rate", [44100, 16000])
@pytest.mark.parametrize(
    ("before", "behind"),
    [
        (b"", b""),
        (b"ID3\x04\x00\x00\x00\x00\x10\x00" + bytes(2048), b""),
        (b"", b"APETAGEX" + bytes(range(256)) * 1200),
        (b"", np.random.default_rng(0).bytes(300_000)),
    ],
)
def test_an_mp3_of_one_bit_rate_without_a_length_is_what_it_was(rate, before, behind, tmp_path):
    soundfile.write(tmp_path / "a.mp3", SOUND, rate, compression_level=0.5, bitrate_mode="CONSTANT")
    content = without_length((tmp_path / "a.mp3").read_bytes())
    (tmp_path / "a.mp3").write_bytes(before + content + behind)
    heard = load_audio(tmp_path / "a.mp3")
    assert len(heard) == pytest.approx(len(SOUND), abs=0.15 * RATE)
    packed = tmp_path / "a.mp3.gz"
    with gzip.open(packed, "wb") as out:
        out.write(before + content + behind)
    with gzip.open(packed, "rb") as file:
        assert np.array_equal(load_audio(file), heard)


_LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"recorder 1.0.0"


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("notes", [b"", _LIST, bytes(512), b"TAG" + bytes(61), b"ID3" + bytes(59), b"\r\n" * 6])
def test_notes_after_a_wav_are_no_samples(notes, is_known, tmp_path):
    for n in (8001, 8000):
        soundfile.write(tmp_path / "a.wav", SOUND[:n], RATE, subtype="PCM_U8")
        content = (tmp_path / "a.wav").read_bytes()[: 44 + n]  # without the byte that pads an odd number of them
        size = len(content) + len(notes) if is_known else len(content)
        (tmp_path / "a.wav").write_bytes(content[:4] + struct.pack("<I", size - 8) + content[8:] + notes)
        assert audio_info(tmp_path / "a.wav").n_samples == n


@pytest.mark.parametrize("promised", [0, 16000])
@pytest.mark.parametrize("is_known", [True, False])
def test_a_wav_whose_length_is_out_of_date_is_heard_whole(promised, is_known, tmp_path):
    soundfile.write(tmp_path / "a.wav", SOUND, RATE, subtype="PCM_16")
    content = (tmp_path / "a.wav").read_bytes()
    at = content.index(b"data") + 4
    whole = load_audio(tmp_path / "a.wav")
    riff = content[4:8] if is_known else struct.pack("<I", 36 + promised)
    stale = content[:4] + riff + content[8:at] + struct.pack("<I", promised) + content[at + 4 :]
    (tmp_path / "stale.wav").write_bytes(stale)
    assert audio_info(tmp_path / "stale.wav").n_samples == len(whole)
    assert np.allclose(load_audio(tmp_path / "stale.wav"), whole)
    silent = content[:at] + bytes(4) + bytes(len(content) - at - 4)
    (tmp_path / "silent.wav").write_bytes(silent)
    assert audio_info(tmp_path / "silent.wav").n_samples == len(whole), (
        "a recorder that was killed before anybody spoke"
    )
    late = stale[: 44 + promised] + bytes(2000) + stale[44 + promised + 2000 :]
    (tmp_path / "late.wav").write_bytes(late)
    assert audio_info(tmp_path / "late.wav").n_samples == len(whole)
    (tmp_path / "behind").write_bytes(b"something" + stale)
    with open(tmp_path / "behind", "rb") as file:
        file.seek(9)
        assert np.allclose(load_audio(file), whole)
