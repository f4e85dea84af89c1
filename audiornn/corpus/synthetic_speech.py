"""Speech by many synthetic voices, for a spotter: its word, words that are nearly it, and talk in which it is not said.

Synthetic voices are no people, but they say every sound of the language in every order, for as many hours as are
wanted; what a network learns not to take for its word holds for people, too. A voice (espeak-ng's variant) serves one
split only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from audiornn.corpus.manifest import SPLITS, SYNTHETIC_SPEAKER, Utterance
from audiornn.corpus.synthesis import SynthesisJob, Voice, list_voices, phonemes, synthesise_files, variants
from audiornn.text import plain_words, word_places

__all__ = ["near_misses", "speak_talk", "speak_words", "unlike"]

#: Words that are said often, and sounds of all kinds; what is spoken strings them together as chance has it.
_WORDS = """
the of and to in that it is was he for on are as with his they at be this from have or by one had not but what all
were when we there can an your which their said if do will each about how up out them then she many some so these
would other into has more her two like him see time could no make than first been its who now people my made over did
down only way find use may water long little very after words called just where most know get through back much before
go good new write our used me man too any day same right look think also around another came come work three word must
because does part even place well such here take why things help put years different away again off went old number
great tell men say small every found still between name should mister home big give air line set own under read last
never us left end along while might next sound below saw something thought both few those always looked show large
often together asked house world going want school important until form food keep children feet land side without boy
once animals life enough took sometimes four head above kind began almost live page got earth need far hand high year
mother light parts country father let night following picture being study second eyes soon times story boys since
white days ever paper hard near sentence better best across during today others however sure means knew try told young
miles sun ways thing whole hear example heard several change answer room sea against top turned learn point city play
toward five using himself usually money seen car morning given dog horse letter green behind black street garden
friend window river mountain winter summer spring autumn yellow purple orange silver golden simple double trouble
circle table apple purpose perhaps question station nation pleasure measure treasure culture future nature creature
furniture machine magazine kitchen chicken basket market jacket pocket rocket secret target music magic logic traffic
public topic basic plastic banana tomato potato tobacco piano volcano radio studio video stereo camera opera drama
panda sofa visa pizza quiz zero hero cargo echo photo motor doctor actor factor tractor monitor visitor editor senator
elevator calculator january february april june july august september october november december monday tuesday
wednesday thursday friday saturday sunday seven eleven twelve thirteen twenty thirty forty fifty hundred thousand
million happy funny sunny honey bunny penny carry marry sorry hurry worry merry cherry fairy dairy diary village
college knowledge bridge strange danger stranger manager teenager passenger messenger smart mirror error terror horror
view glass class grass snow toy joy noise voice choice join coin electric election elastic nervous harvest garment
compete complete compose compact company comfort common tutor committee shield sheep sheet ocean motion action fashion
passion mission vision division decision revision thank throw thorough thumb bath path math breath north south mouth
truth judge jump major soldier age stage cage charge george joke wheel whale wood wool woman wolf west wind yes yet
yesterday yard you useful huge humour cute review
"""

_SYLLABLE_PARTS = (
    [*"bdfghjklmnprstvwz", "ch", "sh", "th", "st", "tr", "bl", "pr", "kr", "sn", "sp", "fl", "gr", "kw"],
    [*"aeiou", "ee", "oo", "ay", "ow", "oy", "er", "ar", "or", "y"],
    ["", "", "", "n", "m", "s", "t", "k", "l", "r", "d", "x", "ng", "sh", "p"],
)
_INVENTED = 0.15  # of all words
_VOWELS = "aeiouy"
_CONSONANTS = "tbsmdkrlfnvgpzjc"
_SOUNDS_LIKE = {"c": "cksz", "k": "kc", "s": "szc", "z": "zs", "g": "gj", "j": "jg", "f": "fv", "v": "vf"}
_PAIRS = ("ch", "sh", "th", "ph", "wh", "gh", "ow", "aw", "ew")  # of which the second letter is no sound of its own
_MERGED = str.maketrans("ɪᵻʊɒɔɐʌɜɚ", "iiuɑɑaaee")
_SPLIT_SHARES = {"train": 0.7, "dev": 0.15, "test": 0.15}  # of the voices
_ACCENTS = ("en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us-nyc", "en-029")
_RATES = (120, 220)  # words a minute
_PITCHES = (20, 80)


def speak_words(
    words: Sequence[str], n: int, folder: Path, *, split: str, seed: int = 1, jobs: int = 1, text: str | None = None
) -> list[Utterance]:
    """Each of some words by many voices, with a moment of silence around it.

    Args:
        words: said in turn.
        n: recordings in all.
        folder: where they are written; those that are there stay.
        split: whose voices.
        seed: of voices, rates and pitches.
        jobs: processes.
        text: the utterances' text; None is the word itself.
    """
    draw = np.random.default_rng([seed, SPLITS.index(split), 1])
    jobs_to_do = []
    for i in range(n if words else 0):
        word = words[i % len(words)]
        voice = _voice(draw, split)
        silence = (round(float(s), 3) for s in draw.uniform(0.05, 0.3, 2))
        jobs_to_do.append(_job(word, voice, folder, *silence))
    return _spoken(jobs_to_do, [job.text if text is None else text for job in jobs_to_do], jobs)


def speak_talk(
    minutes: float, folder: Path, *, split: str, without: Sequence[str] = (), seed: int = 1, jobs: int = 1
) -> list[Utterance]:
    """Talk of many voices, some words in each recording, in no order that makes sense.

    Args:
        minutes: of speech, about.
        folder: where it is written; what is there stays.
        split: whose voices.
        without: phrases of whose words none is said in it, nor any that sounds like one.
        seed: of words and voices.
        jobs: processes.
    """
    left_out = [part for phrase in without for part in plain_words(phrase).split()]
    words = unlike(_WORDS.split(), left_out)
    draw = np.random.default_rng([seed, SPLITS.index(split), 2])
    texts = []
    seconds = 60 * minutes
    while seconds > 0:
        n_words = int(draw.integers(6, 25))
        said = [
            _invented(draw) if draw.random() < _INVENTED else words[int(draw.integers(len(words)))]
            for _ in range(n_words)
        ]
        voice = _voice(draw, split)
        texts.append((said, voice))
        seconds -= 60 * n_words / voice.rate
    known = set(words)
    invented = list(dict.fromkeys(word for said, _ in texts for word in said if word not in known))
    allowed = known.union(unlike(invented, left_out))
    jobs_to_do = [
        _job(" ".join(word for word in said if word in allowed), voice, folder, 0.1, 0.1) for said, voice in texts
    ]
    return _spoken(jobs_to_do, [""] * len(jobs_to_do), jobs)


def unlike(words: Sequence[str], others: Sequence[str]) -> list[str]:
    """Those of some words that no voice says as one of the others, however it is spelled.

    >>> unlike(["know", "now", "right"], ["no", "write"])
    ['now']
    """
    if not others:
        return list(words)
    as_said = [_broadly(said) for said in phonemes([*others, *words])]
    alike = set(as_said[: len(others)])
    return [word for word, said in zip(words, as_said[len(others) :], strict=True) if said not in alike]


def near_misses(spelling: str, *, apart_from: Sequence[str] = ()) -> list[str]:
    """Spellings that sound nearly like a word: without its beginning or end, or with another sound in its place.

    None is said as the word is, nor as one of `apart_from`, nor holds one of these.

    >>> near_misses("computer")[:6]
    ['comp', 'compu', 'comput', 'mputer', 'puter', 'tomputer']
    """
    letters = plain_words(spelling)
    if not letters:
        return []
    joined = letters.replace(" ", "")
    found = [letters[:n].strip() for n in range(max(3, len(letters) // 2), len(letters) - 1)]
    found += [letters[n:].strip() for n in range(2, max(2, len(letters) // 2))]
    found += letters.split() if " " in letters else []
    for i, letter in enumerate(letters):  # consonants only: what one accent's vowel is, is another's for another word
        others = [other for other in _CONSONANTS if not _SOUNDS_LIKE.get(letter, letter).count(other)]
        is_consonant = letter in _CONSONANTS + "hw" or (letter == "y" and i == 0)
        if is_consonant and letters[i - 1 : i] != letter and letters[i - 1 : i + 1] not in _PAIRS:
            n = 6 if i == 0 else 1
            found += [letters[:i] + others[(i * 5 + k * 3) % len(others)] + letters[i + 1 :] for k in range(n)]
    kept = [one for one in dict.fromkeys(found) if len(one) >= 2 and one not in (letters, joined)]
    kept = [one for one in kept if any(c in _VOWELS for c in one)]
    kept = [one for one in kept if not any(word_places(one, other) for other in apart_from)]
    return unlike(kept, [letters, *map(plain_words, apart_from)])


def _broadly(said: str) -> str:
    """Phonemes without what one speaker does and the next does not: stress, length, and vowels that accents merge."""
    return re.sub(r"[ˈˌː ə]", "", said).translate(_MERGED)


def _invented(draw: np.random.Generator) -> str:
    return "".join(
        part[int(draw.integers(len(part)))] for _ in range(int(draw.integers(1, 4))) for part in _SYLLABLE_PARTS
    )


def _voice(draw: np.random.Generator, split: str) -> Voice:
    known = [accent for accent in _ACCENTS if accent in list_voices()]
    own = [variant for variant in variants() if _split_of(variant) == split]
    return Voice(
        f"{known[int(draw.integers(len(known)))]}+{own[int(draw.integers(len(own)))]}",
        rate=int(draw.integers(*_RATES)),
        pitch=int(draw.integers(*_PITCHES)),
        pitch_range=int(draw.integers(30, 80)),
    )


def _split_of(variant: str) -> str:
    place = int.from_bytes(hashlib.sha256(variant.encode()).digest()[:4], "big") / 2**32
    for split, share in _SPLIT_SHARES.items():
        place -= share
        if place < 0:
            return split
    return SPLITS[-1]


def _job(text: str, voice: Voice, folder: Path, leading: float, trailing: float) -> SynthesisJob:
    what = f"{text} {voice} {leading} {trailing}"
    name = hashlib.sha256(what.encode()).hexdigest()[:16]
    return SynthesisJob(text, voice, folder / f"{name}.flac", leading_silence=leading, trailing_silence=trailing)


def _spoken(jobs_to_do: Sequence[SynthesisJob], texts: Sequence[str], jobs: int) -> list[Utterance]:
    unique = {job.path: (job, text) for job, text in zip(jobs_to_do, texts, strict=True)}
    synthesise_files([job for job, _ in unique.values()], jobs)
    return [
        Utterance(
            f"{path.parent.name}/{path.stem}", path, text, f"{SYNTHETIC_SPEAKER}{job.voice.name.partition('+')[2]}"
        )
        for path, (job, text) in unique.items()
    ]
