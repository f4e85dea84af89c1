"""What we write, others read: subtitles, Praat, ELAN, NIST's formats; the JSON holds what the text shows."""

import html
import json
import math
import re
import tempfile
import time
import unicodedata
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiornn.corpus import preparation
from audiornn.errors import SettingsError
from audiornn.listen.formats import (
    FORMATS,
    format_result,
    phrases,
    to_audacity,
    to_csv,
    to_ctm,
    to_elan,
    to_json,
    to_rttm,
    to_srt,
    to_text,
    to_textgrid,
    to_vtt,
)
from audiornn.listen.results import AlignedWord, Alignment, Classification, Labelling, TimedLabel, Transcript
from audiornn.vocabulary import NO_LABEL

srt = pytest.importorskip("srt")
webvtt = pytest.importorskip("webvtt")
praatio = pytest.importorskip("praatio.textgrid")

WORDS = (TimedLabel("go", 0.1, 0.35, 0.9), TimedLabel("left", 0.4, 0.8, 0.75))
ALIGNED = (
    AlignedWord("go", 0.1, 0.35, 0.9, (TimedLabel("g", 0.1, 0.2, 0.9), TimedLabel("o", 0.2, 0.35, 0.9)), True, "go"),
    AlignedWord("left", 0.4, 0.8, 0.125, (TimedLabel("l", 0.4, 0.5, 0.25),), False, "right"),
    AlignedWord("now", 0.9, 1.0, 0.0, (), False, ""),
)
RESULTS = {
    "transcribe": Transcript("go left", WORDS, 1.25),
    "classify": Classification("left", 0.9375, {"go": 0.0625, "left": 0.9375}, 1.0),
    "label": Labelling((TimedLabel(NO_LABEL, 0.0, 0.5, 0.5), TimedLabel("dog barks", 0.5, 1.25, 0.8)), 1.25),
    "align": Alignment("go left now", ALIGNED, (TimedLabel("uh", 0.82, 0.88, 0.5),), 1.25),
}
#: What may stand in a label and must not steer a format.
NASTY = (
    *("سلام", "كِتَاب", "你好世界", "e\u0301ta\u0302t", "naïve", "👩\u200d👩\u200d👧", "𝄞", "a b c"),
    *("--> x", "00:00:01,000 --> 00:00:02,000", "7", "-", "<i>a</i>", "&lt;", "NOTE", "STYLE", "WEBVTT", "{\\an8}"),
    *('say "no"', '"', "item [1]:", 'text = "', ";;", "<NA>", "", " ", "w" * 200, "中" * 100, "w " * 60),
    *("a\nb", "a\r\n\r\nb", "x\u2028y", "x\x85y", "\x00", "\x1b[31m", "\ud800"),
)


def spoken(words, duration=None):
    return Transcript(" ".join(w.label for w in words), tuple(words), duration or max([1.0, *(w.end for w in words)]))


def clean(label):
    """What a label becomes, said another way than in the code."""
    kinds = {"Cc": " ", "Zl": " ", "Zp": " ", "Zs": " ", "Cs": "\ufffd"}
    return " ".join("".join(kinds.get(unicodedata.category(c), c) for c in label).split())


labels = st.one_of(st.sampled_from(NASTY), st.text(st.characters(), max_size=12), st.text("abc 'é中", max_size=60))
seconds = st.one_of(st.floats(0, 20), st.floats(0, 400_000), st.integers(0, 40).map(lambda n: n / 4))
timed = st.builds(
    lambda label, start, length, sure: TimedLabel(label, round(start, 6), round(start + length, 6), sure),
    labels, seconds, st.sampled_from([0.0, 1e-6, 0.0004, 0.01, 0.25, 3.0, 30.0]), st.floats(0, 1),
)  # fmt: skip
transcripts = st.builds(spoken, st.lists(timed, max_size=25), st.one_of(st.none(), st.floats(0.01, 50)))
labellings = st.builds(lambda segments: Labelling(tuple(segments), 20.0), st.lists(timed, max_size=10))
results = st.one_of(
    transcripts, labellings, st.builds(lambda label: Classification(label, 0.5, {label: 0.5}, 2.0), labels)
)


def read_srt(text):
    return [(c.start / timedelta(seconds=1), c.end / timedelta(seconds=1), c.content) for c in srt.parse(text)]


