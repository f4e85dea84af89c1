"""The figures of a recording: true to known signals, the same in blocks of any size, finite at the extremes."""

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audiornn.corpus.manifest import Utterance
from audiornn.corpus.measure import MEASURES, Meter, measure_recordings

RATES = (8000, 11025, 16000, 22050, 44100, 48000, 96000)


def measured(samples, rate=16000, block=None):
    """The row and the keys of samples, pushed whole or in blocks."""
    samples = np.asarray(samples, np.float32)
    if samples.ndim == 1:
        samples = samples[:, None]
    meter = Meter()
    for begin in range(0, len(samples), block or max(1, len(samples))):
        meter.add(samples[begin : begin + (block or len(samples))], rate)
    return meter.finish()


def row(samples, rate=16000, **options):
    return measured(samples, rate, **options)[0]


def sine(rate=16000, seconds=1.0, pitch=440.0, peak=1.0):
    return peak * np.sin(2 * np.pi * pitch * np.arange(round(rate * seconds)) / rate)


def bursts(rate=16000, seconds=3.0, *, noise=-60.0, seed=0):
    """Half-second bursts of coloured noise half a second apart, over noise at a level in dBFS."""
    rng = np.random.default_rng(seed)
    n = round(rate * seconds)
    samples = 10 ** (noise / 20) * rng.standard_normal(n)
    for begin in np.arange(0.25, seconds - 0.5, 1.0):
        first, length = round(begin * rate), rate // 2
        burst = np.convolve(rng.standard_normal(length), np.hanning(9) / 4.5, "same")
        samples[first : first + length] += 0.1 * burst / burst.std()
    return samples


# --- units ---


@pytest.mark.parametrize("rate", RATES)
def test_a_full_scale_sine(rate):
    found = row(sine(rate), rate)
    assert (found["sample_rate"], found["n_channels"]) == (rate, 1)
    assert found["duration"] == pytest.approx(1)
    assert found["peak"] == pytest.approx(1, abs=1e-3)
    assert found["level"] == pytest.approx(-3.01, abs=0.3)
    assert found["noise"] == pytest.approx(-3.01, abs=0.4)
    assert abs(found["dc"]) < 1e-4
    assert found["leading"] == found["trailing"] == found["dropout"] == 0
    assert found["first_level"] == pytest.approx(-3.01, abs=0.4)


@pytest.mark.parametrize("gain", [1.0, 0.1, 0.003])
def test_levels_follow_the_gain(gain):
    whole, less = row(bursts(noise=-40)), row(gain * bursts(noise=-40))
    for key in ("level", "noise"):
        assert less[key] - whole[key] == pytest.approx(20 * np.log10(gain), abs=0.05)
    assert less["leading"] == whole["leading"]
    assert less["peak"] == pytest.approx(gain * whole["peak"], rel=1e-4)


@pytest.mark.parametrize("noise", [-30.0, -40.0, -60.0, -75.0])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_signal_and_noise_of_a_known_mixture(noise, rate):
    found = row(bursts(rate, noise=noise), rate)
    assert found["level"] == pytest.approx(-19, abs=1.5)
    assert found["noise"] == pytest.approx(noise, abs=1.2)
    assert found["leading"] == pytest.approx(0.25, abs=0.02)
    assert found["trailing"] == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("offset", [0.05, -0.2])
def test_an_offset_has_its_sign(offset):
    stereo = np.column_stack([bursts(), bursts() + offset])
    assert row(stereo)["dc"] == pytest.approx(offset, abs=2e-3)
    assert abs(row(bursts())["dc"]) < 2e-3


def test_silence_around_is_measured_in_seconds():
    found = row(np.concatenate([np.zeros(16000), sine(seconds=0.5, peak=0.3), np.zeros(24000)]))
    assert found["leading"] == pytest.approx(1.0, abs=0.011)
    assert found["trailing"] == pytest.approx(1.5, abs=0.011)
    assert (found["first_level"], found["last_level"]) == pytest.approx((-100, -100), abs=0.01)
    assert found["noise"] > -15  # digital silence is no noise


