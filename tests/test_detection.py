"""Counts of a spotter: matching, exact limits against published numbers, thresholds for a target."""

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiornn.corpus.manifest import Segment, Utterance
from audiornn.errors import CorpusError, SettingsError
from audiornn.evaluate import explain
from audiornn.evaluate.detection import (
    DetectionCount,
    DetPoint,
    choose_threshold,
    hours_needed,
    keyword_row,
    match_hits,
    poisson_interval,
    poisson_upper,
)
from audiornn.evaluate.error_rates import wilson_interval
from audiornn.evaluate.onsets import choose_onset, excursion
from audiornn.evaluate.spotting import Heard, _references, evaluate_spotting, hear, tune_spotting
from audiornn.listen.keywords import Scores, SpotSettings
from tests.conftest import RATE
from tests.test_keywords import card_of

# Garwood 1936; as tabulated in Ulm 1990, Am. J. Epidemiol. 131, and every table since.
GARWOOD = {0: (0, 3.689), 1: (0.0253, 5.572), 2: (0.2422, 7.225), 5: (1.623, 11.668), 10: (4.795, 18.390)}
GARWOOD |= {20: (12.217, 30.888), 50: (37.11, 65.92), 100: (81.36, 121.63)}


@pytest.mark.parametrize("n", GARWOOD)
def test_exact_poisson_limits(n):
    assert poisson_interval(n) == pytest.approx(GARWOOD[n], rel=1e-3, abs=1e-4)


def test_poisson_limits_are_quantiles_of_chi_square():
    stats = pytest.importorskip("scipy.stats")
    for n in (0, 1, 3, 17, 400, 3000):
        low, high = poisson_interval(n)
        assert low == pytest.approx(stats.chi2.ppf(0.025, 2 * n) / 2 if n else 0, rel=1e-6)
        assert high == pytest.approx(stats.chi2.ppf(0.975, 2 * n + 2) / 2, rel=1e-6)
        assert poisson_upper(n) == pytest.approx(stats.chi2.ppf(0.95, 2 * n + 2) / 2, rel=1e-6)


def test_what_hours_can_show():
    """The examples of the issue: 0 in 1.9 h shows under 1.6 an hour; to show 0.5, test 6 h."""
    row = keyword_row("x", 0.5, DetectionCount(20, 19, 0), 1.9)
    assert row.shows_under == pytest.approx(1.577, abs=1e-3)
    assert hours_needed(0.5) == pytest.approx(-math.log(0.05) / 0.5)
    assert round(hours_needed(0.5)) == 6
    assert hours_needed(0.5, n=1) == pytest.approx(4.744 / 0.5, rel=1e-3)


def test_a_binomial_interval():
    assert wilson_interval(9, 246) == pytest.approx((0.0194, 0.0680), abs=1e-3)
    row = keyword_row("x", 0.5, DetectionCount(0, 0, 2), 0.5)
    assert (row.miss_rate, row.miss_interval, row.false_alarms_per_hour) == (None, (0.0, 1.0), 4)


# --- matching ---


def test_hits_within_a_tolerance():
    matches = match_hits([(1.0, 1.4), (1.5, 1.7), (5.0, 5.2)], [(1.0, 1.3), (9.0, 9.5)], tolerance=0.5)
    assert matches.pairs == ((0, 0),)
    assert matches.missed == (1,)
    assert matches.false_alarms == (1, 2)  # a word is found once
    assert match_hits([(1.9, 1.9)], [(1.0, 1.3)], tolerance=0.5).pairs == ()
    assert match_hits([(1.8, 1.8)], [(1.0, 1.3)], tolerance=0.5).pairs == ((0, 0),)
    assert match_hits([], [(0, 1)]).missed == (0,)


@given(
    st.lists(st.integers(0, 12), max_size=4),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4)), max_size=4),
    st.integers(0, 2),
)
def test_no_matching_has_more_pairs(middles, spans, tolerance):
    hits = [(m, m) for m in middles]
    references = [(a, a + n) for a, n in spans]
    matches = match_hits(hits, references, tolerance)
    fits = [[a - tolerance <= m <= b + tolerance for a, b in references] for m in middles]
    assert all(fits[hit][reference] for hit, reference in matches.pairs)
    best = 0
    slots = [*range(len(references)), *[None] * len(hits)]
    for order in set(itertools.permutations(slots, len(hits))):
        best = max(best, sum(r is not None and fits[h][r] for h, r in enumerate(order)))
    assert len(matches.pairs) == best
    assert len(matches.pairs) + len(matches.missed) == len(references)
    assert len(matches.pairs) + len(matches.false_alarms) == len(hits)