def read_vtt(text):
    captions = webvtt.from_string(text, strict=True).captions
    ours = [
        (c.start_time.in_milliseconds() / 1000, c.end_time.in_milliseconds() / 1000, html.unescape(c.raw_text))
        for c in captions
    ]
    assert all(c.identifier is None for c in captions)
    return ours


def read_textgrid(text):
    """Tiers of (start, end, text) by praatio, which must not have to repair anything."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.TextGrid")
        path.write_text(text, encoding="utf-8")
        grid = praatio.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="error")
    for tier in grid.tiers:
        assert (tier.minTimestamp, tier.maxTimestamp) == (grid.minTimestamp, grid.maxTimestamp)
    return {tier.name: [tuple(entry) for entry in tier.entries] for tier in grid.tiers}


def read_with_praat(text):
    """The same by Praat itself."""
    parselmouth = pytest.importorskip("parselmouth")
    call = parselmouth.praat.call
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.TextGrid")
        path.write_text(text, encoding="utf-8")
        grid = parselmouth.read(str(path))
    questions = ("Get start time of interval", "Get end time of interval", "Get label of interval")
    return {
        call(grid, "Get tier name", t): [
            tuple(call(grid, question, t, i) for question in questions)
            for i in range(1, call(grid, "Get number of intervals", t) + 1)
        ]
        for t in range(1, call(grid, "Get number of tiers") + 1)
    }


def assert_tiles(intervals, end):
    assert intervals[0][0] == 0
    assert intervals[-1][1] == end
    assert all(start < stop for start, stop, _ in intervals)
    assert all(left[1] == right[0] for left, right in pairwise(intervals))
    assert all(left[2] or right[2] for left, right in pairwise(intervals)), "two empty intervals in a row"


def fields(text, n):
    """A time-marked file as its grammar has it: n fields a line, parted by white space."""
    lines = text.split("\n")
    assert lines.pop() == ""
    rows = [line.split() for line in lines]
    assert all(len(row) == n for row in rows), rows
    assert [line.split(" ") for line in lines] == rows
    return rows


# ---------------------------------------------------------------------------------------------------- text and JSON


def test_text():
    assert to_text(RESULTS["transcribe"]) == "go left"
    assert to_text(RESULTS["classify"]) == "left\t0.938"
    assert to_text(RESULTS["label"]) == "0.00\t0.50\t_none_\n0.50\t1.25\tdog barks"
    assert to_text(Transcript("", (), 1.0)) == ""
    assert to_text(RESULTS["align"]).split("\n") == [
        "0.10\t0.35\tgo\t0.900",
        "0.40\t0.80\tleft\t0.125\theard: right",
        "0.82\t0.88\t\t0.500\textra: uh",
        "0.90\t1.00\tnow\t0.000\tnot heard",
    ]


def test_json_is_plain_and_whole():
    entry = to_json(RESULTS["align"], audio="a.wav", task="align")
    back = json.loads(json.dumps(entry))
    assert (back["audio"], back["task"], back["duration"], back["text"]) == ("a.wav", "align", 1.25, "go left now")
    assert back["words"][1]["symbols"] == [{"label": "l", "start": 0.4, "end": 0.5, "confidence": 0.25}]
    assert (back["words"][1]["fits"], back["words"][1]["heard"]) == (False, "right")
    assert back["extra"] == [{"label": "uh", "start": 0.82, "end": 0.88, "confidence": 0.5}]
    entry = to_json(RESULTS["classify"], audio="a.wav", task="classify")
    assert (entry["label"], entry["probability"], entry["probabilities"]["go"]) == ("left", 0.9375, 0.0625)


def leaves(value):
    """Every key, word and number of a JSON value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


@pytest.mark.parametrize("task", RESULTS)
def test_what_the_text_shows_the_json_holds(task):
    held = list(leaves(to_json(RESULTS[task], audio="a.wav", task=task)))
    words = {word for value in held if isinstance(value, str) for word in value.split()}
    numbers = [value for value in held if isinstance(value, float)]
    text = to_text(RESULTS[task]).replace("heard: ", "").replace("not heard", "").replace("extra: ", "")
    for shown in text.split():
        try:
            value = float(shown)
        except ValueError:
            assert shown in words
        else:
            digits = len(shown.partition(".")[2])
            assert any(f"{number:.{digits}f}" == f"{value:.{digits}f}" for number in numbers)


