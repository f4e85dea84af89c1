"""Containers whose headers say too little or too much: all of a recording is heard, or it is an error."""

import struct

import numpy as np
import pytest
import soundfile

from audiornn.audio import audio_info, load_audio
from audiornn.containers import write_mp3_with_length
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
    with open(tmp_path / "a.mp3", "rb") as file, open(tmp_path / "out", "wb") as out:
        assert not write_mp3_with_length(file, out)
        assert file.tell() == 0
    assert len(load_audio(tmp_path / "a.mp3")) == pytest.approx(len(SOUND), abs=0.15 * RATE)


@pytest.mark.parametrize(
    ("form", "subtype", "said"), [("OGG", "VORBIS", "Ogg"), ("OGG", "OPUS", "Ogg"), ("FLAC", None, "FLAC")]
)
@pytest.mark.parametrize("seconds", [0.5, 6.0])
def test_joined_recordings_of_which_one_alone_would_be_heard_are_refused(form, subtype, said, seconds, tmp_path):
    noise = np.random.default_rng(1).normal(0, 0.1, round(seconds * RATE))
    soundfile.write(tmp_path / "one", noise, RATE, format=form, subtype=subtype)
    content = (tmp_path / "one").read_bytes()
    assert len(load_audio(tmp_path / "one")) == pytest.approx(len(noise), abs=RATE // 10)
    (tmp_path / "two").write_bytes(content + content[: len(content) // 2] + content[len(content) // 2 :])
    if form == "OGG":  # another stream has another number, and so other check sums, which nobody looks at here
        serial = content[14:18]
        other = content.replace(b"\0\0" + serial, b"\0\0" + bytes([serial[0] ^ 1]) + serial[1:])
        pages = content.split(b"OggS")
        other = b"OggS".join([pages[0], *(p[:10] + bytes([p[10] ^ 1]) + p[11:] for p in pages[1:])])
        (tmp_path / "two").write_bytes(content + other)
    with pytest.raises(AudioError, match=f"several {said}.* joined, of which only the first"):
        load_audio(tmp_path / "two")


@pytest.mark.parametrize(
    "notes", [b"", b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 13) + bytes(14)]
)
def test_a_wav_whose_length_is_out_of_date_is_heard_whole(notes, tmp_path):
    soundfile.write(tmp_path / "a.wav", SOUND, RATE, subtype="PCM_16")
    content = (tmp_path / "a.wav").read_bytes()
    at = content.index(b"data") + 4
    whole = load_audio(tmp_path / "a.wav")
    (tmp_path / "noted.wav").write_bytes(content + notes)
    assert np.array_equal(load_audio(tmp_path / "noted.wav"), whole)
    (tmp_path / "stale.wav").write_bytes(content[:at] + struct.pack("<I", 16000) + content[at + 4 :])
    assert audio_info(tmp_path / "stale.wav").n_samples == len(whole)
    assert np.allclose(load_audio(tmp_path / "stale.wav"), whole)
    (tmp_path / "zero.wav").write_bytes(content[:at] + bytes(4) + content[at + 4 :])
    assert np.allclose(load_audio(tmp_path / "zero.wav"), whole)