# --- thresholds ---


def point(threshold, missed, false_alarms, hours=2.0):
    return DetPoint(threshold, missed, false_alarms, missed / 10, false_alarms / hours)


def test_the_threshold_for_a_target():
    curve = [point(0.1, 0, 9), point(0.2, 1, 2), point(0.3, 1, 1), point(0.4, 1, 1), point(0.5, 1, 0), point(0.6, 4, 0)]
    assert choose_threshold(curve, 0.5) == (curve[3], True)  # the middle of three that are alike
    assert choose_threshold(curve, 0) == (curve[4], True)
    assert choose_threshold(curve, 100) == (curve[0], True)
    assert choose_threshold(curve[:2], 0.5) == (curve[1], False)


CARD = card_of("x", "y", unit="word")
FRAME = CARD.output_seconds


def heard(peaks, said, n=400, column=2):
    """A recording whose scores are 0 but for `peaks`: (keyword's number, frame, score)."""
    values = np.zeros((n, column), np.float32)
    for k, frame, score in peaks:
        values[frame : frame + 3, k] = score
    frames = np.repeat(np.arange(n)[:, None], column, axis=1)
    spans = {name: tuple((f * FRAME, (f + 5) * FRAME) for f in frames) for name, frames in said.items()}
    return Heard(Scores(values, frames, frames), n * FRAME, spans, {name: len(found) for name, found in spans.items()})


def test_a_report_of_known_hits():
    one = heard([(0, 100, 0.9), (0, 300, 0.6), (1, 50, 0.8)], {"x": [98], "y": [200]})
    found = evaluate_spotting(CARD, [one], ["x", "y"], SpotSettings(), "made", target=0.5)
    x, y = found.keywords
    assert (x.said, x.missed, x.false_alarms) == (1, 0, 1)
    assert (y.said, y.missed, y.false_alarms) == (1, 1, 1)
    assert (found.total.said, found.total.missed, found.total.false_alarms) == (2, 1, 2)
    assert x.hours == pytest.approx(4 / 3600)
    assert x.latency == pytest.approx((0.01, 0.01))  # told in frame 103, the word over at 103
    at = {p.threshold: (p.missed, p.false_alarms) for p in x.det}
    assert (at[0.5], at[0.7], at[0.95]) == ((0, 1), (0, 0), (1, 0))
    text = found.to_text()
    assert "to show 0.5, test 5.99 h" in text
    assert text.splitlines()[0].split()[:2] == ["keyword", "onset"]
    assert found.to_json()["keywords"][0]["det"][0]["threshold"] == 0.01


def test_tuning_meets_the_target_a_keyword_at_a_time():
    one = heard([(0, 100, 0.9), (0, 300, 0.6), (1, 50, 0.8)], {"x": [98], "y": [200]})
    tuning = tune_spotting(CARD, [one], ["x", "y"], SpotSettings(), 10)
    assert 0.6 < tuning.settings.threshold("x")[0] <= 0.9
    assert tuning.settings.threshold("y")[0] > 0.8
    assert tuning.settings.threshold("x")[1] == pytest.approx(tuning.settings.threshold("x")[0] / 2)
    assert "one false alarm is 900 an hour" in tuning.notes[0]
    loud = heard([(0, f, 1.0) for f in range(0, 390, 20)], {"x": [], "y": []})
    tuning = tune_spotting(CARD, [loud], ["x", "y"], SpotSettings(), 10)
    assert any("false alarms an hour, more than the 10 asked for: the best there is" in note for note in tuning.notes)
    long = heard([(0, f, 1.0) for f in range(0, 390, 20)], {"x": [], "y": []}, n=40_000)
    counted = tune_spotting(CARD, [long], ["x", "y"], SpotSettings(), 10)
    assert any("x: no threshold reaches 10 false alarms an hour; the best there is" in note for note in counted.notes)
    assert any("x: is never said" in note for note in tuning.notes)
    for target in (-1, 0, float("inf"), float("nan")):
        with pytest.raises(SettingsError, match="target"):
            tune_spotting(CARD, [one], ["x"], SpotSettings(), target)


