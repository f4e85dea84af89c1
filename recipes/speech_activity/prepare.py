"""Speech or not: recordings of single speakers placed at known times over noise of several kinds and levels.

The corpora lie side by side in one folder: AN4 gives sentences and babble, Speech Commands words and recorded noise.
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from audiornn.audio import audio_info
from audiornn.corpus.made_recordings import corpora_in, folder_of_plan
from audiornn.corpus.manifest import Utterance
from audiornn.corpus.scenes import Scene, clean_recordings, compose_scenes
from audiornn.errors import CorpusError
from audiornn.recipe import load_recipe, packaged_recipes

SAMPLE_RATE = 16_000
CORPORA = ("an4", "speechcommands")  # the recipes that they are of

#: Made noise of each split; what test has, no other split has. All have babble, each of its own speakers.
MADE = {
    "train": ("coloured", "hum", "clicks", "clatter", "gusts", "music"),
    "dev": ("coloured", "rain"),
    "test": ("siren", "engine"),
}
#: Files of `_background_noise_` that are kept for dev and test; train has the others.
RECORDED = {"dev": "exercise_bike", "test": "doing_the_dishes"}
SNRS = {"dev": (20, 10, 0), "test": (10, 0)}  # dB, of each scene; train has −5 to 25
SECONDS = 6.0  # of a scene, about
SENTENCES = 0.7  # share of scenes whose speech is AN4's
BABBLE = {"train": 3, "dev": 1, "test": 1}  # times as often as any other noise: what is hardest is heard most
TALKERS = (12, 20)  # of babble: in a full room nobody stands out


def prepare(
    corpus_dir: Path,
    *,
    scenes: int = 5000,
    dev_scenes: int = 60,
    test_scenes: int = 160,
    made_dir: Path | None = None,
    jobs: int = 1,
) -> dict[str, list[Utterance]]:
    """Scenes of some six seconds: one speaker, one noise, and pauses between.

    Args:
        corpus_dir: holds the two corpora's folders.
        scenes: how many for training, at −5 to 25 dB; one in twelve is noise alone.
        dev_scenes: how many for dev, each at 20 dB and again at 10 and 0 dB.
        test_scenes: how many for test, each at 10 dB and again at 0 dB.
        made_dir: gets the scenes.
        jobs: processes.

    No speaker, no noise file and no seed is in two splits, and two kinds of noise are in test alone.

    Expected output of prep: 5,000 train, 180 dev, 320 test utterances, 1 label.
    """
    if min(scenes, test_scenes) < 1 or dev_scenes < 0:
        raise CorpusError(f"corpus.scenes = {scenes} and corpus.test_scenes = {test_scenes} must be at least 1")
    folders = corpora_in(corpus_dir, CORPORA)
    an4 = load_recipe(packaged_recipes() / "an4").prepare(folders["an4"])
    commands = load_recipe(packaged_recipes() / "speechcommands", ["corpus.words=all"]).prepare(
        folders["speechcommands"]
    )
    noises = sorted((folders["speechcommands"] / "_background_noise_").glob("*.wav"))
    planned: list[tuple[Scene, str]] = []
    for split, n in (("train", scenes), ("dev", dev_scenes), ("test", test_scenes)):
        speakers = {
            **_by_speaker("an4", an4[split], jobs),
            **_by_speaker("speech_commands", commands[split], jobs),
        }
        planned += _plan(split, n, speakers, _recorded(split, noises, folders["speechcommands"]))
    plan = "\n".join(repr(scene).replace(str(corpus_dir), "") for scene, _ in planned)
    folder = folder_of_plan(made_dir, plan, "speech_activity")
    located = [replace(scene, path=folder / scene.path) for scene, _ in planned]
    utterances = [
        Utterance(scene.path.with_suffix("").as_posix(), where.path, "", speaker, segments=segments)
        for (scene, speaker), where, segments in zip(planned, located, compose_scenes(located, jobs), strict=True)
    ]
    return {split: [u for u in utterances if u.id.startswith(f"{split}/")] for split in ("train", "dev", "test")}


def _by_speaker(corpus: str, utterances: Sequence[Utterance], jobs: int) -> dict[str, list[Path]]:
    """The clean recordings of each speaker who has two."""
    clean = set(clean_recordings([u.audio for u in utterances], SAMPLE_RATE, jobs))
    found = defaultdict(list)
    for utterance in utterances:
        if utterance.audio in clean:
            found[f"{corpus}/{utterance.speaker}"].append(utterance.audio)
    return {speaker: sorted(paths) for speaker, paths in sorted(found.items()) if len(paths) > 1}


def _recorded(split: str, noises: Sequence[Path], folder: Path) -> list[Path]:
    """The recordings of noise that a split may use."""
    own = [n for n in noises if n.stem == RECORDED.get(split) or (split == "train" and n.stem not in RECORDED.values())]
    if not own:
        raise CorpusError(f"{folder / '_background_noise_'}: holds no noise for {split}; unpack the corpus again")
    return own


def _plan(
    split: str, n: int, speakers: Mapping[str, Sequence[Path]], recorded: Sequence[Path]
) -> list[tuple[Scene, str]]:
    """Draw scenes, each with its speaker; those of dev and test at each of their levels."""
    draw = random.Random(f"speech_activity, {split}")
    corpora = [[s for s in speakers if s.startswith(f"{corpus}/")] for corpus in ("an4", "speech_commands")]
    planned = []
    for number in range(n):
        speaker = draw.choice(corpora[draw.random() >= SENTENCES])
        speech = _recordings(draw, speakers[speaker])
        if split == "train" and draw.random() < 1 / 12:
            speech = ()
        noise, noises = _noise(draw, split, number, speaker, speakers, recorded)
        scene = Scene(
            path=Path(split, f"{number:05d}.flac"),
            speech=speech,
            gaps=tuple(_gap(draw) for _ in range(len(speech) + 1)) if speech else (SECONDS,),
            snr=round(draw.uniform(-5, 25), 1),
            level=round(draw.uniform(-20, 6), 1),
            sample_rate=SAMPLE_RATE,
            seed=draw.getrandbits(32),
            noise=noise,
            recorded=noises,
        )
        if split in SNRS:
            planned += [
                (replace(scene, snr=float(snr), path=Path(split, f"{snr}dB", _named(scene))), speaker)
                for snr in SNRS[split]
            ]
        else:
            planned.append((scene, speaker))
    return planned


def _named(scene: Scene) -> str:
    """A scene's file, which says its noise."""
    noise = scene.noise or (scene.recorded[0].stem if len(scene.recorded) == 1 else "babble")
    return f"{noise}_{scene.path.name}"


