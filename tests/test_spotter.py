"""A folder for a spotter: which recordings are the word, how they are split, what synthetic voices add."""

import json
from collections import Counter
from zlib import crc32

import numpy as np
import pytest
import soundfile

from audiornn.corpus import spotter, synthetic_speech
from audiornn.corpus.layouts.survey import Survey
from audiornn.corpus.manifest import SPLITS, Utterance, is_synthetic
from audiornn.corpus.spotter import prepare_spotter, split_folder
from audiornn.corpus.spotter_folder import label_files_of, read_folder
from audiornn.corpus.spotter_recipe import read_spotter
from audiornn.corpus.synthesis import phonemes
from audiornn.corpus.synthetic_speech import near_misses, speak_talk, speak_words
from audiornn.errors import AudiornnError, CorpusError, CorpusWarning

RATE = 16000
ELAN = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT>
  <HEADER TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="0.wav" RELATIVE_MEDIA_URL="./0.wav"/></HEADER>
  <TIME_ORDER><TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="100"/><TIME_SLOT TIME_SLOT_ID="b" TIME_VALUE="300"/></TIME_ORDER>
  <TIER TIER_ID="words"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="1" TIME_SLOT_REF1="a" TIME_SLOT_REF2="b">
    <ANNOTATION_VALUE>computer</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
