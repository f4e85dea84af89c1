"""What streaming loses: the clips of Speech Commands given to a spotter whole, each as a stream, and all as one stream.

Whole, each clip is a recording of its own; its label is the keyword with the loudest hit in it, or none where none
reaches its threshold. Each as a stream, the same clips come in blocks of 20 ms. As one stream, all clips follow each
other in an order drawn, the state of the network, or of its forward half, is carried from each to the next, and a
clip's label is the hit in it or in the first quarter of the next; a second hit counts against it. Clips of other words
and of noise are right where nothing is heard.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from audiornn.audio import load_audio
from audiornn.evaluate.error_rates import wilson_interval
from audiornn.listen.keywords import default_keywords
from audiornn.listen.recognizer import Recognizer, load_model
from audiornn.listen.results import KeywordSpot

CLIP_SECONDS = 1.0
BLOCK_SECONDS = 0.02
LATE_SECONDS = 0.25  # of the next clip, in which a hit is still this one's: no word is over so soon


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="of recipes/speechcommands or its spotter")
    parser.add_argument("corpus", type=Path, help="the folder of Speech Commands")
    parser.add_argument("--list", default="testing_list.txt", help="which clips (testing_list.txt)")
    parser.add_argument("--look-ahead", type=float, metavar="SECONDS", help="of the stream, as `audiornn spot` has it")
    options = parser.parse_args()
    model = load_model(options.model)
    keywords = default_keywords(model.card)
    rate = model.card.features.sample_rate
    labels, clips = read_clips(options.corpus, options.list, keywords, rate)
    for name, heard in (
        ("whole", [loudest(model.spot(clip, sample_rate=rate)) for clip in clips]),
        ("each as a stream", [loudest(streamed(model, clip, options.look_ahead)) for clip in clips]),
        ("all as one stream", as_one_stream(model, clips, options.look_ahead)),
    ):
        right = sum(a == b for a, b in zip(labels, heard, strict=True))
        low, high = wilson_interval(right, len(labels))
        share = f"{100 * right / len(labels):.1f} % ({100 * low:.1f}–{100 * high:.1f})"
        print(f"{name:18} {right} of {len(labels)} right, {share}")


def read_clips(corpus: Path, listed: str, keywords: tuple[str, ...], rate: int) -> tuple[list[str], list[np.ndarray]]:
    """Labels ("" where nothing is to be heard) and samples, each of one second, in an order drawn."""
    names = (corpus / listed).read_text(encoding="utf-8").split()
    order = np.random.default_rng(1).permutation(len(names))
    n_samples = round(CLIP_SECONDS * rate)
    labels, clips = [], []
    for name in (names[i] for i in order):
        samples = load_audio(corpus / name, rate)[:n_samples]
        clips.append(np.pad(samples, (0, n_samples - len(samples))))
        word = name.partition("/")[0]
        labels.append(word if word in keywords else "")
    return labels, clips


def loudest(spots: Sequence[KeywordSpot]) -> str:
    return max(spots, key=lambda spot: spot.score).keyword if spots else ""


def streamed(model: Recognizer, clip: np.ndarray, look_ahead: float | None) -> list[KeywordSpot]:
    stream = model.spotter(look_ahead=look_ahead)
    n_samples = round(BLOCK_SECONDS * model.card.features.sample_rate)
    blocks = [clip[i : i + n_samples] for i in range(0, len(clip), n_samples)]
    return [spot for block in blocks for spot in stream.push(block)] + stream.finish()


def as_one_stream(model: Recognizer, clips: list[np.ndarray], look_ahead: float | None) -> list[str]:
    stream = model.spotter(look_ahead=look_ahead)
    spots = [spot for clip in clips for spot in stream.push(clip)] + stream.finish()
    found: list[list[str]] = [[] for _ in clips]
    for spot in spots:
        found[max(0, int((spot.end - LATE_SECONDS) / CLIP_SECONDS))].append(spot.keyword)
    return [" ".join(words) for words in found]


if __name__ == "__main__":
    main()