@pytest.mark.parametrize("gain", [1.0, 0.5, 0.1])
def test_clipping_is_seen_at_any_level_after_it(gain):
    loud = bursts(noise=-40)
    assert row(loud)["flat_peaks"] == 0
    assert row(gain * np.clip(6 * loud, -1, 1))["flat_peaks"] > 100


def test_a_hole_in_sound_is_a_drop_out_and_a_pause_is_none():
    whole = bursts(noise=-40)
    hole = whole.copy()
    hole[7000:7960] = 0
    assert row(whole)["dropout"] == 0
    assert row(hole)["dropout"] == pytest.approx(0.06, abs=0.001)
    held = whole.copy()
    held[7000:7960] = held[7000]  # a buffer that repeats its last value
    assert row(held)["dropout"] == pytest.approx(0.06, abs=0.001)
    pause = np.concatenate([sine(peak=0.3) * np.hanning(16000), np.zeros(16000), sine(peak=0.3) * np.hanning(16000)])
    assert row(pause)["dropout"] == 0


@pytest.mark.parametrize(
    ("cut", "rate"), [(2200, 16000), (3400, 16000), (4000, 16000), (5500, 16000), (4000, 22050), (8000, 22050)]
)
def test_the_end_of_the_band(cut, rate):
    whole = bursts(rate, noise=-50)
    spectrum = np.fft.rfft(whole)
    spectrum[np.fft.rfftfreq(len(whole), 1 / rate) > cut] = 0
    narrow = np.rint(np.fft.irfft(spectrum, len(whole)) * 32767) / 32767
    assert row(whole, rate)["bandwidth"] == rate / 2
    assert row(narrow, rate)["bandwidth"] == pytest.approx(cut, abs=rate / 60)


def test_a_word_without_high_sounds_is_no_band_limit():
    """A vowel of low formants, cut to the word, over the noise of a real room, which no filter cuts."""
    rng = np.random.default_rng(0)
    voice = sum(sine(8000, 0.4, 120 * k, 0.3 / k**2) for k in range(1, 9))
    room = 10 ** (-62 / 20) * np.convolve(rng.standard_normal(3200), [0.5, 0.5], "same")
    assert row(voice + room, 8000)["bandwidth"] == 4000


@pytest.mark.parametrize(("right", "gap", "correlation"), [(1.0, 0, 1.0), (-1.0, 0, -1.0), (0.1, 20, 1), (-0.5, 6, -1)])
def test_channels(right, gap, correlation):
    left = bursts()
    found = row(np.column_stack([left, right * left]))
    assert found["n_channels"] == 2
    assert found["channel_gap"] == pytest.approx(gap, abs=0.1)
    assert found["channel_correlation"] == pytest.approx(correlation, abs=1e-3)


def test_the_identity_is_of_the_samples():
    one = bursts()
    same = np.column_stack([one, one])
    assert row(one)["identity"] == row(one)["identity"] == row(same)["identity"] != 0
    assert row(one)["identity"] != row(0.5 * one)["identity"]
    assert row(one)["identity"] != row(one[:-1])["identity"]
    assert row(np.zeros(16000))["identity"] == 0


# --- blocks ---


@pytest.mark.parametrize("block", [160, 1600, 4800, 16000, 40000])
@pytest.mark.parametrize("channels", [1, 2])
def test_blocks_of_whole_frames_equal_the_whole(block, channels):
    samples = np.column_stack([bursts(seconds=6, noise=-50, seed=c) for c in range(channels)])
    (whole, keys), (parts, part_keys) = measured(samples), measured(samples, block=block)
    for name in MEASURES.names:
        if name not in ("bandwidth", "flat_peaks"):
            np.testing.assert_allclose(parts[name], whole[name], rtol=1e-5, atol=1e-5, err_msg=name)
    if block >= 16000:  # keys near a block's edge may differ, and their frames move by the edge's
        assert abs(len(part_keys) - len(keys)) <= 0.15 * len(keys)


