"""What streaming loses: the clips of Speech Commands given to a spotter one by one, and as one stream without an end.

One by one, each clip is a recording of its own, read whole; its label is the keyword with the loudest answer in it, or
none where none reaches the keyword's threshold. As a stream, all clips follow each other in an order drawn, the
network's state is carried from each to the next, and a clip's label is the hit in it or in the first quarter of the
next; a second hit counts against it. Clips of other words and of noise are right where nothing is heard.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from audiornn.audio import load_audio
from audiornn.evaluate.error_rates import wilson_interval
from audiornn.listen.keywords import SpotDecider, settings_of
from audiornn.listen.recognizer import Recognizer, load_model

CLIP_SECONDS = 1.0
LATE_SECONDS = 0.25  # of the next clip, in which a hit is still this one's: no word is over so soon


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="of recipes/speechcommands_spotter")
    parser.add_argument("corpus", type=Path, help="the folder of Speech Commands")
    parser.add_argument("--list", default="testing_list.txt", help="which clips (testing_list.txt)")
    options = parser.parse_args()
    model = load_model(options.model)
    keywords = tuple(symbol for symbol in model.card.vocabulary.symbols if symbol != "_none_")
    labels, clips = read_clips(options.corpus, options.list, keywords, model.card.features.sample_rate)
    for name, heard in (
        ("one by one", one_by_one(model, keywords, clips)),
        ("as a stream", as_a_stream(model, clips)),
    ):
        right = sum(a == b for a, b in zip(labels, heard, strict=True))
        low, high = wilson_interval(right, len(labels))
        share = f"{100 * right / len(labels):.1f} % ({100 * low:.1f}–{100 * high:.1f})"
        print(f"{name:12} {right} of {len(labels)} right, {share}")


def read_clips(corpus: Path, listed: str, keywords: tuple[str, ...], rate: int) -> tuple[list[str], list[np.ndarray]]:
    """Labels ("" where nothing is to be heard) and samples, each of one second, in an order drawn."""
    names = (corpus / listed).read_text().split()
    order = np.random.default_rng(1).permutation(len(names))
    n_samples = round(CLIP_SECONDS * rate)
    labels, clips = [], []
    for name in (names[i] for i in order):
        samples = load_audio(corpus / name, rate)[:n_samples]
        clips.append(np.pad(samples, (0, n_samples - len(samples))))
        word = name.partition("/")[0]
        labels.append(word if word in keywords else "")
    return labels, clips


def one_by_one(model: Recognizer, keywords: tuple[str, ...], clips: list[np.ndarray]) -> list[str]:
    settings = settings_of(model.card)
    heard = []
    for clip in clips:
        scores, _ = model.keyword_scores(clip, keywords, model.card.features.sample_rate)
        decider = SpotDecider(settings, keywords, model.card.output_seconds)
        loudest = {d.keyword: d.score for d in decider.push(scores) + decider.finish()}
        heard.append(max(loudest, key=lambda keyword: loudest[keyword]) if loudest else "")
    return heard


def as_a_stream(model: Recognizer, clips: list[np.ndarray]) -> list[str]:
    stream = model.spotter()
    spots = [spot for clip in clips for spot in stream.push(clip)] + stream.finish()
    found: list[list[str]] = [[] for _ in clips]
    for spot in spots:
        found[max(0, int((spot.end - LATE_SECONDS) / CLIP_SECONDS))].append(spot.keyword)
    return [" ".join(words) for words in found]


if __name__ == "__main__":
    main()
