"""Which recordings go where: shares, speakers, copies and stretches."""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audiornn.corpus.collection import Collection, read_collection
from audiornn.corpus.copies import find_copies
from audiornn.corpus.manifest import Segment, Utterance
from audiornn.corpus.splitting import divide, split
from audiornn.errors import SettingsError


def collection_of(utterances, task="classify", splits=None):
    return Collection(Path("x"), "folders", task, tuple(utterances), splits or {})


def utterance(identifier, text="yes", speaker=None, audio=None, start=0.0):
    return Utterance(identifier, Path(audio or f"/nowhere/{identifier}.wav"), text, speaker, start)


people = st.lists(st.integers(1, 30), min_size=3, max_size=25)


@given(people, st.integers(1, 4), st.integers(0, 5))
def test_no_speaker_stands_in_two_splits(counts, n_words, seed):
    us = [utterance(f"{k}/{i}", f"w{i % n_words}", f"s{k}") for k, n in enumerate(counts) for i in range(n)]
    division = divide(collection_of(us), seed=seed)
    where = {}
    for name, own in division.splits.items():
        assert own
        for u in own:
            assert where.setdefault(u.speaker, name) == name
    assert sum(map(len, division.splits.values())) == len(us)
    assert not division.shared_speakers
    assert divide(collection_of(us), seed=seed) == division


@pytest.mark.parametrize("seed", range(8))
def test_a_label_that_only_one_recording_has_does_not_empty_a_split(seed):
    us = [
        replace(
            utterance(f"r{i}", ""), segments=(Segment(0.0, 1.0, "a"), *([Segment(1.0, 2.0, "rare")] if i == 5 else []))
        )
        for i in range(8)
    ]
    drawn = split(collection_of(us, task="label"), seed=seed)
    assert all(drawn[name] for name in ("train", "dev", "test"))
    assert any(u.id == "r5" for u in drawn["train"])


@pytest.mark.parametrize("seed", range(12))
def test_what_is_rare_on_tapes_stands_in_every_split(seed):
    """Of twenty recordings three have an owl; of eighty stretches of nothing twelve a thrush."""
    call = (Segment(0.0, 1.0, "tit"),)
    tapes = [
        replace(utterance(f"r{i}", ""), segments=(*call, *([Segment(1.0, 2.0, "owl")] if i % 6 == 3 else [])))
        for i in range(20)
    ]
    quiet = [
        replace(utterance(f"q{i}", ""), segments=(Segment(0.0, 1.0, "thrush"),) if i % 7 == 0 else ())
        for i in range(80)
    ]
    for us, label in ((tapes, "owl"), (quiet, "thrush")):
        drawn = split(collection_of(us, task="label"), seed=seed)
        assert all(any(s.label == label for u in own for s in u.segments) for own in drawn.values())
        assert len(drawn["train"]) > len(us) / 2


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("speaker", [None, "s"])
def test_many_labels_leave_splits_near_their_shares(seed, speaker):
    """A tit on all of forty tapes, and twenty rare labels on two each."""
    us = [
        replace(
            utterance(f"r{i}", "", speaker=speaker and f"s{i // 2}"),
            segments=(Segment(0.0, 1.0, "tit"), Segment(1.0, 2.0, f"rare{i % 20}")),
        )
        for i in range(40)
    ]
    sizes = {name: len(own) for name, own in split(collection_of(us, task="label"), seed=seed).items()}
    assert min(sizes["dev"], sizes["test"]) >= 2
    assert max(sizes["dev"], sizes["test"]) <= 10


@pytest.mark.parametrize("seed", range(4))
def test_neither_copies_nor_long_tapes_are_moved_for_a_label(seed):
    def labelled(name, labels, **kind):
        segments = tuple(Segment(float(i), i + 1.0, label) for i, label in enumerate(labels))
        return replace(utterance(name, "", **kind), segments=segments)

    plain = [labelled(f"y{i}", "y") for i in range(60)]
    copies = [labelled(f"c{i}", "yx") for i in range(30)]
    others = [labelled(f"x{i}", "yx") for i in range(2)]
    us = [*plain, *copies, *others]
    drawn = split(collection_of(us, task="label"), seed=seed, together={u.id: "c" for u in copies})
    assert {u.id for u in copies} <= {u.id for u in drawn["train"]}
    tape = [labelled(f"tape@{i}", "xy", audio="/nowhere/tape.wav", start=float(i)) for i in range(300)]
    sizes = {
        name: len(own) for name, own in split(collection_of([*plain, *tape, *others], task="label"), seed=seed).items()
    }
    assert sizes["train"] >= 300


