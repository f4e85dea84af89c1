"""The audit as a page: it holds together as HTML, says what was found, and plays the recordings' own samples."""

import base64
import hashlib
import io
import os
import pickle
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiornn.audio import load_audio
from audiornn.corpus.audit import Audit, audit
from audiornn.corpus.audit_page import audit_page
from audiornn.corpus.findings import Case, Corpus, Finding
from audiornn.corpus.manifest import SPLITS, Segment, Utterance
from audiornn.corpus.measure import Measured, Meter
from audiornn.corpus.preparation import prepare_corpus
from audiornn.errors import AudioError
from audiornn.recipe import load_recipe

RATE = 16000
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Tags, ids, texts and players of a page; fails where a tag is not closed or closed twice."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts, self.players = [], Counter(), [], [], []
        assert text.startswith("<!DOCTYPE html>")
        self.feed(text)
        self.close()
        assert self.open == []
        ids = [value for name, value in self.attributes if name == "id"]
        assert len(ids) == len(set(ids))
        links = [value for name, value in self.attributes if name in ("href", "xlink:href")]
        assert all(link.startswith("#") and link[1:] in ids for link in links)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += attrs
        if tag == "audio":
            self.players.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def sound(self, n):
        """Samples and rate of a player, the samples as 16 bits."""
        kind, _, data = self.players[n]["src"].partition(",")
        assert kind == "data:audio/flac;base64"
        return soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="int16")


def measured(utterances):
    """As `prep` measures them; what cannot be read is a row of zeros and a problem."""
    rows, keys, owners, problems = [], [np.empty((0, 2), np.uint32)], [np.empty(0, np.int64)], {}
    for i, utterance in enumerate(utterances):
        meter = Meter()
        try:
            load_audio(utterance.audio, start=utterance.start, duration=utterance.duration, observe=meter.add)
        except AudioError as error:
            meter, problems[utterance.id] = Meter(), str(error)
        row, own = meter.finish()
        rows.append(row)
        keys.append(own)
        owners.append(np.full(len(own), i))
    return Measured(np.array(rows), np.concatenate(keys), np.concatenate(owners)), problems


def corpus_of(task="classify", **splits):
    found, problems = measured([u for split in SPLITS for u in splits.get(split, ())])
    return Corpus(splits, found, problems, task)


