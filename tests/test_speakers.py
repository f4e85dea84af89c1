"""Which part of a path is who speaks."""

from audiornn.corpus.speakers import find_speakers


def found(counts, labels=None, rest=0, name="{}_nohash_{}.wav"):
    keys = [name.format(who, i) for who, n in counts.items() for i in range(n)] + [f"q{i}x.wav" for i in range(rest)]
    return set(find_speakers(keys, [], [None] * len(keys), "auto").names) - {None}


def test_a_guess_that_explains_little_is_none():
    assert found({"a1": 5, "b2": 5, "c3": 5}) == {"a1", "b2", "c3"}
    assert not found({"a1": 5, "b2": 5, "c3": 5}, rest=10), "too few have one"
    assert not found({"a1": 10, "b2": 1, "c3": 1, "d4": 1}), "of one recording each"
    assert not found({"a1": 40, "b2": 2, "c3": 2}), "nearly all are one"
    nearly_as_many = {"spk1": 2, "spk2": 2, "spk3": 2} | {f"spk{i}": 1 for i in range(10, 20)}
    assert not found(nearly_as_many, name="{}_x{}.wav"), "nearly as many as recordings"
    sure = {"a1": 2, "b2": 2, "c3": 2} | {f"d{i}": 1 for i in range(10)}
    dates = {f"202405{i:02d}": 2 - (i > 3) for i in range(1, 29)}
    assert not found(dates, name="{}-101523-000{}.wav"), "LibriSpeech's names are numbers, as other things' are"
    assert found(sure) == set(sure), "Speech Commands' own names, of fifty recordings of one word"


def test_parts_that_mostly_go_with_one_label_are_no_speakers():
    said = {"anna": ("kala", "vesi"), "berta": ("kala",), "carla": ("vesi",), "dora": ("vesi",)}
    keys = [f"{word}/{who}_{i}.wav" for who, words in said.items() for word in words for i in range(6)]
    assert set(find_speakers(keys, [k.split("/")[0] for k in keys], [None] * len(keys), "auto").names) == {None}


def test_clips_of_a_field_recording_stay_together_unless_the_recorder_is_known():
    def names(template, recorders):
        keys = [
            template.format(label, recorder, night, i)
            for label in ("tit", "owl")
            for recorder in recorders
            for night in range(1, 4)
            for i in range(2)
        ]
        return set(find_speakers(keys, [k.split("/")[0] for k in keys], [None] * len(keys), "auto").names)

    nights = [f"2024040{night}_053000" for night in range(1, 4)]
    assert names("{}/{}2024040{}_053000 {}.5s.wav", [""]) == set(nights)
    assert names("{}/{}_2024040{}_053000_{}.wav", ["SM4"]) == {f"SM4_{night}" for night in nights}
    assert names("{}/{}_2024040{}_053000_{}.wav", ["S4A1", "S4A2", "S4A3"]) == {"S4A1", "S4A2", "S4A3"}
    whole = [f"2024040{i}_053000.wav" for i in range(1, 9)]
    assert set(find_speakers(whole, [], [None] * 8, "auto").names) == {None}