</ANNOTATION_DOCUMENT>
"""


def write(path, *, seconds=1.0, seed=None, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(crc32(path.name.encode()) if seed is None else seed)
    spectrum = np.cumsum(rng.standard_normal(round(seconds * rate)))
    samples = np.concatenate([np.zeros(rate // 4), 0.3 * spectrum / np.abs(spectrum).max(), np.zeros(rate // 4)])
    soundfile.write(path, samples, rate)


def folder_with(root, **recordings):
    for name, n in recordings.items():
        for i in range(n):
            write(
                root / ("" if name == "top" else name) / f"{i:02d}.wav", seconds=0.5, seed=crc32(f"{name} {i}".encode())
            )
    return root


def test_folders_tell_the_word_from_all_else(tmp_path):
    found = read_folder(folder_with(tmp_path, computer=4, not_computer=2, background=1, _noise_=1))
    assert found.labels == {"computer": 4}
    assert len(found.background) == 4
    assert found.spellings == {"computer": "computer"}


def test_a_folder_that_names_no_word_takes_the_word_asked_for(tmp_path):
    found = read_folder(folder_with(tmp_path, positive=3, negative=2), word="hey computer")
    assert found.labels == {"hey computer": 3}
    assert found.spellings == {"hey computer": "hey computer"}
    assert read_folder(tmp_path).labels == {tmp_path.name: 3}
    settings = read_spotter(tmp_path, name="x", word="auto").settings
    assert [s.value for s in settings if s.section == "corpus"] == ["auto"], "a word, and no rule for speakers"


def test_the_word_asked_for_makes_the_other_words_background(tmp_path):
    folder_with(tmp_path, yes=3, no=4, Hey_Computer=5)
    assert read_folder(tmp_path).labels == {"yes": 3, "no": 4, "Hey_Computer": 5}
    found = read_folder(tmp_path, word="hey computer")
    assert found.labels == {"hey computer": 5}
    assert len(found.background) == 7


def test_recordings_at_the_top_are_the_word(tmp_path):
    for i in range(3):
        write(tmp_path / f"{i}.wav")
    write(tmp_path / "background" / "a.wav")
    assert read_folder(tmp_path, word="marvin").labels == {"marvin": 3}


def test_stray_recordings_beside_the_words_folder_do_not_take_its_place(tmp_path):
    made = read_spotter(folder_with(tmp_path, computer=12, background=3, top=4), name="computer")
    assert made.found.labels == {"computer": 12}
    assert len(made.found.background) == 7
    assert any("4 recordings at the top" in line for line in made.guessed)
    again = read_folder(tmp_path, word="computer")  # as prep does, with what the recipe says
    assert again.labels == made.found.labels


@pytest.mark.parametrize("name", ["silence the alarm", "no noise", "background check"])
def test_a_word_that_is_named_like_background_is_the_word(tmp_path, name):
    folder_with(tmp_path, background=3, **{name: 5})
    made = read_spotter(tmp_path, name=name.replace(" ", "-"))
    assert made.found.labels == {name: 5}
    assert read_folder(tmp_path, word=name).labels == {name: 5}


@pytest.mark.parametrize("other", ["negative_samples", "other people", "hard negatives", "negatives 2"])
def test_what_is_named_like_the_rest_is_no_keyword(tmp_path, other):
    found = read_folder(folder_with(tmp_path, mywake=3, **{other: 4}))
    assert found.labels == {"mywake": 3}


def test_recordings_that_cannot_be_read_are_named(tmp_path):
    folder_with(tmp_path, computer=12, background=9)
    (tmp_path / "computer" / "phone.m4a").write_bytes(b"")
    made = read_spotter(tmp_path, name="computer")
    assert any("1 files are left out: computer/phone.m4a: .m4a is not read" in line for line in made.warnings)
    assert [s.reason for s in read_spotter(tmp_path, name="hey", word="hey").settings if s.key == "word"] == [
        "as asked for"
    ]
    assert [s.value for s in read_spotter(tmp_path, name="hey", skip_bad=True).settings if s.key == "skip_bad"] == [
        True
    ]
    for folder in ("computer", "background"):
        for file in (tmp_path / folder).glob("*.wav"):
            file.rename(file.with_suffix(".m4a"))
    with pytest.raises(CorpusError, match=r"22 cannot: .*ffmpeg -i"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("word", "said"), [("日本", False), ("שלום", False), ("Привет", False), ("café", True), ("x9", False)]
)
def test_english_voices_say_latin_letters_only(tmp_path, word, said):
    found = read_folder(folder_with(tmp_path, positive=3, background=1), word=word)
    assert bool(found.spellings) == said


def test_few_recordings_of_background_keep_their_speakers_apart_where_three_are_known(tmp_path):
    folder_with(tmp_path, computer=12)
    for name in (f"speaker{n}_{i}.wav" for n in (1, 2, 3) for i in (0, 1)):
        write(tmp_path / "background" / name, seconds=2.0, seed=crc32(name.encode()))
    splits = split_folder(read_folder(tmp_path))
    own = [{u.speaker for u in splits[name] if not u.text} for name in SPLITS]
    assert None not in set.union(*own)
    assert sorted(map(len, own)) == [1, 1, 1]
    assert len(set.union(*own)) == 3


def test_few_recordings_of_two_speakers_are_divided_by_time_and_claim_no_speaker(tmp_path):
    folder_with(tmp_path, computer=12)
    for name in ("speaker1_0.wav", "speaker1_1.wav", "speaker2_0.wav", "speaker2_1.wav"):
        write(tmp_path / "background" / name, seconds=200.0, seed=crc32(name.encode()))
    splits = split_folder(read_folder(tmp_path))
    assert all(any(not u.text for u in splits[name]) for name in SPLITS)
    assert {u.speaker for own in splits.values() for u in own if not u.text} == {None}


def test_a_copy_of_the_word_among_background_is_refused_or_left_out(tmp_path):
    folder_with(tmp_path, computer=12, background=10)
    for i in range(4):
        copied = tmp_path / "computer" / f"{i:02d}.wav"
        (tmp_path / "background" / f"copy{i}.wav").write_bytes(copied.read_bytes())
    found = read_folder(tmp_path)
    with pytest.raises(CorpusError, match=r"copy0\.wav: is a copy of .*00\.wav, which says the word.*\(4 in all\)"):
        split_folder(found)
    with pytest.warns(CorpusWarning, match="4 recordings of what is not the word are copies"):
        splits = split_folder(found, skip_bad=True)
    everything = [u for own in splits.values() for u in own]
    assert sum(bool(u.text) for u in everything) == 12
    assert sorted(u.audio.name for u in everything if not u.text) == [f"{i:02d}.wav" for i in range(10)]


def test_speakers_may_be_known_of_the_word_or_of_all_else_alone(tmp_path):
    folder_with(tmp_path, computer=12)
    for reader in ("ann", "bob"):
        for i in range(9):
            write(tmp_path / "background" / reader / f"{i}.wav", seconds=0.5, seed=crc32(f"{reader}{i}".encode()))
    found = read_folder(tmp_path, speaker="folder:2")
    assert {u.speaker for u in found.background} == {"ann", "bob"}
    assert {u.speaker for u in found.keywords} == {None}
    assert found.speakers[0] == "the word: 'folder:2' finds no speaker"
    assert "2 speakers are too few to hold any out" in found.speakers[2]
    assert set(found.speakers) <= set(read_spotter(tmp_path, name="x", speaker="folder:2").guessed)
    with pytest.raises(CorpusError, match="finds no speaker in any path"):
        read_folder(tmp_path, speaker="folder:3")


def test_a_copy_of_the_word_is_refused_where_one_person_says_both(tmp_path):
    for folder in ("computer", "background"):
        for speaker in range(6):
            for i in range(2):
                name = f"speaker{speaker}_{i}.wav"
                write(tmp_path / folder / name, seconds=0.5, seed=crc32(f"{folder}{name}".encode()))
    copied = tmp_path / "computer" / "speaker3_1.wav"
    (tmp_path / "background" / "speaker3_1.wav").write_bytes(copied.read_bytes())
    found = read_folder(tmp_path)
    assert {u.speaker for u in found.keywords} & {u.speaker for u in found.background}
    with pytest.raises(CorpusError, match="is a copy of"):
        split_folder(found)


def test_noise_is_nobody_s_talk(tmp_path, monkeypatch):
    """Hours of noise do not say how often people set the spotter off."""
    asked = []
    monkeypatch.setattr(spotter, "speak_talk", lambda minutes, *_, split, **__: asked.append(split) or [])
    monkeypatch.setattr(spotter, "speak_words", lambda *_, **__: [])
    quiet, loud = ["train", "dev", "test"], ["train"]
    folders = {"noise": quiet, "_background_noise_": quiet, "talk": loud, "denoised": loud, "speech_in_noise": loud}
    for folder, wanted in folders.items():
        asked.clear()
        own = [Utterance(f"{folder}/{i}", tmp_path / "a.wav", "", duration=600.0) for i in range(2)]
        spotter.with_synthetic_speech(
            dict.fromkeys(SPLITS, own), {"x": "computer"}, tmp_path, n_words=1, talk_minutes=1.0
        )
        assert asked == wanted


@pytest.mark.parametrize("name", ["speech", "noise"])
def test_a_recipe_called_like_background_does_not_make_it_the_word(tmp_path, name):
    made = read_spotter(folder_with(tmp_path, computer=12, **{name: 4}), name=name)
    assert made.found.labels == {"computer": 12}


def test_synthetic_speech_that_is_not_the_word_does_not_sound_like_any(tmp_path):
    assert not set(near_misses("go", apart_from=["no", "go"])) & {"no", "know", "knoe"}
    assert "no" in near_misses("go")
    assert near_misses("hey computer", apart_from=["computer"])
    assert not [one for one in near_misses("hey computer", apart_from=["computer"]) if "computer" in one.split()]
    said = " ".join(_words_of_talk(tmp_path, "right"))
    assert not {"right", "write"} & set(said.split())
    assert "light" in said or "night" in said


def _words_of_talk(folder, word):
    jobs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic_speech, "synthesise_files", lambda made, n: jobs.extend(made))
        speak_talk(120, folder, split="train", without=[word])
    return [job.text for job in jobs]


@pytest.mark.parametrize(
    ("recordings", "word", "said"),
    [
        ({}, "", "holds no recordings"),
        ({"background": 2, "not_it": 1}, "", "no recordings of the word"),
        ({"Hintergrund": 6}, "", r"\(Hintergrund\) are named like what is not meant.* --word"),
        ({"music": 12, "negatives": 5}, "", "no recordings of the word"),
        ({"yes": 3, "no": 3}, "yse", "no folder of the word 'yse'"),
    ],
)
def test_no_positives(tmp_path, recordings, word, said):
    with pytest.raises(CorpusError, match=said):
        read_folder(folder_with(tmp_path, **recordings), word=word)


def test_two_positives_are_too_few_and_ten_will_do(tmp_path):
    with pytest.raises(CorpusError, match="2 recordings of 'hey' are too few"):
        split_folder(read_folder(folder_with(tmp_path / "a", hey=2, background=3)))
    splits = split_folder(read_folder(folder_with(tmp_path / "b", hey=10, background=9)))
    for name in SPLITS:
        assert any(u.text for u in splits[name]), name
        assert any(not u.text for u in splits[name]), name


def test_a_copy_stays_with_its_original_and_a_speaker_in_one_split(tmp_path):
    for i in range(12):
        write(tmp_path / "hey" / f"{i:02d}.wav", seed=i)
    for copy, original in (("20", "03"), ("21", "03"), ("22", "07")):
        samples, rate = soundfile.read(tmp_path / "hey" / f"{original}.wav")
        soundfile.write(tmp_path / "hey" / f"{copy}.wav", 0.5 * samples, rate)
    for speaker in range(10):
        for i in range(2):
            write(tmp_path / "background" / f"speaker{speaker}" / f"{i}.wav", seed=100 + 2 * speaker + i)
    splits = split_folder(read_folder(tmp_path))
    where = {u.id: name for name, own in splits.items() for u in own}
    assert where["hey/20"] == where["hey/21"] == where["hey/03"]
    assert where["hey/22"] == where["hey/07"]
    speakers = {}
    for name, own in splits.items():
        for u in own:
            speakers.setdefault(u.speaker, set()).add(name)
    assert all(len(names) == 1 for speaker, names in speakers.items() if speaker is not None)
    assert len(speakers) == 11


def test_one_long_recording_of_background_is_divided_by_time(tmp_path):
    folder_with(tmp_path, hey=6)
    write(tmp_path / "background" / "long.wav", seconds=200.0)
    splits = split_folder(read_folder(tmp_path))
    ends = {n: [(u.start, u.start + u.duration) for u in own if not u.text] for n, own in splits.items()}
    assert all(ends.values())
    assert max(end for _, end in ends["train"]) <= 1e-6 + min(start for start, _ in ends["dev"])
    assert max(end for _, end in ends["dev"]) <= 1e-6 + min(start for start, _ in ends["test"])


def test_positives_with_five_seconds_of_silence_are_trimmed(tmp_path):
    for i in range(5):
        write(tmp_path / "hey" / f"{i}.wav", seed=i, seconds=0.5)
        samples, rate = soundfile.read(tmp_path / "hey" / f"{i}.wav")
        soundfile.write(tmp_path / "hey" / f"{i}.wav", np.pad(samples, 5 * rate), rate)
    write(tmp_path / "background" / "long.wav", seconds=200.0)
    splits = prepare_spotter(tmp_path, synthetic=False)
    for own in splits.values():
        for u in own:
            for segment in u.segments:
                assert 5 <= segment.start < segment.end < 6.2


def test_without_any_background_synthetic_voices_talk_in_every_split(tmp_path):
    pytest.importorskip("espeakng_loader")
    folder_with(tmp_path / "mine", hey=5)
    with pytest.raises(CorpusError, match="no background"):
        prepare_spotter(tmp_path / "mine", synthetic=False)
    splits = prepare_spotter(
        tmp_path / "mine", word="hey computer", synthetic_words=9, talk_minutes=0.5, made_dir=tmp_path / "made"
    )
    voices = {name: {u.speaker for u in own if is_synthetic(u)} for name, own in splits.items()}
    assert all(voices.values())
    assert not voices["train"] & (voices["dev"] | voices["test"])
    assert not voices["dev"] & voices["test"]
    # Near misses teach; an hour of what is heard all day has none.
    near = {name: [u for u in own if u.audio.parent.name == "near"] for name, own in splits.items()}
    assert {name: len(own) for name, own in near.items()} == {"train": 9, "dev": 0, "test": 0}
    assert not any(u.segments for u in near["train"])
    words = [u for u in splits["train"] if is_synthetic(u) and u.segments]
    assert len(words) == 9
    assert {s.label for u in words for s in u.segments} == {"hey computer"}
    assert not any(is_synthetic(u) and u.segments for name in ("dev", "test") for u in splits[name])


def test_other_voices_are_of_trains_words_alone_and_no_synthetic_ones(tmp_path):
    pytest.importorskip("parselmouth", reason="voices are altered by Praat")
    folder_with(tmp_path / "mine", hey=6, you=6, background=3)
    asked = {"synthetic": False, "other_voices": 5}
    plain = prepare_spotter(tmp_path / "mine", synthetic=False)
    splits = prepare_spotter(tmp_path / "mine", **asked, made_dir=tmp_path / "made")
    assert {name: splits[name] for name in ("dev", "test")} == {name: plain[name] for name in ("dev", "test")}
    made = splits["train"][len(plain["train"]) :]
    assert Counter(u.segments[0].label for u in made) == {"hey": 5, "you": 5}
    assert not any(map(is_synthetic, made))
    with pytest.raises(CorpusError, match="made by `audiornn prep`"):
        prepare_spotter(tmp_path / "mine", **asked)


def test_near_misses_are_no_homophones():
    pytest.importorskip("espeakng_loader")
    found = near_misses("computer")
    assert "comput" in found
    assert "puter" in found
    assert not {"computer", "komputer", "computor"} & set(found)
    assert all(near_misses(word) for word in ("hey jarvis", "alexa", "hey", "yes"))
    assert {"nappy", "tappy"} < set(near_misses("happy"))
    assert not {"heppy", "hoppy"} & set(near_misses("happy"))  # somebody's "happy"
    assert len(set(phonemes(["computer", *near_misses("computer")]))) == 1 + len(near_misses("computer"))
    assert near_misses("") == []


def test_phonemes_are_what_espeak_says():
    pytest.importorskip("espeakng_loader")
    hey, pair = phonemes(["hey", "zero, stop"])
    assert hey == "hˈeɪ"
    assert pair == "zˈiəɹoʊ stˈɑːp"
    with pytest.raises(AudiornnError, match="nobody"):
        phonemes(["hey"], voice="nobody")


def test_speech_is_the_same_each_time_and_leaves_the_word_out(tmp_path):
    pytest.importorskip("espeakng_loader")
    one = speak_words(["alpha", "beta"], 4, tmp_path / "a", split="dev")
    two = speak_words(["alpha", "beta"], 4, tmp_path / "b", split="dev")
    assert [u.audio.name for u in one] == [u.audio.name for u in two]
    assert [u.audio.read_bytes() for u in one] == [u.audio.read_bytes() for u in two]
    assert {u.text for u in one} == {"alpha", "beta"}
    talk = speak_talk(0.3, tmp_path / "c", split="train", without=["water"])
    assert 9 < sum(soundfile.info(u.audio).duration for u in talk) < 45


# --- which folder is the word's ---


@pytest.mark.parametrize(
    ("name", "folders", "keywords", "said"),
    [
        ("hey-computer", {"positive": 12, "background": 3}, {"hey computer": 12}, "'hey computer' after the recipe's"),
        ("hey-computer", {"top": 12}, {"hey computer": 12}, "after the recipe's name"),
        ("ww1", {"positives": 12}, {"ww1": 12}, "no synthetic voice says the word"),
        ("computer", {"computer": 12, "zero": 5}, {"computer": 12}, "after the recipe's name"),
        ("computer", {"computer": 12, "speech": 5, "music": 3, "hard_negatives": 2}, {"computer": 12}, ""),
        ("commands", {"left": 12, "right": 12}, {"left": 12, "right": 12}, "2 keywords, one a folder"),
        ("music", {"music": 12}, {"music": 12}, "after the recipe's name"),
    ],
)
def test_the_word_is_the_one_that_was_meant(tmp_path, name, folders, keywords, said):
    found = read_spotter(folder_with(tmp_path / "from", **folders), name=name)
    assert found.found.labels == keywords
    assert said in " ".join((*found.guessed, *found.warnings))
    settings = {(s.section, s.key): s.value for s in found.settings}
    again = read_folder(tmp_path / "from", word=settings.get(("corpus", "word"), ""))
    assert again.labels == keywords  # prep reads what new understood
    assert settings.get(("corpus", "synthetic_words")) == (0 if name == "ww1" else None)


def test_a_keyword_that_is_a_part_of_another_is_told(tmp_path):
    folder = folder_with(tmp_path, happy=12, happy_up=12, uphappy=12)
    (said,) = [line for line in read_spotter(folder, name="x").warnings if "is a part of" in line]
    assert said.startswith("'happy' is a part of 'happy_up': ")


def test_folders_of_splits_and_of_speakers(tmp_path):
    with pytest.raises(CorpusError, match="look like splits"):
        read_folder(folder_with(tmp_path / "splits", train=5, test=5))
    assert read_folder(tmp_path / "splits", word="test").labels == {"test": 5}
    people = folder_with(tmp_path / "people", anna=5, bob=5)
    with pytest.raises(CorpusError, match="add --speaker folder:1"):
        read_folder(people, word="computer")
    found = read_folder(people, word="computer", speaker="folder:1")
    assert found.labels == {"computer": 10}
    assert {u.speaker for u in found.keywords} == {"anna", "bob"}


def test_a_word_below_its_speakers_is_found_and_their_other_words_are_not_it(tmp_path):
    for who in ("anna", "bob", "carl"):
        folder_with(tmp_path / who, left=4, right=3)
    found = read_folder(tmp_path, word="left", speaker="folder:1")
    assert found.labels == {"left": 12}
    assert {u.id.split("/")[1] for u in found.background} == {"right"}
    assert {u.speaker for u in found.keywords} == {"anna", "bob", "carl"}


def test_a_folder_of_background_beside_those_of_speakers_is_no_speaker(tmp_path):
    """Else it would be one of whom each split holds recordings, which prep refuses."""
    found = read_folder(touched(tmp_path, "anna/jam anna/jar bob/jam background"), word="jam", speaker="folder:1")
    assert {(u.id.split("/")[0], u.speaker) for u in found.background} == {("anna", "anna"), ("background", None)}


@pytest.mark.parametrize(
    ("name", "below", "keywords"),
    [
        ("zero", {"zero": 4, "background": 2}, {"zero": 12}),
        ("wake", {"zero": 4, "background": 2}, {"zero": 12}),
        ("zero", {"zero": 4, "one": 4}, {"zero": 12}),
        ("wake", {"zero": 4, "one": 4}, {"zero": 12, "one": 12}),
        ("hey", {"positive": 4, "background": 2}, {"hey": 12}),
        ("hey", {"top": 4}, {"hey": 12}),
    ],
)
def test_folders_of_speakers_are_never_keywords(tmp_path, name, below, keywords):
    for who in ("anna", "bob", "carl"):
        folder_with(tmp_path / who, **below)
    folder_with(tmp_path / "background", zero=3)  # what is in it is no word, whatever it is called
    found = read_spotter(tmp_path, name=name, speaker="folder:1")
    assert found.found.labels == keywords
    assert {u.speaker for u in found.found.keywords} == {"anna", "bob", "carl"}
    word = next((s.value for s in found.settings if s.key == "word"), "")
    assert read_folder(tmp_path, word=word, speaker="folder:1").labels == keywords  # prep reads what new understood


def test_the_recipes_name_is_found_below_folders_of_speakers(tmp_path):
    for who in ("anna", "bob"):
        folder_with(tmp_path / who, zero=6, one=2)
    found = read_spotter(tmp_path, name="zero")
    assert found.found.labels == {"zero": 12}
    assert any(
        line.startswith("each folder at the top holds one of 'zero', as the recipe is") for line in found.guessed
    )
    assert read_folder(tmp_path, word=found.found.word).labels == {"zero": 12}


def touched(root, folders, n=6):
    """Recordings that nobody listens to: `anna/jam` for six in that folder, an empty name for six at the top."""
    for folder in folders.split():
        (root / folder.strip("-")).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            (root / folder.strip("-") / f"{i}.wav").touch()
    return root


@pytest.mark.parametrize(
    ("folders", "asked", "keywords"),
    [
        # Strays, which are nobody's, beside the folders of speakers.
        ("- anna/jam bob/jam carl/jam background", {"recipe": "jam", "speaker": "folder:1"}, {"jam": 18}),
        # Rooms, and people of whom nothing is known.
        ("clean/jam with_noise/jam music/jam", {"word": "jam"}, {"jam": 18}),
        ("anna/jam bob/jam unknown/jam", {"word": "jam", "speaker": "folder:1"}, {"jam": 18}),
        ("anna/jam bob/Jam unknown/jam unknown/jar", {"speaker": "folder:1"}, {"jam": 12, "Jam": 6}),
        ("anna/jam background/jam not_jam/jam negative/jam", {"word": "jam"}, {"jam": 6}),
        # Speakers' folders that hold no folder of the word's name.
        ("anna bob/1 bob/2", {"word": "jam", "speaker": "folder:1"}, {"jam": 18}),
        ("anna bob bob/more carl/positive", {"word": "jam", "speaker": "folder:1"}, {"jam": 24}),
        ("anna/train bob/test", {"word": "jam", "speaker": "folder:1"}, {"jam": 12}),
        ("anna anna/background bob", {"word": "jam", "speaker": "folder:1"}, {"jam": 12}),
        ("anna/positive bob/positive carl/babble", {"word": "jam", "speaker": "folder:1"}, {"jam": 12}),
        # The top says the word, whatever is asked for.
        ("jam/anna jam/bob background", {"recipe": "jam", "speaker": "folder:1"}, {"jam": 12}),
        ("positive/anna positive/bob negative/anna", {"recipe": "jam", "speaker": "folder:1"}, {"jam": 12}),
        ("jam/train jam/test jar/train jar/test", {"recipe": "test"}, {"jam": 12, "jar": 12}),
        ("jam/anna jam/bob background", {"recipe": "anna"}, {"jam": 12}),
        ("jam/anna jam/bob jar/bob", {"recipe": "anna"}, {"jam": 12, "jar": 6}),
        ("jam/anna jar/anna", {"recipe": "anna"}, {"anna": 12}),
    ],
)
def test_the_folder_of_the_word_is_the_one_that_was_meant(tmp_path, folders, asked, keywords):
    found = read_folder(touched(tmp_path, folders), **asked)
    assert found.labels == keywords
    again = read_folder(tmp_path, word=found.word, speaker=asked.get("speaker", "auto"))
    assert again.labels == found.labels  # prep reads what new understood


def test_prep_finds_the_word_that_new_found_in_whatever_folders(tmp_path):
    rng = np.random.default_rng(5)
    names = ["anna", "bob", "jam", "Jam", "jar", "positive", "background", "unknown", "not_jam", "noise", "test"]
    n_read = 0
    for i in range(100):
        paths = ["-", *("/".join(rng.choice(names, size=rng.integers(1, 4))) for _ in range(5))]
        root = touched(tmp_path / str(i), " ".join(paths[rng.integers(2) :]), n=1)
        speaker = str(rng.choice(["folder:1", "none"]))
        try:
            found = read_folder(root, speaker=speaker, recipe=str(rng.choice(["jam", "anna", "wake", "test"])))
        except CorpusError:
            continue
        again = read_folder(root, speaker=speaker, word=found.word)
        n_read += 1
        assert {u.id: u.text for u in again.keywords} == {u.id: u.text for u in found.keywords}, (paths, speaker)
    assert n_read > 50


def test_a_folder_of_background_called_as_the_word_is_not_it(tmp_path):
    folder_with(tmp_path, positive=4, not_computer=2)
    folder_with(tmp_path / "background", computer=3)
    assert read_folder(tmp_path, word="computer").labels == {"computer": 4}


def test_background_elsewhere_may_hold_the_word_too_and_must_be_there(tmp_path):
    folder = folder_with(tmp_path / "all", computer=12, talk=4)
    found = prepare_spotter(folder / "computer", word="computer", more_background=str(folder), synthetic=False)
    everything = [u for own in found.values() for u in own]
    assert len(everything) == 16
    assert len({u.audio for u in everything}) == 16
    with pytest.raises(CorpusError, match="--other names a folder"):
        read_spotter(folder / "computer", name="computer", background=tmp_path / "none")


def test_what_is_silent_or_broken_takes_no_place_in_dev_and_test(tmp_path):
    folder = folder_with(tmp_path / "all", computer=12, background=9)
    for i in range(6):
        soundfile.write(folder / "computer" / f"silent{i}.wav", np.zeros(8000), 16000)
        (folder / "computer" / f"broken{i}.wav").write_bytes(b"RIFF")
    with pytest.raises(CorpusError, match="nothing but silence"):
        prepare_spotter(folder, synthetic=False)
    found = prepare_spotter(folder, synthetic=False, skip_bad=True)
    for split in ("dev", "test"):
        words = [u for u in found[split] if u.segments]
        assert words
        assert not any(u.audio.name.startswith(("silent", "broken")) for u in words)
    assert sum("broken" in u.audio.name for u in found["train"]) == 6  # prep names them there


def test_label_files_that_are_not_read_are_told(tmp_path):
    folder = folder_with(tmp_path / "all", computer=12, background=9)
    (folder / "background" / "00.txt").write_text("what is said in it, computer\n")
    (folder / "background" / "notes.txt").write_text("1.0\t1.5\tcomputer\n")
    assert read_folder(folder).label_files == (), "a transcript, and a file of no recording's name"
    (folder / "background" / "01.txt").write_text("0.1\t0.3\tcomputer\n")
    line = {"audio_filepath": "background/02.wav", "text": "", "segments": [[0.1, 0.3, "computer"]]}
    (folder / "manifest.jsonl").write_text(json.dumps(line) + "\n")
    (folder / "others.jsonl").write_text('{"n": 1}\n')
    assert set(read_folder(folder).label_files) == {"background/01.txt", "manifest.jsonl"}
    (said,) = [line for line in read_spotter(folder, name="computer").warnings if "label files" in line]
    assert said.startswith("label files beside the recordings are not read (manifest.jsonl, background/01.txt): ")
    with pytest.warns(CorpusWarning, match="label files beside the recordings are not read"):
        prepare_spotter(folder, synthetic=False)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "file,start,end,label\nbackground/0.wav,0.1,0.3,computer\n"),
        ("all.ctm", "0 1 0.1 0.2 computer\n"),
        ("background/0.en.srt", "1\n00:00:00,100 --> 00:00:00,300\ncomputer\n"),
        ("labels/0.txt", "0.1\t0.3\tcomputer\n"),
        ("background/0.csv", "start,end,label\n0,1,computer\n"),
        ("background/0.json", '{"segments": [{"start": 0, "end": 1, "text": "computer"}]}'),
        ("background/x.eaf", ELAN),
    ],
)
def test_label_files_of_any_place_and_kind_are_told_of_background_elsewhere_too(tmp_path, name, text):
    for root in (touched(tmp_path / "all", "computer background"), touched(tmp_path / "other", "background", n=1)):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
        (root / "background" / "0.pdf").touch()
        (root / "list.csv").write_text("file,text\nbackground/0.wav,what is said\n")
        assert label_files_of(Survey(root)) == (name,)
    words = folder_with(tmp_path / "words", computer=12)
    (said,) = [
        line
        for line in read_spotter(words, name="computer", background=tmp_path / "other").warnings
        if "label files" in line
    ]
    assert str(tmp_path / "other" / name) in said


def test_a_lower_rate_for_all_is_said(tmp_path):
    folder = folder_with(tmp_path / "all", computer=12)
    assert not any("Hz" in line for line in read_spotter(folder, name="computer").guessed)
    write(folder / "computer" / "slow.wav", seconds=0.5, rate=8000)
    assert any("heard at 8,000 Hz" in line for line in read_spotter(folder, name="computer").guessed)