@given(results)
def test_json_is_one_line_for_whoever_splits_lines(result):
    line = format_result(result, "json", audio="ä\n\u2028.wav", task="transcribe")
    assert len(line.splitlines()) == 1
    assert json.loads(line) == json.loads(json.dumps(to_json(result, audio="ä\n\u2028.wav", task="transcribe")))


@given(results)
def test_text_has_a_line_an_entry(result):
    n = max(1, len(result.segments)) if isinstance(result, Labelling) else 1
    assert len(to_text(result).split("\n")) == n
    assert len(format_result(result, "text", audio="a.wav", task="t").splitlines()) == n


# ---------------------------------------------------------------------------------------------------- one door


@pytest.mark.parametrize("task", RESULTS)
@pytest.mark.parametrize("name", FORMATS)
def test_every_result_has_every_format(name, task):
    text = format_result(RESULTS[task], name, audio="dir/a.wav", task=task)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert FORMATS[name][0] == "."


def test_an_unknown_format_is_named():
    with pytest.raises(SettingsError, match="did you mean 'textgrid'"):
        format_result(RESULTS["label"], "text_grid", audio="a.wav", task="label")


@pytest.mark.parametrize("result", [Transcript("", (), 1.0), Labelling((TimedLabel(NO_LABEL, 0.0, 1.0, 1.0),), 1.0)])
def test_nothing_said_is_a_valid_file(result):
    made = {name: format_result(result, name, audio="a.wav", task="t") for name in FORMATS}
    assert (made["srt"], made["ctm"], made["rttm"], made["vtt"]) == ("", "", "", "WEBVTT\n")
    assert read_srt(made["srt"]) == read_vtt(made["vtt"]) == []
    assert [*read_textgrid(made["textgrid"]).values()] == [[(0, 1, "")]]
    assert [*read_with_praat(made["textgrid"]).values()] == [[(0, 1, "")]]


def test_no_label_is_one_word_in_the_house():
    assert NO_LABEL == preparation.NO_LABEL


@settings(deadline=None)
@given(results)
def test_whatever_is_said_every_format_is_utf8(result):
    for name in FORMATS:
        format_result(result, name, audio="a\udcff b.wav", task="t").encode()


def test_ten_thousand_words_in_no_time():
    words = [TimedLabel(f"word{i % 97}", i * 0.4, i * 0.4 + 0.4, 0.5) for i in range(10_000)]
    result = spoken(words)
    for name in FORMATS:
        begin = time.process_time()
        text = format_result(result, name, audio="a.wav", task="t")
        assert time.process_time() - begin < 2, name
        assert "word96" in text or name == "rttm"
    assert [text for *_, text in read_textgrid(to_textgrid(result))["words"]] == [word.label for word in words]
    assert len(fields(to_ctm(result, audio="a.wav"), 6)) == 10_000
    assert len(fields(to_rttm(result, audio="a.wav"), 10)) == 1
    begin = time.process_time()
    format_result(spoken([TimedLabel("中" * 20_000, 0.0, 4000.0, 0.5)]), "srt", audio="a.wav", task="t")
    assert time.process_time() - begin < 2


# ---------------------------------------------------------------------------------------------------- phrases


def said(text, *, start=0.0, length=0.3, gap=0.1):
    times = [start + i * (length + gap) for i in range(len(text.split()))]
    return [TimedLabel(word, at, at + length, 1.0) for word, at in zip(text.split(), times, strict=True)]


def test_phrases_end_at_pauses():
    words = [*said("one two three"), *said("four five", start=2.0)]
    found = phrases(words)
    assert [(p.text, p.start, p.end) for p in found] == [
        ("one two three", 0.0, words[2].end),
        ("four five", 2.0, words[4].end),
    ]
    assert found[0].words == tuple(words[:3])
    assert len(phrases(words, pause=2.0)) == 1
    assert phrases([]) == []


def test_phrases_end_when_they_grow_too_long():
    found = phrases(said("a " * 50, length=0.9))
    assert all(p.end - p.start <= 7.0 + 1e-9 for p in found)
    assert [len(p.words) for p in found] == [7] * 7 + [1]
    assert [p.text for p in phrases(said("a", length=60.0))] == ["a"]
    assert all(len(p.text) <= 20 for p in phrases(said("word " * 50), most_characters=20))