def noise(path, *, seconds=0.5, rate=RATE, seed=0, gain=0.1):
    """A recording of noise with quiet edges."""
    samples = np.random.default_rng(seed).normal(0, gain, round(seconds * rate)).clip(-1, 1)
    samples[: rate // 10] *= 0.001
    samples[-rate // 10 :] *= 0.001
    soundfile.write(path, samples, rate)
    return path


def found(*cases, kind="clipping", severity="warning"):
    return Audit((Finding(kind, severity, f"{len(cases)} of them", "listen", cases),), {})


def case_of(utterance, *, split="train", figure="odd", other=""):
    return Case(utterance.id, str(utterance.audio), split, figure, other)


@pytest.fixture
def three(tmp_path):
    """One utterance a split."""
    return {s: [Utterance(s, noise(tmp_path / f"{s}.wav", seed=i), "yes", s)] for i, s in enumerate(SPLITS)}


@pytest.fixture(autouse=True)
def audits_without_plots():
    """Here they are drawn."""


def test_prep_keeps_it(world, tmp_path):
    folder = prepare_corpus(load_recipe(world.recipe("classify")), world.corpus, tmp_path).folder
    text = (folder / "audit.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.tags["svg"] == page.tags["figure"] == 5, "lengths, levels, signal to noise, labels, speakers"
    assert f"Audit of corpus/{world.recording('single').parent.name}" in page.text
    assert "utterances" in page.text
    assert "by 6 speakers" in page.text
    assert page.tags["title"] == 1
    assert page.tags["script"] == 0
    without_names = text.replace("http://www.w3.org/", "")  # the names of SVG, which nothing fetches
    assert "http" not in without_names.replace("http-equiv", "")


def test_a_corpus_without_any_finding(three):
    corpus = corpus_of(**three)
    page = Page(audit_page(Audit((), {}), corpus))
    assert "Nothing was found that would spoil a result." in page.text
    assert page.tags["section"] == 0
    assert page.tags["audio"] == 0


def test_errors_come_before_warnings_in_plain_words(three):
    corpus = corpus_of(**three)
    (warning,), (error,) = (
        found(case_of(three["dev"][0])).findings,
        found(case_of(three["train"][0]), kind="audio leak", severity="error").findings,
    )
    page = Page(audit_page(Audit((error, warning), {}), corpus))
    assert "The audit found 1 kind of error and 1 kind of warning" in page.text
    assert page.text.index("Error: audio leak") < page.text.index("Warning: clipping")
    assert "What to do: listen." in page.text


@pytest.mark.filterwarnings("error")
def test_what_a_user_wrote_is_text(tmp_path):
    """Labels, file names, speakers and messages cannot become markup, formulas, or a crash."""
    labels = [
        "<script>alert(1)</script>",
        "a & b",
        "$\\frac{1}{0}$",
        '"><img src=x>',
        "bell\x07",
        "\udce9 half",
        "日本",
    ]
    names = ["<b>.wav", "a'b\"c.wav", "&amp;.wav", "plain.wav", "ü.wav", "x y.wav"]
    if sys.platform == "linux":
        names.append(os.fsdecode(b"caf\xe9.wav"))
    utterances = [
        Utterance(f"u{i}", noise(tmp_path / "new.wav", seed=i).rename(tmp_path / name), label, f"<i>{i}")
        for i, (name, label) in enumerate(zip(names, labels, strict=False))
    ]
    corpus = corpus_of(train=utterances)
    cases = [case_of(u, figure=f"<script>{u.audio}") for u in utterances]
    text = audit_page(found(*cases), corpus)
    page = Page(text)
    text.encode()
    assert page.tags["script"] == page.tags["img"] == page.tags["b"] - 1 == page.tags["i"] == 0  # <b>1 kind</b>
    assert "<script>alert(1)</script>" in page.text
    assert '"><img src=x>' in page.text
    assert "a'b\"c.wav" in page.text
    assert "bell\\x07" in page.text
    assert len(page.players) == 6
    assert "$\\frac{1}{0}$" in text[text.index("<svg") :]


def test_a_player_holds_the_recordings_own_samples(tmp_path):
    path = noise(tmp_path / "long.wav", seconds=3.0, rate=8000)
    utterance = Utterance("part", path, "yes", start=0.5, duration=1.25)
    whole = Utterance("whole", path, "yes")
    page = Page(audit_page(found(case_of(utterance), case_of(whole)), corpus_of(train=[utterance, whole])))
    samples, _ = soundfile.read(path, dtype="int16")
    for n, expected in enumerate((samples[4000:14000], samples)):
        sound, rate = page.sound(n)
        assert rate == 8000
        np.testing.assert_array_equal(sound, expected)
    assert "from 0.50 s" in page.text
    assert all(player["preload"] == "none" and "controls" in player for player in page.players)


@pytest.mark.parametrize(("kind", "part"), [("clipping", "first"), ("cut-off end", "last")])
def test_a_long_one_is_cut_to_what_is_odd(tmp_path, kind, part):
    utterance = Utterance("long", noise(tmp_path / "long.wav", seconds=9.5), "yes", duration=9.5)
    page = Page(audit_page(found(case_of(utterance), kind=kind), corpus_of(train=[utterance])))
    samples, _ = soundfile.read(utterance.audio, dtype="int16")
    n = 8 * RATE
    np.testing.assert_array_equal(page.sound(0)[0], samples[:n] if part == "first" else samples[-n:])
    assert f"the {part} 8 of 9.5 s" in page.text


def test_stereo_is_mixed_and_high_rates_come_down(tmp_path):
    path = tmp_path / "stereo.wav"
    t = np.arange(44100) / 44100
    soundfile.write(path, np.column_stack([0.4 * np.sin(2 * np.pi * 440 * t), 0 * t]), 44100)
    utterance = Utterance("stereo", path, "yes")
    page = Page(audit_page(found(case_of(utterance)), corpus_of(train=[utterance])))
    sound, rate = page.sound(0)
    assert (rate, sound.shape) == (16000, (16000,))
    expected = 0.2 * 32768 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    np.testing.assert_allclose(sound[800:-800], expected[800:-800], atol=30)


def test_of_a_pair_both_can_be_heard(tmp_path):
    """What the audit itself finds alike."""
    kept = Utterance("kept", noise(tmp_path / "kept.wav"), "yes", "ada")
    copy = Utterance("copy", tmp_path / "copy.wav", "no", "bob")
    copy.audio.write_bytes(kept.audio.read_bytes())
    corpus = corpus_of(train=[copy], test=[kept])
    report = audit(corpus)
    assert [(f.kind, f.cases[0].other) for f in report.errors] == [("audio leak", "kept")]
    page = Page(audit_page(report, corpus))
    assert [player["aria-label"] for player in page.players[:2]] == ["copy.wav", "kept.wav"]
    np.testing.assert_array_equal(page.sound(0)[0], page.sound(1)[0])


def test_what_cannot_be_read_says_why(tmp_path, three):
    three["train"].append(Utterance("bad", tmp_path / "bad.wav", "yes"))
    three["train"].append(Utterance("gone", tmp_path / "gone.wav", "yes"))
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    corpus = corpus_of(**three)
    report = audit(corpus)
    assert [finding.kind for finding in report.errors] == ["unreadable"]
    text = audit_page(report, corpus)
    page = Page(text)
    section = re.search(r'<section id="finding-1">.*?</section>', text, re.DOTALL)[0]
    assert "not audio that can be read" in section
    assert "no such file" in section
    assert "<audio" not in section
    assert "2 utterances cannot be used." in page.text
    # one that went away after it was measured
    three["dev"][0].audio.unlink()
    page = Page(audit_page(found(case_of(three["dev"][0])), corpus))
    assert "cannot be played: " in page.text
    assert page.players == []


def test_nothing_at_all_can_be_read(tmp_path):
    corpus = corpus_of(train=[Utterance("gone", tmp_path / "gone.wav", "yes")])
    page = Page(audit_page(audit(corpus), corpus))
    assert "none can be read" in page.text
    assert "nothing to plot" in page.text


def test_many_cases_are_folded_away(three):
    corpus = corpus_of(**three)
    page = Page(audit_page(found(*[case_of(three["train"][0])] * 1234), corpus))
    assert page.tags["tr"] == 1 + 3 + 2 + 200
    assert "180 more" in page.text
    assert "… and 1,034 beyond these; audit.json beside this page names the first 1,000." in page.text
    assert len(page.players) == 6


def test_its_size_is_bounded(tmp_path):
    """However many findings, each is heard before any is heard twice, until the page is full."""
    utterances = [
        Utterance(f"u{i}", noise(tmp_path / f"{i}.wav", seconds=8, seed=i, gain=0.3), "x" * 5000) for i in range(12)
    ]
    short = [Utterance(f"s{i}", noise(tmp_path / f"s{i}.wav", seed=i), "y") for i in range(12)]
    corpus = corpus_of(train=utterances + short)
    for members, n_players in ((utterances, None), (short, 60)):
        cases = tuple(case_of(u) for u in members) * 25
        report = Audit(tuple(Finding(f"kind {n}", "warning", "what", "why?", cases) for n in range(20)), {})
        text = audit_page(report, corpus)
        assert len(text.encode()) < 6_000_000
        assert "why?</p>" in text
        sections = [section.count("<audio") for section in text.split("<section")[1:]]
        assert n_players is None or sum(sections) == n_players
        assert sum(sections) >= 10
        assert max(sections) - min(sections) <= 1


def test_each_task_has_its_plots(tmp_path, three):
    pytest.importorskip("matplotlib")
    segments = (Segment(0.0, 0.2, "tick"), Segment(0.2, 0.4, "tock"))
    labelled = {s: [Utterance(u.id, u.audio, "", segments=segments) for u in of] for s, of in three.items()}
    corpus = corpus_of("label", **labelled)
    page = Page(audit_page(found(case_of(labelled["dev"][0])), corpus))
    assert "tick | tock" in page.text
    assert "tick" in page.texts  # beside its bar
    assert page.tags["svg"] == page.tags["figure"] == 4  # no speakers are known, one rate and bandwidth only
    alts = [
        value for name, value in page.attributes if name == "aria-label" and value.startswith(("Histogram", "Bars"))
    ]
    assert len(alts) == 4

    spoken = {"train": [Utterance(f"u{i}", three["train"][0].audio, f"w{i} the", f"s{i}") for i in range(60)]}
    page = Page(audit_page(Audit((), {}), corpus_of("transcribe", **spoken)))
    assert "61 words, 1 to 60 times each" in page.text
    assert "60 speakers, 1 utterance each" in page.text
    assert page.tags["svg"] == 5

    mixed = [*three["train"], Utterance("low", noise(tmp_path / "low.wav", rate=8000), "yes")]
    page = Page(audit_page(Audit((), {}), corpus_of(train=mixed)))
    assert "Sample rates" in page.text
    assert "8,000 Hz" in page.texts
    assert "Bandwidth" in page.text


def test_it_is_the_same_each_time_and_leaves_matplotlib_alone(three, tmp_path):
    """A `prep` that was killed and repeated makes what an undisturbed one makes: in another process, too."""
    matplotlib = pytest.importorskip("matplotlib")
    before = dict(matplotlib.rcParams)
    corpus = corpus_of(**three)
    report = found(*[case_of(u) for of in three.values() for u in of])
    text = audit_page(report, corpus)
    assert dict(matplotlib.rcParams) == before
    assert audit_page(report, corpus) == text
    kept = tmp_path / "kept.pickle"
    kept.write_bytes(pickle.dumps((report, corpus)))
    script = (
        "import hashlib, pickle, sys; from pathlib import Path; from audiornn.corpus.audit_page import audit_page;"
        "print(hashlib.sha256(audit_page(*pickle.loads(Path(sys.argv[1]).read_bytes())).encode()).hexdigest())"
    )
    again = subprocess.run(
        [sys.executable, "-c", script, str(kept)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert again.stdout.strip() == hashlib.sha256(text.encode()).hexdigest()


def test_without_matplotlib_it_says_what_is_missing(three, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    page = Page(audit_page(found(case_of(three["train"][0])), corpus_of(**three)))
    assert "The plots need matplotlib" in page.text
    assert page.tags["svg"] == 0
    assert len(page.players) == 1