@given(st.lists(st.integers(1, 700), min_size=1, max_size=30), st.sampled_from([8000, 11025, 16000]))
def test_blocks_of_any_size(sizes, rate):
    samples = bursts(rate, 2.0, noise=-50)[: sum(sizes)].astype(np.float32)
    meter, begin = Meter(), 0
    for size in sizes:
        meter.add(samples[begin : begin + size, None], rate)
        begin += size
    found, _ = meter.finish()
    whole = row(samples[:begin], rate)
    assert found["duration"] == whole["duration"]
    assert found["identity"] == whole["identity"]
    np.testing.assert_allclose(found["dc"], whole["dc"], atol=1e-6)
    assert found["peak"] == whole["peak"]


def test_blocks_of_a_long_recording_keep_time():
    """At 11,025 Hz a block is no whole number of frames; what is left over must not make the frames drift."""
    rate = 11025
    samples = np.concatenate([np.zeros(100 * rate), sine(rate, peak=0.5), np.zeros(rate)])
    found = row(samples, rate, block=10 * rate)
    assert found["leading"] == pytest.approx(100, abs=0.1)
    assert found["trailing"] == pytest.approx(1, abs=0.1)


def test_a_hole_across_blocks_is_whole():
    samples = sine(seconds=2.0, pitch=333.3, peak=0.5)
    samples[15600:16560] = 0
    assert row(samples, block=16000)["dropout"] == pytest.approx(0.06, abs=0.001)


# --- extremes ---


@pytest.mark.parametrize("rate", [8000, 16000, 96000])
@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize("n", [1, 2, 10, 79, 160, 2400])
@pytest.mark.parametrize("value", ["zeros", "ones", "noise", "loud"])
def test_every_figure_is_finite(rate, channels, n, value):
    noise = np.random.default_rng(n).standard_normal((n, channels))
    samples = {"zeros": 0 * noise, "ones": 0 * noise + 1, "noise": 0.1 * noise, "loud": 1e6 * noise}[value]
    with np.errstate(all="raise", under="ignore"):
        found, keys = measured(samples, rate)
    assert all(np.isfinite(found[name]) for name in MEASURES.names)
    assert found["duration"] == pytest.approx(n / rate)
    assert 0 <= found["leading"] <= found["duration"] + 0.01
    assert 0 <= found["trailing"] <= found["duration"] + 0.01
    assert keys.shape[1] == 2
    assert keys.dtype == np.uint32
    assert -1.001 <= found["channel_correlation"] <= 1.001


def test_nothing_at_all():
    found, keys = Meter().finish()
    assert found == np.zeros((), MEASURES)
    assert not len(keys)


@pytest.mark.parametrize("value", [0.0, 0.3, -1.0, 1e-6])
def test_a_constant(value):
    found, keys = measured(np.full(16000, value))
    assert found["dc"] == pytest.approx(value, abs=1e-6)
    assert found["peak"] == pytest.approx(abs(value), abs=1e-6)
    if abs(value) < 1e-5:
        assert found["identity"] == 0
        assert not len(keys)


def test_recordings_that_cannot_be_read_are_named_and_keep_their_place(tmp_path):
    for name, samples in (("a", bursts()), ("c", bursts(seed=1))):
        soundfile.write(tmp_path / f"{name}.wav", samples, 16000)
    (tmp_path / "b.wav").write_bytes(b"")
    done = []
    utterances = [Utterance(name, tmp_path / f"{name}.wav") for name in "abcd"]
    found, problems = measure_recordings(utterances, n_jobs=1, progress=done.append)
    assert set(problems) == {"b", "d"}
    assert "empty" in problems["b"]
    assert (found.rows["duration"] > 0).tolist() == [True, False, True, False]
    assert set(found.owners.tolist()) == {0, 2}
    assert sum(done) == 4


def test_a_stretch_is_measured_by_itself(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.concatenate([np.zeros(16000), 0.9 * bursts()]), 16000, subtype="FLOAT")
    utterances = [
        Utterance("quiet", tmp_path / "a.wav", duration=1.0),
        Utterance("loud", tmp_path / "a.wav", start=1.0),
    ]
    found, _ = measure_recordings(utterances, n_jobs=1)
    assert found.rows["identity"][0] == 0
    assert found.rows["level"][1] > -25
    assert found.rows["duration"].tolist() == [1.0, 3.0]
