"""Augmentation: exact where it can be, seeded, and never losing what a target needs."""

from dataclasses import replace

import numpy as np
import pytest

from audiornn.features import FeatureExtractor, FeatureSettings, mel_middles
from audiornn.settings import AugmentSettings
from audiornn.train.augment import (
    add_echoes,
    add_noise,
    augment,
    change_tempo,
    mix,
    other_noise,
    overlay,
    scale_frequencies,
    shift,
    warp_bands,
)

OFF = AugmentSettings(tempo=0, warp=0, noise=0, gain=0, time_shift=0, time_masks=0, band_masks=0)


def log_mel_of(gain=1.0, n_samples=8000):
    rng = np.random.default_rng(0)
    waveform = (0.05 * gain * rng.standard_normal(n_samples)).astype(np.float32)
    return FeatureExtractor(FeatureSettings()).log_mel(waveform)


def varied(settings, *, seed=0, may_cut=True, log_mel=None):
    return moved(settings, seed=seed, may_cut=may_cut, log_mel=log_mel)[0]


def moved(settings, *, seed=0, may_cut=True, log_mel=None):
    return augment(
        log_mel_of() if log_mel is None else log_mel,
        settings,
        frame_seconds=0.01,
        rng=np.random.default_rng(seed),
        may_cut=may_cut,
    )


def test_nothing_on_changes_nothing_and_the_source_is_never_written_to():
    log_mel = log_mel_of()
    log_mel.setflags(write=False)
    np.testing.assert_array_equal(varied(OFF, log_mel=log_mel), log_mel)
    varied(AugmentSettings(), log_mel=log_mel)


def test_gain_is_what_the_waveform_would_have_given():
    settings = replace(OFF, gain=12)
    decibels = float(np.random.default_rng(4).uniform(-12, 12))
    np.testing.assert_allclose(varied(settings, seed=4), log_mel_of(gain=10 ** (decibels / 20)), atol=1e-3)


def test_silence_stays_at_the_floor():
    silence = np.full((50, 40), -100.0, np.float32)
    assert varied(replace(OFF, gain=20), log_mel=silence).max() == -100.0


@pytest.mark.parametrize("n_frames", [-5, 0, 5])
def test_a_shift_that_may_not_cut_keeps_every_frame(n_frames):
    log_mel = log_mel_of()
    longer = shift(log_mel, n_frames, may_cut=False)
    assert len(longer) == len(log_mel) + abs(n_frames)
    first = max(0, n_frames)
    np.testing.assert_array_equal(longer[first : first + len(log_mel)], log_mel)
    same_length = shift(log_mel, n_frames, may_cut=True)
    assert len(same_length) == len(log_mel)
    if n_frames > 0:
        np.testing.assert_array_equal(same_length[n_frames:], log_mel[:-n_frames])
    if n_frames < 0:
        np.testing.assert_array_equal(same_length[:n_frames], log_mel[-n_frames:])


@pytest.mark.parametrize("seed", range(10))
def test_places_say_which_frame_each_one_shows(seed):
    """Band 0 counts the frames, so that it says itself where a frame was."""
    counted = np.repeat(np.arange(60, dtype=np.float32)[:, None], 5, axis=1)
    settings = replace(OFF, tempo=0.2, time_shift=0.1)
    for may_cut in (True, False):
        log_mel, places = moved(settings, seed=seed, may_cut=may_cut, log_mel=counted)
        assert len(log_mel) == len(places)
        np.testing.assert_allclose(places, log_mel[:, 0], atol=1e-5)


def test_masks_are_no_wider_than_set_and_hold_the_mean():
    settings = replace(OFF, time_masks=1, time_mask_seconds=0.1)
    log_mel = log_mel_of()
    widths = set()
    for seed in range(50):
        changed = (varied(settings, seed=seed) != log_mel).any(axis=1)
        widths.add(int(changed.sum()))
        np.testing.assert_allclose(
            varied(settings, seed=seed)[changed], np.broadcast_to(log_mel.mean(axis=0), (changed.sum(), 40)), rtol=1e-6
        )
    assert max(widths) == 10
    assert min(widths) == 0


def test_the_same_seed_gives_the_same_and_another_gives_another():
    np.testing.assert_array_equal(varied(AugmentSettings(), seed=7), varied(AugmentSettings(), seed=7))
    assert not np.array_equal(varied(AugmentSettings(), seed=7), varied(AugmentSettings(), seed=8))