def test_what_few_hours_cannot_count_is_extrapolated_as_after_a_training():
    draw = np.random.default_rng(1)
    peaks = sorted(1 / (1 + np.exp(4 - draw.exponential(1.0, 40))))
    rest = [heard([(0, 100, peak)], {"x": []}) for peak in peaks]
    said = [heard([(0, 100, 0.99)], {"x": [98]}) for _ in range(10)]
    tuned = tune_spotting(CARD, [*rest, *said], ["x"], SpotSettings(), 0.5).settings.threshold("x")[0]
    hours = 50 * 4 / 3600
    alarms, answers = np.float32(peaks[::-1]).astype(float), np.full(10, float(np.float32(0.99)))
    assert tuned == pytest.approx(choose_onset(answers, alarms, hours, 0.5).threshold)
    made = [replace(one, synthetic=True) for one in rest]
    by_voices = tune_spotting(CARD, [*made, *said], ["x"], SpotSettings(), 0.5).settings.threshold("x")[0]
    assert by_voices == pytest.approx(choose_onset(answers, alarms, hours, 0.5, 40 / 50).threshold)
    assert by_voices > tuned
    assert tuned > peaks[-1]


def test_hours_of_synthetic_voices_are_told_apart():
    loud = heard([(0, 100, 0.99)], {"x": []})
    quiet = [heard([(0, 100, 0.1)], {"x": []}) for _ in range(9)]
    for one, n in ((loud, 1), (quiet[0], 0)):  # of a person
        made = [replace(other, synthetic=True) for other in (*quiet, loud)]
        report = evaluate_spotting(CARD, [*made, one], ["x"], SpotSettings(), "test")
        hours, each = report.hours, 4 / 3600
        assert report.synthetic_hours == pytest.approx(10 * each)
        assert report.to_json()["synthetic_hours"] == report.synthetic_hours
        assert report.total.false_alarms == 1 + n
        shown = poisson_upper(n) / each
        assert report.notes == (
            f"{10 * each:.3g} of these {hours:.3g} h are synthetic voices, which say little of people: "
            f"{n} false alarms in the other {each:.3g} h show under {shown:.3g} an hour (95 %)",
        )
    assert "nobody else" in evaluate_spotting(CARD, made, ["x"], SpotSettings(), "test").to_text()
    assert not evaluate_spotting(CARD, [loud], ["x"], SpotSettings(), "test").notes


@pytest.mark.parametrize("peaks", [{100: 0.9, 200: 0.2, 300: 0.6}, dict.fromkeys(range(0, 390, 14), 0.12)])
def test_a_drawn_curve_promises_nothing_that_no_threshold_does(tmp_path, monkeypatch, peaks):
    step = pytest.importorskip("matplotlib.cbook").STEP_LOOKUP_MAP
    figures = []
    monkeypatch.setattr(explain, "_save", lambda figure, path: figures.append(figure))
    one = heard([(0, frame, score) for frame, score in peaks.items()], {"x": [20, 98, 198]}, column=1)
    report = evaluate_spotting(CARD, [one], ["x"], SpotSettings(), "made")
    explain.draw_det(tmp_path / "det.png", report)
    (axis,) = figures[0].axes
    curve, dot = axis.get_lines()
    places = list(zip(*step[curve.get_drawstyle()](*curve.get_data()), strict=True))
    det = report.keywords[0].det
    none = min(x for x, _ in places)
    for x, y in places:
        within = [p.miss_rate for p in det if p.false_alarms_per_hour <= (0 if x == none else x)]
        assert y >= explain._miss_place(min(within)), "fewer misses than any threshold has with so few false alarms"
    for p in det:
        assert min(y for x, y in places if x <= max(none, p.false_alarms_per_hour)) <= explain._miss_place(p.miss_rate)
    most = max(p.false_alarms_per_hour for p in det)
    assert max(x for x, _ in places) == pytest.approx(max(none, most)), "it goes on to where thresholds do"
    low, high = axis.get_ylim()
    assert low + 0.1 < min(y for _, y in places) < dot.get_ydata()[0] < high - 0.1, "none and all are off the frame"


# --- on recordings ---


