"""Features are librosa's numbers, and the same frames whichever way the samples come."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import scipy.fft
from hypothesis import assume, given
from hypothesis import strategies as st

from audiornn import features as features_module
from audiornn.errors import AudioError, SettingsError
from audiornn.features import FeatureExtractor, FeatureSettings, append_deltas, dct_matrix, mel_filters

librosa = pytest.importorskip("librosa", reason="librosa is the reference here")

pytestmark = pytest.mark.filterwarnings("ignore:n_fft=:UserWarning", "ignore:Empty filters:UserWarning")
SMALL = FeatureSettings(sample_rate=8000, n_fft=256, win_length=200, hop_length=80, n_mels=20, n_mfcc=12)


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def librosa_log_mel(waveform, s):
    power = librosa.feature.melspectrogram(
        y=waveform,
        sr=s.sample_rate,
        n_fft=s.n_fft,
        win_length=s.win_length,
        hop_length=s.hop_length,
        n_mels=s.n_mels,
        fmin=s.fmin,
        fmax=s.fmax,
    )
    return librosa.power_to_db(power, top_db=None)


def librosa_features(waveform, s):
    """What a user of librosa writes, top_db=None."""
    log_mel = librosa_log_mel(waveform, s)
    static = log_mel if s.kind == "log_mel" else librosa.feature.mfcc(S=log_mel, n_mfcc=s.n_mfcc)
    deltas = [librosa.feature.delta(static, order=order) for order in range(1, s.deltas + 1)]
    return np.concatenate([static, *deltas]).T


def speech_like(n_samples, sample_rate=16000, seed=0):
    """Voiced bursts of falling harmonics, noise bursts, and pauses 70 dB below: the dynamic range of speech."""
    rng = np.random.default_rng(seed)
    time = np.arange(n_samples) / sample_rate
    pitch = 110 * (1 + 0.1 * np.sin(2 * np.pi * 2 * time))
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    voiced = sum(np.sin(k * phase) / k**1.5 for k in range(1, 25) if 130 * k < sample_rate / 2)
    noise = rng.standard_normal(n_samples)
    syllables = np.sin(2 * np.pi * 3 * time) > 0
    hiss = np.sin(2 * np.pi * 3 * time) < -0.8
    return (0.25 * voiced * syllables + 0.05 * noise * hiss + 1e-4 * noise).astype(np.float32)


def random_waveform(n_samples, seed=0, scale=0.1):
    return (scale * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


@st.composite
def feature_settings(draw, deltas=(0, 0, 1, 2), kinds=("mfcc", "log_mel")):
    sample_rate = draw(st.sampled_from([8000, 11025, 16000, 22050, 44100]))
    n_fft = draw(st.integers(128, 700))
    n_mels = draw(st.integers(2, 40))
    top = sample_rate / 2
    settings = FeatureSettings(
        kind=draw(st.sampled_from(kinds)),
        sample_rate=sample_rate,
        n_fft=n_fft,
        win_length=draw(st.integers(n_fft // 3, n_fft)),
        hop_length=draw(st.integers(20, 2 * n_fft)),
        n_mels=n_mels,
        n_mfcc=draw(st.integers(1, n_mels)),
        fmin=draw(st.sampled_from([0.0, 20.0, 133.3])),
        fmax=draw(st.sampled_from([None, top, 0.8 * top])),
        deltas=draw(st.sampled_from(deltas)),
    )
    try:
        mel_filters(settings)
    except SettingsError:
        assume(False)
    return settings


# --- librosa's numbers ---


@given(settings=feature_settings(), n_samples=st.integers(1, 9000), seed=st.integers(0, 99))
def test_whole_equals_librosa(settings, n_samples, seed):
    if settings.deltas:
        n_samples = max(n_samples, 9 * settings.hop_length)  # librosa's deltas want nine frames
    waveform = random_waveform(n_samples, seed)
    features = FeatureExtractor(settings)(waveform)
    assert features.dtype == np.float32
    assert features.shape == (settings.n_frames(n_samples), settings.n_features)
    close(features, librosa_features(waveform, settings))


@pytest.mark.parametrize("kind", ["mfcc", "log_mel"])
@pytest.mark.parametrize("deltas", [0, 1, 2])
@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100])
def test_dynamic_range_of_speech_equals_librosa(kind, deltas, sample_rate):
    settings = FeatureSettings(kind=kind, deltas=deltas, sample_rate=sample_rate, n_fft=1024, win_length=801)
    waveform = speech_like(2 * sample_rate, sample_rate)
    close(FeatureExtractor(settings)(waveform), librosa_features(waveform, settings))


@pytest.mark.parametrize("kind", ["mfcc", "log_mel"])
@pytest.mark.parametrize(
    "waveform",
    [
        pytest.param(np.zeros(4000), id="silence"),
        pytest.param(random_waveform(4000, scale=1e-5), id="near-silence"),
        pytest.param(random_waveform(4000, scale=1e-7), id="at-the-floor"),
        pytest.param(np.eye(1, 4000, 2000)[0], id="click"),
        pytest.param(np.full(4000, 0.5), id="offset"),
        pytest.param(np.where(np.arange(4000) % 40 < 20, 1.0, -1.0), id="full-scale-square"),
        *(
            pytest.param(0.9 * np.sin(2 * np.pi * hz * np.arange(4000) / 16000), id=f"tone-{hz}")
            for hz in (50, 440, 1000, 3999.5, 7900)
        ),
    ],
)
def test_extremes_equal_librosa(kind, waveform):
    waveform = np.asarray(waveform, np.float32)
    settings = FeatureSettings(kind=kind, deltas=1)
    close(FeatureExtractor(settings)(waveform), librosa_features(waveform, settings))


def test_real_speech_equals_librosa(shared_data):
    from audiornn.audio import load_audio

    settings = FeatureSettings(deltas=2)
    extractor = FeatureExtractor(settings)
    files = sorted((shared_data / "connected_digits").rglob("*.flac"))[:5]
    assert files
    for file in files:
        waveform = load_audio(file, 16000)
        close(extractor(waveform), librosa_features(waveform, settings))


def test_a_loud_second_does_not_change_what_came_before():
    quiet = random_waveform(8000, scale=1e-4)
    loud = np.concatenate([quiet, random_waveform(16000, scale=0.9)])
    extractor = FeatureExtractor(FeatureSettings())
    np.testing.assert_allclose(extractor(loud)[:45], extractor(quiet)[:45], rtol=0, atol=1e-5)


def test_engine_librosa_gives_the_same():
    for kind in ("mfcc", "log_mel"):
        settings = FeatureSettings(kind=kind, deltas=2)
        by_librosa = FeatureExtractor(FeatureSettings(kind=kind, deltas=2, engine="librosa"))
        waveform = speech_like(16000)
        features = by_librosa(waveform)
        assert features.dtype == np.float32
        close(features, FeatureExtractor(settings)(waveform))


@given(settings=feature_settings())
def test_mel_filters_are_librosas(settings):
    theirs = librosa.filters.mel(
        sr=settings.sample_rate, n_fft=settings.n_fft, n_mels=settings.n_mels, fmin=settings.fmin, fmax=settings.fmax
    )
    np.testing.assert_allclose(mel_filters(settings), theirs.T, rtol=1e-5, atol=1e-9)


@given(n_mels=st.integers(1, 128), share=st.floats(0, 1))
def test_dct_is_scipys(n_mels, share):
    n_mfcc = 1 + int(share * (n_mels - 1))
    frames = np.random.default_rng(0).standard_normal((3, n_mels))
    theirs = scipy.fft.dct(frames, type=2, norm="ortho", axis=1)[:, :n_mfcc]
    np.testing.assert_allclose(frames @ dct_matrix(n_mels, n_mfcc), theirs, rtol=0, atol=1e-5)


# --- autocorrelation ---

LAGS = FeatureSettings(
    kind="autocorrelation",
    sample_rate=8000,
    n_fft=1024,
    win_length=512,
    hop_length=80,
    n_mels=96,
    fmin=50.0,
    fmax=1000.0,
)


def voice(pitch, n_samples=8000, sample_rate=8000, level=0.1):
    phase = 2 * np.pi * pitch * np.arange(n_samples) / sample_rate
    return (level * sum(np.cos(k * phase + k * k) / k for k in range(1, int(4000 / pitch)))).astype(np.float32)


def pitches(settings=LAGS):
    return np.geomspace(settings.lowest_pitch, settings.highest_pitch, settings.n_lags)


@pytest.mark.parametrize("pitch", [60.0, 93.7, 120.0, 211.0, 333.3, 500.0])
def test_autocorrelation_has_its_peak_at_the_pitch(pitch):
    """A lag is 1 where a steady voice repeats itself; of its multiples, which repeat as well, none is above that."""
    frames = FeatureExtractor(LAGS)(voice(pitch))[10:-10, 1:]
    assert frames.shape[1] == LAGS.n_features - 1 == 128
    at_the_pitch = np.abs(np.log2(pitches() / pitch)).argmin()
    assert np.abs(frames[:, at_the_pitch] - 1).max() < 0.1
    assert frames.max() < 1.05
    if pitch > 275:  # an octave below is on the grid as well
        return
    above = pitches() > 1.3 * pitch
    assert frames[:, above].max() < 0.95 * frames[:, at_the_pitch].min()


def test_autocorrelation_is_that_of_the_windowed_samples_over_the_windows_own():
    """Boersma's definition, in the time domain; all bands of the spectrum are heard."""
    settings = FeatureSettings(
        kind="autocorrelation", sample_rate=8000, n_fft=4096, win_length=512, hop_length=80, n_mels=256, n_lags=30,
        lowest_pitch=80.0, highest_pitch=400.0, fmax=3900.0,
    )  # fmt: skip
    waveform = speech_like(8000, 8000)
    found = FeatureExtractor(settings)(waveform)[20:80, 1:]
    windowed = np.stack([waveform[t * 80 - 256 : t * 80 + 256] * np.hanning(513)[:-1] for t in range(20, 80)])
    lags = np.arange(512)

    def own(frame):
        products = np.correlate(frame, frame, "full")[511:]
        return products / products[0]

    of_window = own(np.hanning(513)[:-1])
    wanted = [np.interp(8000 / pitches(settings), lags, own(frame)) for frame in windowed.astype(np.float64)]
    wanted = np.array(wanted) / np.interp(8000 / pitches(settings), lags, of_window)
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.99
    assert np.median(np.abs(found - wanted)) < 0.03