@pytest.mark.parametrize("n_frames", [1, 2, 3])
def test_the_shortest_utterances_survive(n_frames):
    assert len(varied(AugmentSettings(), log_mel=log_mel_of()[:n_frames])) == n_frames  # rounding undoes the tempo


def test_tempo_changes_the_length_and_stops_where_the_target_would_not_fit():
    settings = replace(OFF, tempo=0.2)
    lengths = {len(varied(settings, seed=seed)) for seed in range(40)}
    assert min(lengths) < 46 < 56 < max(lengths)
    log_mel = log_mel_of()
    np.testing.assert_allclose(change_tempo(log_mel, len(log_mel)), log_mel, rtol=1e-6)
    short, _ = augment(
        log_mel,
        settings,
        frame_seconds=0.01,
        rng=np.random.default_rng(1),
        may_cut=False,
        least_frames=50,
    )
    assert len(short) >= 50


def test_a_warp_moves_a_tone_to_the_band_it_says():
    log_mel = np.full((10, 40), -60.0, np.float32)
    log_mel[:, 20] = 0.0
    assert warp_bands(log_mel, 1.1).argmax(axis=1).tolist() == [22] * 10
    assert warp_bands(log_mel, 0.9).argmax(axis=1).tolist() == [18] * 10
    np.testing.assert_allclose(warp_bands(log_mel, 1.0), log_mel)