def test_a_script_without_spaces_is_cut_and_its_time_shared_out():
    (whole,) = phrases([TimedLabel("中" * 42, 1.0, 5.0, 0.5)])
    assert whole.text == "中" * 42
    found = phrases([TimedLabel("中" * 63, 1.0, 7.3, 0.5)])
    assert [p.text for p in found] == ["中" * 42, "中" * 21]
    assert [p.end for p in found] == pytest.approx([5.2, 7.3])
    assert found[1].start == found[0].end
    marked = phrases([TimedLabel("e\u0301" * 80, 0.0, 5.0, 0.5)], most_characters=18)
    assert all(p.text.startswith("e") for p in marked)
    assert "".join(p.text for p in marked) == "e\u0301" * 80


@settings(deadline=None)
@given(
    st.lists(timed, max_size=25),
    st.sampled_from([0.0, 0.6, math.inf]),
    st.sampled_from([0.0, 7.0, math.inf]),
    st.integers(1, 100),
)
def test_phrases_keep_every_word_and_never_overlap(words, pause, longest, most):
    found = phrases(words, pause=pause, longest=longest, most_characters=most)
    expected = [clean(word.label) for word in sorted(words, key=lambda word: word.start)]
    assert "".join(p.text for p in found).replace(" ", "") == "".join(expected).replace(" ", "")
    assert all(p.start <= p.end for p in found)
    assert all(left.end <= right.start for left, right in pairwise(found))
    assert all(len(p.text) <= max(2, most) for p in found)
    for p in found:
        gaps = [right.start - max(w.end for w in p.words[:i]) for i, right in enumerate(p.words) if i]
        assert all(gap < pause for gap in gaps)
        assert len(p.words) == 1 or p.end - p.start <= longest + 1e-9


# ---------------------------------------------------------------------------------------------------- subtitles


@pytest.mark.parametrize(
    ("start", "clock"),
    [
        (0.0, "00:00:00,000"),
        (59.9996, "00:01:00,000"),
        (3599.9999, "01:00:00,000"),
        (3661.5, "01:01:01,500"),
        (36_000.001, "10:00:00,001"),
        (360_000.0004, "100:00:00,000"),
        (0.0015, "00:00:00,002"),
    ],
)
def test_clocks_carry(start, clock):
    result = spoken([TimedLabel("go", start, start + 2, 1.0)])
    assert to_srt(result).split("\n")[1].startswith(f"{clock} --> ")
    assert to_vtt(result).split("\n")[2].startswith(f"{clock.replace(',', '.')} --> ")
    ((begin, end, _),) = read_vtt(to_vtt(result))
    assert (begin, end) == pytest.approx((start, start + 2), abs=0.00051)


def test_cues_last_a_second_where_there_is_room():
    words = [TimedLabel(w, t, t + 0.1, 1.0) for w, t in (("a", 0.0), ("b", 0.8), ("c", 5.0), ("d", 9.75))]
    assert [cue[:2] for cue in read_srt(to_srt(spoken(words, 10.0)))] == [(0, 0.8), (0.8, 1.8), (5, 6), (9.75, 10)]


def test_lines_are_of_like_length():
    words = said("the quick brown fox jumps over the lazy dog today", length=0.2)
    assert read_srt(to_srt(spoken(words)))[0][2] == "the quick brown fox jumps\nover the lazy dog today"


def test_labels_have_a_cue_each_and_a_classification_one():
    assert read_srt(to_srt(RESULTS["label"])) == [(0.5, 1.25, "dog barks")]
    assert read_vtt(to_vtt(RESULTS["classify"])) == [(0.0, 1.0, "left")]
    touching = Labelling((TimedLabel("a", 0, 2, 1), TimedLabel("b", 1.9999, 4, 1)), 4.0)
    assert read_srt(to_srt(touching)) == [(0, 2, "a"), (2, 4, "b")]
    overlapping = Labelling((TimedLabel("speech", 0.5, 8, 1), TimedLabel("music", 2, 4, 1)), 10.0)
    for read, written in ((read_srt, to_srt), (read_vtt, to_vtt)):
        assert read(written(overlapping)) == [(0.5, 8, "speech"), (2, 4, "music")]
    brief = Labelling((TimedLabel("a", 0, 0.25, 1), TimedLabel("b", 2, 2.5, 1)), 4.0)
    assert read_srt(to_srt(brief)) == [(0, 0.25, "a"), (2, 2.5, "b")]  # a measurement, which nobody has to read


def test_vtt_escapes():
    text = to_vtt(spoken([TimedLabel("<v Bob> & -->", 0.0, 2.0, 1.0)]))
    assert text.endswith("\n&lt;v Bob&gt; &amp; --&gt;\n")
    assert read_vtt(text) == [(0, 2, "<v Bob> & -->")]