def test_the_level_comes_first_and_the_lags_know_none():
    loud, soft = (FeatureExtractor(LAGS)(voice(150.0, level=level))[10:-10] for level in (0.5, 0.005))
    np.testing.assert_allclose(loud[:, 0] - soft[:, 0], 40, atol=0.01)
    np.testing.assert_allclose(loud[:, 1:], soft[:, 1:], atol=2e-3)


def test_the_level_is_of_the_bands_powers_each_as_wide_as_it_is():
    """Above 1 kHz bands are the wider the higher they are, so that all of a flat spectrum counts alike."""
    settings = replace(LAGS, fmax=4000.0)
    log_mel = FeatureExtractor(settings).log_mel(voice(150.0))
    librosa = pytest.importorskip("librosa", reason="librosa says where bands end")
    edges = librosa.mel_frequencies(settings.n_mels + 2, fmin=settings.fmin, fmax=settings.fmax)
    widths = (edges[2:] - edges[:-2]) / 2
    level = FeatureExtractor(settings).from_log_mel(log_mel)[:, 0]
    np.testing.assert_allclose(level, 10 * np.log10(10 ** (log_mel / 10) @ widths), atol=1e-3)


def test_silence_has_an_autocorrelation():
    assert np.isfinite(FeatureExtractor(LAGS)(np.zeros(4000, np.float32))).all()