@given(st.integers(3, 400), st.integers(1, 5))
def test_every_class_of_three_recordings_is_in_every_split(n, n_words):
    us = [utterance(f"r{i}", f"w{i % n_words}") for i in range(n)]
    splits = split(collection_of(us))
    for word, count in Counter(u.text for u in us).items():
        found = {name for name, own in splits.items() if any(u.text == word for u in own)}
        assert found == ({"train", "dev", "test"} if count >= 3 else {"train"})
    assert len(splits["train"]) >= 0.5 * n or n < 10 * n_words


@given(st.integers(16, 60), st.integers(0, 5))
def test_no_interval_is_drawn_over_a_single_recording(n, seed):
    splits = split(collection_of([utterance(f"r{i}") for i in range(n)], task="label"), seed=seed)
    assert min(len(splits["dev"]), len(splits["test"])) >= 2


@given(st.integers(3, 200), st.integers(1, 40))
def test_recordings_that_are_added_move_few(n, n_more):
    def where(us):
        return {u.id: name for name, own in split(collection_of(us)).items() for u in own}

    before = where([utterance(f"r{i}") for i in range(n)])
    after = where([utterance(f"r{i}") for i in range(n + n_more)])
    moved = [identifier for identifier in before if before[identifier] != after[identifier]]
    assert len(moved) <= max(4, 0.1 * n)
    if n > 100:  # none has to be moved to give a split its least
        assert len(moved) <= 2 + n_more // 5


@pytest.mark.parametrize("n_speakers", [1, 2])
def test_few_speakers_are_shared_and_it_is_said(n_speakers):
    us = [utterance(f"r{i}", f"w{i % 2}", f"s{i % n_speakers}") for i in range(40)]
    division = divide(collection_of(us))
    assert division.shared_speakers
    assert "will not show how strangers fare" in " ".join(division.lines)


def test_dev_is_taken_from_train_by_speaker():
    us = [utterance(f"s{k}/{i}", f"w{i % 2}", f"s{k}") for k in range(12) for i in range(4)]
    given_splits = {u.id: "test" if u.speaker in ("s0", "s1") else "train" for u in us}
    splits = split(collection_of(us, splits=given_splits))
    assert {u.speaker for u in splits["test"]} == {"s0", "s1"}
    assert splits["dev"]
    assert not {u.speaker for u in splits["dev"]} & {u.speaker for u in splits["train"]}


def test_train_lacks_no_symbol_that_the_others_hold():
    us = [utterance(f"r{i}", f"abc {chr(0x3B1 + i) if i % 7 == 0 else 'd'}") for i in range(60)]
    splits = split(collection_of(us, "transcribe"))
    assert splits["dev"]
    assert splits["test"]
    known = {c for u in splits["train"] for c in u.text}
    assert all(set(u.text) <= known for name in ("dev", "test") for u in splits[name])