@settings(deadline=None)
@given(results)
def test_other_readers_find_our_subtitles_as_written(result):
    cues, captions = read_srt(to_srt(result)), read_vtt(to_vtt(result))
    assert [cue[:2] for cue in captions] == [cue[:2] for cue in cues]
    assert [c.index for c in srt.parse(to_srt(result))] == [*range(1, len(cues) + 1)]
    if isinstance(result, Classification):
        found = [result.label]
    else:
        found = [
            w.label
            for w in sorted(getattr(result, "words", None) or getattr(result, "segments", ()), key=lambda w: w.start)
        ]
    expected = "".join(clean(label) for label in found if label != NO_LABEL).replace(" ", "")
    for text, arrow in ((cues, "→"), (captions, "-->")):
        joined = "".join("".join(cue[2].split()) for cue in text)
        assert joined.replace(arrow, "-->") == expected.replace(arrow, "-->")
        assert all(start < end for start, end, _ in text)
        if isinstance(result, Labelling):  # measurements, each with its own times
            assert all(left[0] <= right[0] for left, right in pairwise(text))
        else:
            assert all(left[1] <= right[0] for left, right in pairwise(text))
        for *_, content in text:
            lines = content.split("\n")
            assert len(lines) <= 2
            assert all(0 < len(line) <= 42 and line == line.strip() for line in lines)


# ---------------------------------------------------------------------------------------------------- Praat


def test_textgrid_tiers():
    assert read_textgrid(to_textgrid(RESULTS["transcribe"])) == {
        "words": [(0, 0.1, ""), (0.1, 0.35, "go"), (0.35, 0.4, ""), (0.4, 0.8, "left"), (0.8, 1.25, "")]
    }
    assert read_textgrid(to_textgrid(RESULTS["label"])) == {"labels": [(0, 0.5, ""), (0.5, 1.25, "dog barks")]}
    assert read_textgrid(to_textgrid(RESULTS["classify"])) == {"labels": [(0, 1, "left")]}
    tiers = read_textgrid(to_textgrid(RESULTS["align"]))
    assert [text for *_, text in tiers["words"] if text] == ["go", "left", "now"]
    assert [text for *_, text in tiers["symbols"] if text] == ["g", "o", "l"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([("a", 0, 1), ("b", 1, 2)], [(0, 1, "a"), (1, 2, "b")]),
        ([("a", 0, 1.000001), ("b", 1, 2)], [(0, 1, "a"), (1, 2, "b")]),
        ([("a", 0, 1), ("b", 1.000001, 2)], [(0, 1.000001, "a"), (1.000001, 2, "b")]),
        ([("a", 0.5, 0.5)], [(0, 0.5, ""), (0.5, 0.501, "a"), (0.501, 2, "")]),
        ([("a", 0.5, 1.5), ("b", 0.5, 0.6)], [(0, 0.5, ""), (0.5, 0.501, "b"), (0.501, 1.5, "a"), (1.5, 2, "")]),
        ([("a", 2, 2), ("b", 2, 3)], [(0, 1.998, ""), (1.998, 1.999, "a"), (1.999, 2, "b")]),
    ],
    ids=["touching", "overlapping by rounding", "a gap by rounding", "no length", "one in another", "at the end"],
)
def test_textgrid_repairs(words, expected):
    text = to_textgrid(spoken([TimedLabel(w, start, end, 1.0) for w, start, end in words], 2.0))
    assert read_textgrid(text) == read_with_praat(text) == {"words": expected}


def test_textgrid_ends_with_the_recording_to_the_last_digit():
    duration = 1_234_567 / 44_100
    text = to_textgrid(spoken([TimedLabel("a", 0.0, round(duration, 6), 1.0)], duration))
    assert read_with_praat(text) == {"words": [(0.0, duration, "a")]}
    assert_tiles(read_with_praat(to_textgrid(Transcript("", (), 1e-5)))["words"], 1e-5)


@settings(deadline=None, max_examples=60)
@given(transcripts)
def test_praat_reads_our_textgrids(result):
    text = to_textgrid(result)
    expected = [clean(w.label) for w in result.words if w.label != NO_LABEL and clean(w.label)]
    tiers = read_with_praat(text)
    assert_tiles(tiers["words"], result.duration)
    assert sorted(label for *_, label in tiers["words"] if label) == sorted(expected)
    if not any(
        mark in label for label in expected for mark in ("item", "intervals")
    ):  # praatio looks for them anywhere
        assert [interval[:2] for interval in read_textgrid(text)["words"]] == [i[:2] for i in tiers["words"]]