@pytest.mark.parametrize("factor", [0.85, 1.0, 1.15, 1.3])
@pytest.mark.parametrize("n_mels", [40, 80])
def test_a_shorter_vocal_tract_is_heard_as_the_same_sound_played_faster(factor, n_mels):
    settings = FeatureSettings(n_mels=n_mels)
    extractor, middles = FeatureExtractor(settings), mel_middles(settings)
    time = np.arange(16000) / 16000
    formants = [(0.1, 700), (0.05, 1800), (0.02, 2600), (0.02, 3500)]

    def vowel(scale):
        tones = sum(a * np.sin(2 * np.pi * f * scale * time) for a, f in formants)
        return extractor.log_mel(tones.astype(np.float32))[20:-20]

    moved_bands = scale_frequencies(vowel(1.0), middles, factor)
    for _, formant in formants:
        nearest = int(np.abs(middles - formant * factor).argmin())
        around = slice(nearest - 2, nearest + 3)
        assert (
            abs(int(moved_bands.mean(axis=0)[around].argmax()) - int(vowel(factor).mean(axis=0)[around].argmax())) <= 1
        )
    if factor == 1.0:
        np.testing.assert_allclose(moved_bands, vowel(1.0), rtol=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_speed_is_what_a_waveform_played_faster_gives(seed):
    """Resampled, as the field does it: shorter by the factor by which its frequencies are higher."""
    settings = FeatureSettings()
    extractor, middles = FeatureExtractor(settings), mel_middles(settings)
    time = np.arange(32000) / 16000
    sweep = (0.1 * np.sin(2 * np.pi * (500 + 400 * time) * time)).astype(np.float32)  # 500 Hz, rising to 2,100
    log_mel = extractor.log_mel(sweep)
    rng = np.random.default_rng(seed)
    heard, places = augment(
        log_mel, replace(OFF, speed=0.3), frame_seconds=0.01, rng=rng, may_cut=False, middles=middles
    )
    factor = len(log_mel) / len(heard)
    played = np.interp(np.arange(0, len(sweep), factor), np.arange(len(sweep)), sweep).astype(np.float32)
    expected = extractor.log_mel(played)
    assert abs(len(expected) - len(heard)) <= 1
    assert np.abs(heard[5:-6].argmax(axis=1) - expected[5 : len(heard) - 6].argmax(axis=1)).max() <= 1
    assert places[-1] == pytest.approx(len(log_mel) - 1)
    with pytest.raises(ValueError, match="middles"):
        augment(log_mel, replace(OFF, speed=0.3), frame_seconds=0.01, rng=rng, may_cut=False)


def test_the_vocal_tract_is_drawn_within_its_share():
    middles = mel_middles(FeatureSettings())
    log_mel = np.full((10, 40), -60.0, np.float32)
    log_mel[:, 25] = 0.0
    peaks = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        settings = replace(OFF, vocal_tract=0.2)
        heard, _ = augment(log_mel, settings, frame_seconds=0.01, rng=rng, may_cut=False, middles=middles)
        peaks.append(middles[int(heard[0].argmax())] / middles[25])
    assert 0.78 < min(peaks) < 0.87
    assert 1.13 < max(peaks) < 1.22


@pytest.mark.parametrize("snr", [0.0, 10.0, 20.0])
def test_noise_is_as_loud_as_drawn(snr):
    log_mel = log_mel_of(n_samples=80000)
    power = 10 ** (log_mel / 10)
    noise = 10 ** (add_noise(log_mel, snr, np.random.default_rng(0)) / 10) - power
    assert 10 * np.log10(power.mean() / noise.mean()) == pytest.approx(snr, abs=0.3)


def test_a_channel_bends_the_spectrum_the_same_way_in_every_frame_and_no_further_than_set():
    log_mel = log_mel_of()
    curves = [varied(replace(OFF, channel=12.0), seed=seed) - log_mel for seed in range(20)]
    assert all(np.ptp(curve, axis=0).max() < 1e-4 for curve in curves)
    assert 6 < max(np.abs(curve).max() for curve in curves) <= 12.0
    assert max(np.abs(np.diff(curve[0])).max() for curve in curves) < 2.0, "smooth"


def test_recorded_noise_is_as_loud_as_drawn_and_repeats_where_it_is_short():
    log_mel, noise = log_mel_of(n_samples=80000), log_mel_of(gain=0.01)[:7]
    added = 10 ** (add_noise(log_mel, 10.0, np.random.default_rng(0), noise) / 10) - 10 ** (log_mel / 10)
    assert 10 * np.log10((10 ** (log_mel / 10)).mean() / added.mean()) == pytest.approx(10.0, abs=0.3)
    np.testing.assert_allclose(added[7:14], added[:7], rtol=0.05, atol=1e-3 * added.max())
    silence = np.full((5, 40), -100.0, np.float32)
    assert np.isfinite(add_noise(log_mel, 10.0, np.random.default_rng(0), silence)).all()


def test_noise_is_drawn_from_recordings_half_the_time():
    drawn = []
    for seed in range(40):
        augment(
            log_mel_of(),
            replace(OFF, noise=1.0),
            frame_seconds=0.01,
            rng=np.random.default_rng(seed),
            may_cut=True,
            draw_noise=lambda: drawn.append(1) or log_mel_of(),
        )
    assert 10 < len(drawn) < 30


def test_echoes_follow_a_click_and_fall_as_fast_as_said():
    click = np.full((40, 4), -100.0, np.float32)
    click[5] = 0.0
    heard = add_echoes(click, decay=3.0, level=-6.0)
    assert (heard[:5] < -99.0).all()
    np.testing.assert_allclose(heard[5], 0.0, atol=1e-4)
    np.testing.assert_allclose(np.diff(heard[6:30], axis=0), -3.0, atol=0.05)
    np.testing.assert_allclose(10 * np.log10((10 ** (heard[6:] / 10)).sum(axis=0)), -6.0, atol=0.1)


def test_a_mixture_is_at_the_level_of_its_first_and_as_long():
    log_mel, other = log_mel_of(), log_mel_of(gain=0.1, n_samples=4000)
    power = 10 ** (log_mel / 10)
    for share in (0.5, 0.8):
        mixed = 10 ** (mix(log_mel, other, share) / 10)
        assert mixed.shape == log_mel.shape
        added = mixed[: len(other)] - power[: len(other)] * share**2 / (share**2 + (1 - share) ** 2)
        assert added.mean() / power.mean() == pytest.approx((1 - share) ** 2 / (share**2 + (1 - share) ** 2), rel=0.1)
    np.testing.assert_allclose(mix(log_mel, other, 1.0), log_mel, atol=1e-3)
    assert len(mix(other, log_mel, 0.5)) == len(other)


def test_what_is_varied_grows_from_nothing():
    settings = AugmentSettings(easy_first=0.2)
    start = settings.at(0.0)
    log_mel = log_mel_of()
    np.testing.assert_array_equal(varied(start, log_mel=log_mel), log_mel)
    assert settings.at(0.1).tempo == settings.tempo / 2
    assert replace(settings, speed=0.1).at(0.1).speed == 0.05
    assert settings.at(0.2) == settings.at(1.0) == settings
    assert AugmentSettings(easy_first=0.0).at(0.0) == AugmentSettings(easy_first=0.0)


def test_a_band_limit_leaves_the_lower_half_and_fades_the_rest():
    log_mel = log_mel_of()
    lost = [log_mel - varied(replace(OFF, band_limit=1.0), seed=seed) for seed in range(20)]
    assert all(np.abs(loss[:, :20]).max() < 1e-4 for loss in lost)
    assert all(np.diff(loss, axis=1).min() > -1e-4 for loss in lost)
    assert max(loss.max() for loss in lost) > 20


def test_a_trim_cuts_what_is_soft_at_either_end_and_says_where():
    log_mel = np.full((60, 40), -90.0, np.float32)
    log_mel[10:50] = -50.0  # fricatives, 30 dB below
    log_mel[20:30] = -20.0
    log_mel[35:40] = -22.0
    kept = set()
    for seed in range(30):
        left, places = moved(replace(OFF, trim=1.0), seed=seed, log_mel=log_mel)
        np.testing.assert_array_equal(left, log_mel[places.astype(int)])
        kept.add((int(places[0]), int(places[-1])))
    assert kept == {(20, 39), (10, 49)}
    assert len(varied(replace(OFF, trim=1.0), log_mel=log_mel, may_cut=False)) == 60


def test_a_trimmed_and_stretched_utterance_knows_where_it_was():
    log_mel = np.full((120, 40), -90.0, np.float32)
    log_mel[80:] = np.linspace(-20, 0, 40)[:, None]
    for seed in range(10):
        left, places = moved(replace(OFF, trim=1.0, tempo=0.3), seed=seed, log_mel=log_mel)
        assert 80 <= places[0] < 105, "what is soft is cut, from 80 on"
        assert places[-1] == 119
        np.testing.assert_allclose(left[:, 0], np.interp(places, np.arange(120), log_mel[:, 0]), atol=0.5)


@pytest.mark.parametrize("loudest", [0, 4, 8])
def test_a_trim_leaves_something(loudest):
    log_mel = np.full((9, 40), -90.0, np.float32)
    log_mel[loudest] = 0.0
    left = varied(replace(OFF, trim=1.0), log_mel=log_mel)
    assert len(left) == 5
    assert left.max() == 0.0
    assert len(varied(replace(OFF, trim=1.0), log_mel=log_mel[loudest : loudest + 2])) <= 2


def test_a_wobble_is_slow_and_no_further_than_set():
    log_mel = log_mel_of()
    waves = [varied(replace(OFF, wobble=12.0), seed=seed) - log_mel for seed in range(20)]
    assert 6 < max(np.abs(wave).max() for wave in waves) <= 12.0
    assert max(np.abs(np.diff(wave, axis=0)).max() for wave in waves) < 3.0
    assert max(np.ptp(wave, axis=0).max() for wave in waves) > 3.0


def test_other_noise_has_another_colour_and_the_same_course():
    rng = np.random.default_rng(0)
    log_mel = rng.uniform(-60, -20, (50, 20)).astype(np.float32)
    log_mel[7] = -100.0
    others = [other_noise(log_mel, np.random.default_rng(seed)) for seed in range(50)]
    assert all((other[7] == -100).all() for other in others)  # digital silence stays silent
    for other in others:
        difference = np.delete(other - log_mel, 7, axis=0)
        assert np.ptp(difference, axis=0).max() < 1e-3  # the same for every frame
        assert np.abs(difference).max() <= 15 + 15 + 15
    colours = [np.ptp((other - log_mel)[0]) for other in others]
    assert max(colours) > 15


def test_echoes_of_a_room_last_as_long_as_rooms_do():
    click = np.full((200, 5), -100.0, np.float32)
    click[0] = 0.0
    for seed in range(10):
        heard = moved(replace(OFF, reverb=1.0), seed=seed, log_mel=click)[0][:, 0]
        gone = heard[1] - 60
        assert 10 <= int((heard > gone).sum()) <= 82  # 0.1 to 0.8 s, 10 ms each


def test_what_reaches_before_the_beginning_is_cut_there():
    quiet = np.full((10, 2), -100.0, np.float32)
    sound = np.repeat(np.array([-10, -20, -30, -40], np.float32)[:, None], 2, axis=1)
    np.testing.assert_allclose(overlay(quiet, sound, -2)[:3, 0], [-30, -40, -100], atol=1e-3)


def test_a_shift_goes_either_way():
    firsts = {float(moved(replace(OFF, time_shift=0.1), seed=seed)[1][5]) for seed in range(40)}
    assert (min(firsts), max(firsts)) == (0.0, 15.0)


def test_a_faster_tempo_stops_where_the_target_needs_its_frames():
    log_mel = log_mel_of()
    for seed in range(10):
        found, places = augment(
            log_mel,
            replace(OFF, tempo=0.5),
            frame_seconds=0.01,
            rng=np.random.default_rng(seed),
            may_cut=False,
            least_frames=len(log_mel),
        )
        assert len(found) == len(places) >= len(log_mel)