# --- the same frames four ways ---


def pieces_of(waveform, cuts):
    return np.split(waveform, sorted(int(cut * len(waveform)) for cut in cuts))


def streamed(extractor, pieces):
    stream = extractor.stream()
    return np.concatenate([*(stream.push(piece) for piece in pieces), stream.finish()])


@given(
    settings=feature_settings(),
    n_samples=st.integers(1, 12000),
    cuts=st.lists(st.floats(0, 1), max_size=12),
    seed=st.integers(0, 99),
)
def test_whole_batch_and_stream_are_the_same(settings, n_samples, cuts, seed):
    extractor = FeatureExtractor(settings)
    waveform = random_waveform(n_samples, seed)
    whole = extractor(waveform)
    other = random_waveform(777, seed)
    batch = extractor.batch([other, waveform, other])
    close(batch[1], whole)
    close(batch[0], batch[2])
    pushed = streamed(extractor, pieces_of(waveform, cuts))
    assert pushed.shape == whole.shape
    close(pushed, whole)


@given(
    settings=feature_settings(deltas=(0, 1, 2)),
    n_samples=st.integers(1, 2500),
)
def test_sample_by_sample_is_the_same(settings, n_samples):
    extractor = FeatureExtractor(settings)
    waveform = random_waveform(n_samples)
    close(streamed(extractor, waveform[:, None]), extractor(waveform))