def test_references_with_times_and_without(recognizer, world, prepared):
    model = recognizer("transcribe")
    timed = list(prepared("transcribe").utterances("test"))
    settings = SpotSettings()
    names = ["do", "mi", "sol"]
    with_times, _ = hear(model, timed, names, "test")
    untimed = [Utterance(u.id, u.audio, u.text) for u in timed]
    without, _ = hear(model, untimed, names, "test")
    reports = [evaluate_spotting(model.card, found, names, settings, "test") for found in (with_times, without)]
    assert [report.timed for report in reports] == [True, False]
    assert [report.total.said for report in reports] == [sum(len(u.text.split()) for u in timed)] * 2
    assert max(report.total.missed for report in reports) <= 1
    assert reports[0].total.latency is not None
    assert reports[1].total.latency is None
    assert "have no times" in reports[1].to_text()
    background = [Utterance("b", u.audio, "", segments=(Segment(0, 0.1, "la"),)) for u in timed[:1]]
    report = evaluate_spotting(model.card, hear(model, background, names, "test")[0], names, settings, "background")
    assert report.total.said == 0
    assert report.total.false_alarms >= 1


def test_recordings_that_cannot_be_read(recognizer, tmp_path, world):
    model = recognizer("transcribe")
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    good, bad = Utterance("a", world.recording(), "do"), Utterance("b", tmp_path / "bad.wav", "do")
    found, unreadable = hear(model, [good, bad], ["do"], "test", skip_bad=True)
    assert len(found) == 1
    assert "bad.wav" in unreadable[0]
    with pytest.raises(CorpusError, match="test: none of its 1"):
        hear(model, [bad], ["do"], "test", skip_bad=True)
    with pytest.raises(CorpusError, match="test: holds no utterances"):
        hear(model, [], ["do"], "test")
    assert model.card.features.sample_rate == RATE


@pytest.mark.parametrize("timed", [True, False])
def test_a_word_whose_score_stays_up_is_no_false_alarm_beside_itself(timed):
    """CTC's score of a whole word stays up until something else is said: seconds, where nothing is."""
    values = np.zeros((600, 1))
    values[100:] = np.linspace(0.8, 0.81, 500)[:, None]  # and creeps up
    frames = np.repeat(np.arange(600)[:, None], 1, axis=1)
    spans = {"x": ((95 * FRAME, 100 * FRAME),)} if timed else None
    said = [Heard(Scores(values, frames, frames), 600 * FRAME, spans, {"x": 1}) for _ in range(5)]
    tuning = tune_spotting(CARD, said, ["x"], SpotSettings(), 0.5)
    assert tuning.settings.threshold("x")[0] < 0.8
    found = evaluate_spotting(CARD, said, ["x"], tuning.settings, "made").total
    assert (found.missed, found.false_alarms) == (0, 0)


def test_a_label_is_found_in_a_transcript_however_it_is_written():
    card = card_of("computer", "hey_you", unit="label", task="label")
    for text in ("Computer, COMPUTER computer. Hey you!", "computer computer computer hey you"):
        utterance = Utterance("a", Path("a.wav"), text)
        assert _references(card, utterance, ["computer", "hey_you"], False)[1] == {"computer": 3, "hey_you": 1}
    timed = Utterance("a", Path("a.wav"), "", segments=(Segment(0.1, 0.5, "Computer"),))
    assert _references(card, timed, ["computer"], False)[0] == {"computer": ((0.1, 0.5),)}
    notes = card_of("C", "C#", "+", unit="label", task="label")  # that are told apart by case and signs alone
    utterance = Utterance("a", Path("a.wav"), "C C# one")
    assert _references(notes, utterance, ["C", "C#", "+"], False)[1] == {"C": 1, "C#": 1, "+": 0}


def test_a_rows_rates_are_an_hour_and_its_latencies_a_median_and_a_late_one():
    row = keyword_row("x", 0.5, DetectionCount(20, 19, 5), 2.0, latencies=[0.1] * 18 + [0.2, 0.9])
    assert row.false_alarm_interval == pytest.approx([limit / 2 for limit in poisson_interval(5)])
    assert row.latency == pytest.approx((0.1, 0.235))


def test_a_reference_that_is_over_first_is_found_first():
    assert len(match_hits([(2, 2), (5, 5)], [(0, 6), (1, 3)], 0).pairs) == 2


def test_an_excursion_ends_where_it_has_sunk():
    assert excursion(np.array([0.1, 0.6, 0.9, 0.5, 0.4, 0.9]), 2, 0.5) == (1, 4)