def test_sentences_of_a_script_without_spaces_are_no_words_that_train_must_know():
    us = [utterance(str(i), "的一是不了人我在"[i % 8 :] + "有他这中大来上国"[: 1 + i // 8]) for i in range(60)]
    splits = divide(collection_of(us, "transcribe")).splits
    assert all(splits.values())


def test_copies_stay_together(tmp_path):
    rng = np.random.default_rng(1)
    for word in ("yes", "no"):
        (tmp_path / word).mkdir()
        for i in range(12):
            waveform = 0.1 * rng.standard_normal(8000)
            for k, copy in enumerate((waveform, 0.3 * waveform, waveform[400:])):
                soundfile.write(tmp_path / word / f"{os.urandom(4).hex()}-{i}-{k}.wav", copy, 8000)
    (tmp_path / "no" / "broken.wav").write_bytes(b"")
    collection = read_collection(tmp_path, speaker="none")
    copies = find_copies(collection, jobs=2)
    names = {}
    for identifier, name in copies.items():
        names.setdefault(name, []).append(identifier)
    assert sorted(map(len, names.values())) == [3] * 24
    where = {u.id: name for name, own in split(collection, together=copies).items() for u in own}
    assert all(len({where[i] for i in own}) == 1 for own in names.values())
    assert set(where.values()) == {"train", "dev", "test"}


def test_shares_can_be_set():
    us = [utterance(f"r{i}") for i in range(1000)]
    counts = {name: len(own) for name, own in split(collection_of(us), dev=0.0, test=0.3).items()}
    assert counts["dev"] == 0
    assert 250 < counts["test"] < 350
    for shares in ({"dev": -0.1}, {"test": 1.0}, {"dev": 0.5, "test": 0.5}):
        with pytest.raises(SettingsError, match="corpus"):
            split(collection_of(us), **shares)


@pytest.mark.parametrize("seed", range(10))
def test_copies_of_one_recording_are_no_test(seed):
    us = [utterance(f"r{i}") for i in range(100)]
    drawn = split(collection_of(us), seed=seed, together={f"r{i}": "r0" for i in range(30)})
    assert {f"r{i}" for i in range(30)} <= {u.id for u in drawn["train"]}


def test_speakers_bring_each_split_near_its_share():
    us = [utterance(f"s{k}/{i}", "w", f"s{k}") for k in range(40) for i in range(10)]
    counts = {name: len(own) for name, own in split(collection_of(us)).items()}
    assert counts == {"train": 320, "dev": 40, "test": 40}


def test_where_most_speakers_are_unknown_recordings_are_drawn():
    us = [utterance(f"r{i}", "w", f"s{i}" if i < 6 else None) for i in range(100)]
    assert not any("split by speaker" in line for line in divide(collection_of(us)).lines)


def test_what_the_sources_lists_leave_out_is_drawn_by_recording():
    us = [utterance(f"r{i}", "w", f"s{i % 20}") for i in range(100)]
    given_splits = {f"r{i}": ("train", "dev", "test")[i % 3] for i in range(60)}
    assert divide(collection_of(us, splits=given_splits)).by_recording


@pytest.mark.parametrize("seed", range(5))
def test_a_split_that_lacks_a_class_takes_no_speaker_whom_train_cannot_spare(seed):
    us = [utterance(f"s{k}/{i}", "w", f"s{k}") for k in range(20) for i in range(6)]
    us += [utterance(f"s{k}/b", "b", f"s{k}") for k in range(8)] + [
        utterance(f"s{k}/r", f"rare{k}", f"s{k}") for k in range(4)
    ]
    us = [u for u in us if u.speaker > "s3" or not u.id.endswith(("/3", "/4", "/5"))]
    assert {u.text for u in divide(collection_of(us), seed=seed).splits["train"]} == {u.text for u in us}


def test_the_split_is_the_same_wherever_the_corpus_lies():
    def where(folder):
        us = [utterance(f"r{i}", audio=f"/{folder}/r{i}.wav") for i in range(60)]
        return {u.id: name for name, own in split(collection_of(us)).items() for u in own}

    assert where("here") == where("there/else")


def test_stretches_of_a_recording_stay_together_whatever_they_are_called():
    us = [
        utterance(f"u{k * 9 + i}", "w", audio=f"/nowhere/r{k}.wav", start=float(i)) for k in range(12) for i in range(9)
    ]
    for own in split(collection_of(us)).values():
        assert all(sum(u.audio == v.audio for v in own) == 9 for u in own)


def test_dev_and_test_both_get_their_share():
    counts = {
        n: len(own)
        for n, own in split(collection_of([utterance(f"r{i}") for i in range(1000)]), dev=0.2, test=0.2).items()
    }
    assert 160 < counts["dev"] < 240
    assert 160 < counts["test"] < 240


@pytest.mark.parametrize("seed", range(5))
def test_a_speaker_of_the_sources_test_is_drawn_for_no_other_split(seed):
    us = [utterance(f"s{k}/{i}", f"w{i % 2}", f"s{k}") for k in range(12) for i in range(4)]
    given_splits = {u.id: "test" if u.speaker < "s3" and u.id.endswith("/0") else "train" for u in us}
    splits = divide(collection_of(us, splits=given_splits), seed=seed).splits
    assert {u.id for u in splits["test"]} == {i for i, name in given_splits.items() if name == "test"}
    assert not {u.speaker for u in splits["dev"]} & {u.speaker for u in splits["test"]}


@pytest.mark.parametrize("seed", range(5))
def test_a_class_of_one_speaker_stays_in_train(seed):
    us = [utterance(f"s{k}/{i}", f"only{k}" if i == 0 and k % 2 else "w", f"s{k}") for k in range(20) for i in range(4)]
    splits = divide(collection_of(us), seed=seed).splits
    assert {u.text for u in splits["train"]} == {u.text for u in us}


def test_lists_of_some_recordings_only_may_part_a_speaker_and_say_so():
    utterances = tuple(Utterance(f"u{i}", Path(f"{i}.wav"), "a b", speaker=f"s{i % 10}") for i in range(200))
    given = {u.id: {"s0": "dev", "s1": "test"}.get(u.speaker, "train") for u in utterances[:100]}
    division = divide(Collection(Path(), "table", "transcribe", utterances, splits=given))
    assert division.shared_speakers
    assert any("speakers are in several of the splits" in line for line in division.lines)