# ---------------------------------------------------------------------------------------------------- NIST's formats


def test_ctm():
    words = (TimedLabel("b c", 0.4, 0.8, 0.75), TimedLabel("a", 0.1, 0.35, 1.0), TimedLabel("", 1.0, 1.0, 0.0))
    assert to_ctm(Transcript("", words, 2.0), audio="dir/my call;1.final.wav") == (
        "my%20call%3B1.final 1 0.100 0.250 a 1.000\n"
        "my%20call%3B1.final 1 0.400 0.400 b_c 0.750\n"
        "my%20call%3B1.final 1 1.000 0.000 <eps> 0.000\n"
    )
    assert to_ctm(RESULTS["classify"], audio="-") == "stdin 1 0.000 1.000 left 0.938\n"
    assert to_ctm(RESULTS["label"], audio=".") == "recording 1 0.500 0.750 dog_barks 0.800\n"


def test_rttm():
    assert to_rttm(RESULTS["label"], audio="a b.wav") == "SPEAKER a%20b 1 0.500 0.750 <NA> <NA> dog_barks <NA> <NA>\n"
    assert to_rttm(RESULTS["classify"], audio="a") == "SPEAKER a 1 0.000 1.000 <NA> <NA> left <NA> <NA>\n"
    words = [*said("speech without end " * 20), *said("and more", start=30.0), TimedLabel("x", 40.0, 40.0, 1.0)]
    rows = fields(to_rttm(spoken(words), audio="a"), 10)
    assert [row[3:5] for row in rows] == [["0.000", "23.900"], ["30.000", "0.700"]], "parted by pauses alone"


@given(results, st.sampled_from(["a", "ü b", "سلام", "a\u2028b", ";;", "100%"]))
def test_time_marks_hold_their_columns(result, stem):
    ctm, rttm = fields(to_ctm(result, audio=f"d/{stem}.wav"), 6), fields(to_rttm(result, audio=f"d/{stem}.wav"), 10)
    assert [float(row[2]) for row in ctm] == sorted(float(row[2]) for row in ctm)
    assert [float(row[3]) for row in rttm] == sorted(float(row[3]) for row in rttm)
    assert all(float(row[3]) >= 0 and 0 <= float(row[5]) <= 1 and row[1] == "1" for row in ctm)
    assert all(float(row[4]) > 0 and row[0] == "SPEAKER" and row[2] == "1" for row in rttm)
    assert not any(row[0].startswith(";") for row in ctm)
    if isinstance(result, Transcript):
        assert len(ctm) == sum(word.label != NO_LABEL for word in result.words)
        ends = [float(row[3]) + float(row[4]) for row in rttm]
        assert all(end <= float(row[3]) + 1e-6 for end, row in zip(ends, rttm[1:], strict=False))


def test_a_recording_s_name_stays_its_own():
    stems = ["a b", "a_b", "a%20b", "a\tb", "a\u3000b", "ab", "ü", "a;b"]
    assert len({to_ctm(RESULTS["classify"], audio=f"{stem}.wav") for stem in stems}) == len(stems)


@given(results)
def test_meeteval_reads_our_time_marks(result):
    """A strict reader; it is compiled where it is installed, so that not everyone has it."""
    io = pytest.importorskip("meeteval.io")
    ctm = io.CTM.parse(to_ctm(result, audio="a b.wav")).lines
    assert [(line.filename, line.channel) for line in ctm] == [("a%20b", "1")] * len(ctm)
    rttm = io.RTTM.parse(to_rttm(result, audio="a b.wav")).lines
    if isinstance(result, Transcript):
        words = sorted((word for word in result.words if word.label != NO_LABEL), key=lambda word: word.start)
        assert [line.word for line in ctm] == [clean(word.label).replace(" ", "_") or "<eps>" for word in words]
        assert [float(line.begin_time) for line in ctm] == pytest.approx([word.start for word in words], abs=0.00051)
        assert [float(line.begin_time + line.duration) for line in ctm] == pytest.approx(
            [w.end for w in words], abs=0.00051
        )
        assert {line.speaker_id for line in rttm} <= {"speech"}
    else:
        assert {line.speaker_id for line in rttm} <= {line.word.replace("<eps>", "<NA>") for line in ctm}


