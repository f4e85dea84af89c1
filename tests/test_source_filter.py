"""Voices of known pitch: what is drawn is what an independent tracker hears."""

import numpy as np
import pytest

from audiornn.corpus.source_filter import HOP, SAMPLE_RATE, VoiceJob, render_voice, render_voices
from audiornn.corpus.tracks import read_tracks


def test_praat_hears_the_pitch_that_was_drawn():
    parselmouth = pytest.importorskip("parselmouth")
    both, near = 0, 0
    for seed in range(24):
        sung = render_voice(seed)
        assert sung.waveform.dtype == np.float32
        assert np.abs(sung.waveform).max() <= 1
        assert len(sung.waveform) == len(sung.log2_f0) * HOP
        sound = parselmouth.Sound(sung.waveform.astype(float), SAMPLE_RATE)
        pitch = sound.to_pitch_ac(time_step=0.01, pitch_floor=60, pitch_ceiling=550)
        heard = np.array([pitch.get_value_at_time(i * HOP / SAMPLE_RATE) for i in range(len(sung.log2_f0))])
        cents = 1200 * (np.log2(heard) - sung.log2_f0)
        cents = (cents + 600) % 1200 - 600  # Praat itself may be an octave off
        both += int(np.isfinite(cents).sum())
        near += int((np.abs(cents) < 50).sum())
    assert both > 800
    assert near > 0.93 * both


def test_a_seed_is_a_recording_and_its_table(tmp_path):
    jobs = [VoiceJob(tmp_path / f"{seed}.flac", seed) for seed in (1, 2)]
    render_voices(jobs)
    before = [job.path.read_bytes() for job in jobs]
    assert before[0] != before[1]
    jobs[0].path.unlink()
    render_voices(jobs)
    assert [job.path.read_bytes() for job in jobs] == before
    tracks = read_tracks(tmp_path / "1.csv")
    assert tracks.names == ("log2_f0", "voicing")
    defined = ~np.isnan(tracks.values[:, 0])
    np.testing.assert_array_equal(defined, tracks.values[:, 1] == 1)
    np.testing.assert_allclose(tracks.values[:, 0], render_voice(1).log2_f0[::2], atol=1e-5)