@pytest.mark.parametrize("deltas", [0, 1, 2])
@pytest.mark.parametrize("n_frames", range(1, 22))
def test_streams_of_any_number_of_frames(deltas, n_frames):
    """Around nine frames the deltas change their ways."""
    settings = FeatureSettings(**{**vars(SMALL), "deltas": deltas})
    extractor = FeatureExtractor(settings)
    waveform = random_waveform((n_frames - 1) * 80 + 1)
    assert settings.n_frames(len(waveform)) == n_frames
    for size in (1, 79, 80, 81, 333):
        pieces = [waveform[i : i + size] for i in range(0, len(waveform), size)]
        close(streamed(extractor, pieces), extractor(waveform))


def test_long_recordings_in_blocks():
    extractor = FeatureExtractor(FeatureSettings(deltas=2))
    waveform = speech_like(60 * 16000)
    pieces = [waveform[i : i + 16000 * 7] for i in range(0, len(waveform), 16000 * 7)]
    close(streamed(extractor, pieces), extractor(waveform))


def test_a_stream_gives_frames_as_soon_as_they_are_complete():
    stream = FeatureExtractor(SMALL).stream()
    waveform = random_waveform(8000)
    n_given = 0
    for i in range(0, 8000, 80):
        n_given += len(stream.push(waveform[i : i + 80]))
        assert n_given >= (i + 80 - 128) // 80  # all whose right half is there
    assert n_given + len(stream.finish()) == SMALL.n_frames(8000)


def test_a_stream_keeps_its_own_copy_of_what_is_pushed():
    """A sound card's callback fills the same buffer again and again."""
    extractor = FeatureExtractor(SMALL)
    waveform = random_waveform(1000)
    stream, buffer, frames = extractor.stream(), np.zeros(50, np.float32), []
    for i in range(0, 1000, 50):
        buffer[:] = waveform[i : i + 50]
        frames.append(stream.push(buffer))
    close(np.concatenate([*frames, stream.finish()]), extractor(waveform))


def test_a_streams_memory_does_not_grow():
    stream = FeatureExtractor(FeatureSettings(**{**vars(SMALL), "deltas": 2})).stream()
    for _ in range(50):
        stream.push(random_waveform(8000))
    assert stream._n_pending < 1000
    assert len(stream._held) < 200


def test_streams_of_one_extractor_do_not_mix():
    extractor = FeatureExtractor(SMALL)
    waveforms = [random_waveform(4000, seed) for seed in (1, 2)]
    streams = [extractor.stream(), extractor.stream()]
    frames = [[], []]
    for i in range(0, 4000, 333):
        for k in (0, 1):
            frames[k].append(streams[k].push(waveforms[k][i : i + 333]))
    for k in (0, 1):
        close(np.concatenate([*frames[k], streams[k].finish()]), extractor(waveforms[k]))


def test_threads_may_share_an_extractor():
    extractor = FeatureExtractor(FeatureSettings())
    waveforms = [random_waveform(3000 + 517 * i, i) for i in range(24)]
    alone = [extractor(waveform) for waveform in waveforms]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            for mine, expected in zip(pool.map(extractor, waveforms), alone, strict=True):
                np.testing.assert_array_equal(mine, expected)


def test_the_waveform_is_not_written_to_and_frames_are_the_callers():
    extractor = FeatureExtractor(SMALL)
    waveform = random_waveform(4000)
    before = waveform.copy()
    waveform.setflags(write=False)
    first = extractor(waveform)
    kept = first.copy()
    extractor(random_waveform(4000, seed=9))
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(waveform, before)


# --- counting ---