def test_lhotse_reads_our_time_marks(tmp_path):
    lhotse = pytest.importorskip("lhotse")
    words = (*(TimedLabel(w, 3600 + i, 3600.5 + i, 0.5) for i, w in enumerate(["سلام", "你好", "e\u0301"])),)
    result = Transcript("", words, 4000.0)
    (tmp_path / "a.rttm").write_text(to_rttm(Labelling(words, 4000.0), audio="my call.wav"), encoding="utf-8")
    (tmp_path / "a.ctm").write_text(to_ctm(result, audio="my call.wav"), encoding="utf-8")
    turns = lhotse.SupervisionSet.from_rttm(tmp_path / "a.rttm")
    assert [(s.recording_id, s.speaker, s.start, s.duration) for s in turns] == [
        ("my%20call", word.label, word.start, 0.5) for word in words
    ]
    aligned = [s.alignment["word"] for s in turns.with_alignment_from_ctm(tmp_path / "a.ctm")]
    assert [(w.symbol, w.start, w.duration, w.score) for (w,) in aligned] == [
        (word.label, word.start, 0.5, 0.5) for word in words
    ]


# ------------------------------------------------------------------------------- Audacity, ELAN, CSV, and overlaps

OVERLAPPING = Labelling((TimedLabel("dog", 0.0, 1.5, 0.9), TimedLabel('"cat" & <x>', 1.0, 2.0004, 0.8)), 3.0)


def test_audacity_gets_a_line_a_label_with_tabs():
    assert to_audacity(OVERLAPPING) == '0.000000\t1.500000\tdog\n1.000000\t2.000400\t"cat" & <x>\n'
    assert to_audacity(Labelling((), 3.0)) == ""


def test_in_a_tier_of_elan_nothing_overlaps():
    labels = tuple(TimedLabel(*span, 1.0) for span in (("a", 0.0, 0.096), ("b", 0.095, 0.1052), ("c", 0.1051, 0.1053)))
    times = [
        int(t) for t in re.findall(r'TIME_VALUE="(\d+)"', to_elan(Transcript("a b c", labels, 1.0), audio="a.wav"))
    ]
    assert times == sorted(times)
    assert all(start < end for start, end in zip(times[::2], times[1::2], strict=True))


def test_elan_s_library_reads_what_is_written(tmp_path):
    pympi = pytest.importorskip("pympi", reason="pympi-ling is not installed")
    (tmp_path / "a.eaf").write_text(to_elan(OVERLAPPING, audio="x/my dog.wav"), encoding="utf-8")
    read = pympi.Elan.Eaf(str(tmp_path / "a.eaf"))
    assert list(read.get_tier_names()) == ["dog", '"cat" & <x>']
    assert read.get_annotation_data_for_tier("dog") == [(0, 1500, "dog")]
    assert read.get_annotation_data_for_tier('"cat" & <x>') == [(1000, 2000, '"cat" & <x>')]
    assert read.media_descriptors[0]["RELATIVE_MEDIA_URL"] == "./my%20dog.wav"
    for folder, place in (("x", "./my%20dog.wav"), ("y/z", "../../x/my%20dog.wav"), (".", "./x/my%20dog.wav")):
        assert f'RELATIVE_MEDIA_URL="{place}"' in to_elan(OVERLAPPING, audio="x/my dog.wav", folder=Path(folder))
    (tmp_path / "b.eaf").write_text(to_elan(RESULTS["label"], audio="a.flac"), encoding="utf-8")
    assert pympi.Elan.Eaf(str(tmp_path / "b.eaf")).get_annotation_data_for_tier("labels") == [(500, 1250, "dog barks")]


def test_csv_has_a_header_and_quotes_what_must_be():
    lines = to_csv(OVERLAPPING).splitlines()
    assert lines == ["start,end,label,confidence", "0.000,1.500,dog,0.900", '1.000,2.000,"""cat"" & <x>",0.800']


def test_labels_that_overlap_have_a_tier_each_in_praat():
    assert {
        name: [(start, end, text) for start, end, text in intervals if text]
        for name, intervals in read_textgrid(to_textgrid(OVERLAPPING)).items()
    } == {"dog": [(0.0, 1.5, "dog")], '"cat" & <x>': [(1.0, 2.0004, '"cat" & <x>')]}
