"""Draws docs/picture.png: one recording on its way through a model, from samples to words.

python docs/draw_picture.py MODEL RECORDING     (needs matplotlib)
"""

import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

import audiornn
from audiornn.features import FeatureExtractor


def main(model_file: str, recording: str) -> None:
    """Draw."""
    model = audiornn.load_model(model_file)
    card = model.card
    waveform = audiornn.load_audio(recording, card.features.sample_rate)
    extractor = FeatureExtractor(card.features)
    posteriors = np.exp(model.log_probs(extractor(waveform)))
    transcript = model.transcribe(recording)
    duration = len(waveform) / card.features.sample_rate

    figure, (top, middle, bottom) = plt.subplots(3, 1, figsize=(10, 5.2), sharex=True, constrained_layout=True)
    top.plot(np.arange(len(waveform)) / card.features.sample_rate, waveform, color="#33507a", linewidth=0.5)
    top.set_ylabel("samples")
    top.set_yticks([])
    middle.imshow(
        extractor.log_mel(waveform).T,
        origin="lower",
        aspect="auto",
        extent=(0, duration, 0, card.features.n_mels),
        cmap="magma",
    )
    middle.set_ylabel("log-mel bands")
    times = np.arange(len(posteriors)) * card.output_seconds
    bottom.fill_between(times, posteriors[:, 0], color="#dddddd", linewidth=0, label="blank")
    for symbol, curve in zip(card.vocabulary.symbols[1:], posteriors.T[1:], strict=True):
        if curve.max() > 0.3:
            bottom.plot(times, curve, label=symbol, linewidth=1.8)
    for word in transcript.words:
        bottom.text((word.start + word.end) / 2, 1.06, word.label, ha="center", fontsize=12, fontweight="bold")
    bottom.set_ylim(0, 1.25)
    bottom.set_ylabel("posterior (CTC)")
    bottom.set_xlabel("seconds")
    for axes in (top, middle, bottom):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig("docs/picture.png", dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