@given(settings=feature_settings(), n_samples=st.integers(1, 50_000))
def test_frames_are_counted_as_librosa_counts(settings, n_samples):
    padded = np.zeros(n_samples + 2 * (settings.n_fft // 2))
    n_frames = 1 + (len(padded) - settings.n_fft) // settings.hop_length
    assert settings.n_frames(n_samples) == n_frames
    if settings.n_fft % 2 == 0:
        assert n_frames == 1 + n_samples // settings.hop_length


def test_frames_become_seconds():
    settings = FeatureSettings(sample_rate=16000, hop_length=160)
    assert settings.frame_seconds == 0.01
    assert settings.frames_to_seconds(150) == 1.5
    assert isinstance(settings.n_frames(12345), int)


def test_widths():
    assert FeatureSettings(n_mfcc=13).n_features == 13
    assert FeatureSettings(n_mfcc=13, deltas=2).n_features == 39
    assert FeatureSettings(kind="log_mel", deltas=1).n_features == 80


@pytest.mark.parametrize("n_frames", [1, 2, 8])
def test_deltas_of_few_frames_are_of_the_continued_ones(n_frames):
    static = random_waveform(n_frames * 3).reshape(n_frames, 3)
    continued = np.pad(static, ((20, 20), (0, 0)), mode="edge")
    expected = append_deltas(continued, 2)[20:-20]
    np.testing.assert_allclose(append_deltas(static, 2), expected, rtol=0, atol=1e-6)


def test_deltas_of_a_ramp_are_its_slope():
    ramp = np.arange(30, dtype=np.float32)[:, None] * [[1.0, -2.0]]
    parts = append_deltas(ramp.astype(np.float32), 2)
    np.testing.assert_allclose(parts[:, 2:4], np.tile([[1.0, -2.0]], (30, 1)), rtol=0, atol=1e-5)
    np.testing.assert_allclose(parts[:, 4:], 0.0, rtol=0, atol=1e-4)


# --- what cannot be ---


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"sample_rate": 99}, "sample_rate"),
        ({"hop_length": 0}, "hop_length"),
        ({"hop_length": -1}, "hop_length"),
        ({"win_length": 1}, "win_length"),
        ({"win_length": 401}, "win_length"),
        ({"n_fft": 0}, "n_fft"),
        ({"n_mels": 0}, "n_mels"),
        ({"n_lags": 1}, "n_lags"),
        ({"lowest_pitch": 300.0, "highest_pitch": 200.0}, "lowest_pitch"),
        ({"lowest_pitch": 0.0}, "lowest_pitch = 0.0"),
        ({"lowest_pitch": float("nan")}, "lowest_pitch = nan"),
        ({"highest_pitch": float("inf")}, "highest_pitch = inf"),
        ({"kind": "autocorrelation"}, "win_length = 400 holds less than 2 periods"),
        ({"n_mfcc": 0}, "n_mfcc"),
        ({"n_mfcc": 41}, "n_mfcc"),
        ({"fmin": -1.0}, "fmin"),
        ({"fmin": 8000.0}, "fmin"),
        ({"fmin": float("nan")}, "fmin"),
        ({"fmax": 8000.1}, "fmax"),
        ({"fmin": 500.0, "fmax": 400.0}, "fmax"),
        ({"deltas": 3}, "deltas"),
        ({"deltas": -1}, "deltas"),
    ],
)
def test_each_rule_of_the_settings(wrong, named):
    with pytest.raises(SettingsError, match=named):
        FeatureSettings(**wrong)


def test_a_band_without_a_bin_is_an_error():
    with pytest.raises(SettingsError, match=r"mel band .* n_fft = 128"):
        FeatureExtractor(FeatureSettings(n_fft=128, win_length=128, n_mels=60))


@pytest.mark.parametrize("shape", [0, (2, 100), ()])
def test_what_is_no_waveform_is_refused(shape):
    with pytest.raises(AudioError, match="shape"):
        FeatureExtractor(SMALL)(np.zeros(shape, np.float32))


def test_a_stream_without_a_sample_is_an_error():
    stream = FeatureExtractor(SMALL).stream()
    assert stream.push(np.zeros(0, np.float32)).shape == (0, 12)
    with pytest.raises(AudioError, match="first sample"):
        stream.finish()


def test_librosa_has_no_stream():
    with pytest.raises(SettingsError, match="engine"):
        FeatureExtractor(FeatureSettings(engine="librosa")).stream()


def test_a_long_recording_in_two_threads_is_the_same_as_in_one(monkeypatch):
    extractor = FeatureExtractor(SMALL)
    waveform = random_waveform(40_000, 3)
    one = extractor(waveform)
    monkeypatch.setattr(features_module, "_LONG_FRAMES", 100)
    close(extractor(waveform), one)


def test_engine_librosa_heeds_every_setting():
    settings = {
        "kind": "log_mel",
        "n_fft": 512,
        "win_length": 320,
        "hop_length": 100,
        "n_mels": 24,
        "fmin": 133.3,
        "fmax": 6000.0,
    }
    waveform = random_waveform(8000)
    close(
        FeatureExtractor(FeatureSettings(**settings, engine="librosa"))(waveform),
        FeatureExtractor(FeatureSettings(**settings))(waveform),
    )