def _recordings(draw: random.Random, own: Sequence[Path]) -> tuple[Path, ...]:
    """Recordings of one speaker that with their pauses fill a scene; none follows itself."""
    speech: list[Path] = []
    seconds = 0.0
    while seconds < SECONDS:
        path = draw.choice(own)
        if not speech or path != speech[-1]:
            speech.append(path)
            seconds += audio_info(path).duration + 0.6
    return tuple(speech)


def _gap(draw: random.Random) -> float:
    """Seconds of a pause: 0.7 in the median, from 0.25 to 3."""
    return round(min(3.0, max(0.25, draw.lognormvariate(-0.35, 0.7))), 3)


def _noise(
    draw: random.Random,
    split: str,
    number: int,
    speaker: str,
    speakers: Mapping[str, Sequence[Path]],
    recorded: Sequence[Path],
) -> tuple[str, tuple[Path, ...]]:
    """One of a split's kinds of noise, all as often, but babble more often in train: made, or recordings."""
    kinds = [*MADE[split], *["babble"] * BABBLE[split], "recorded"]
    kind = kinds[number % len(kinds)]
    if kind == "babble":
        others = [path for s, paths in speakers.items() if s != speaker and s.startswith("an4/") for path in paths]
        return "", tuple(draw.sample(others, min(len(others), draw.randint(*TALKERS))))
    return ("", (draw.choice(recorded),)) if kind == "recorded" else (kind, ())
