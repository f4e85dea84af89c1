"""A picture of an alignment: the recording's spectrum, and over it where each word and each symbol lies."""

from __future__ import annotations

from pathlib import Path

from audiornn.audio import Waveform
from audiornn.errors import SettingsError
from audiornn.features import FeatureExtractor, FeatureSettings
from audiornn.listen.results import Alignment

__all__ = ["draw_alignment"]

_INK, _WORD, _MISFIT = "#333333", "#0072B2", "#D55E00"
_DEPTH = 70.0  # dB below the loudest band that are shown


def draw_alignment(
    path: Path, waveform: Waveform, settings: FeatureSettings, alignment: Alignment, *, title: str = ""
) -> None:
    """Draw a recording's log-mel spectrum, its symbols and its words, as a PNG.

    Args:
        path: of the PNG.
        waveform: (samples,) at the settings' sample rate.
        settings: of the model's features.
        alignment: of the recording; words that do not fit are drawn in another colour.
        title: over the picture.

    Raises:
        SettingsError: there is no such folder.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    log_mel = FeatureExtractor(settings).log_mel(waveform)
    half = settings.frame_seconds / 2
    width = min(14.0, max(6.0, 2.6 * alignment.duration))
    figure, (words, symbols, spectrum) = pyplot.subplots(
        3, 1, sharex=True, figsize=(width, 2.6), height_ratios=(0.6, 0.6, 3), layout="constrained"
    )
    loudest = float(log_mel.max())
    spectrum.imshow(
        log_mel.T,
        origin="lower",
        aspect="auto",
        cmap="Greys",
        vmin=loudest - _DEPTH,
        vmax=loudest,
        extent=(-half, (len(log_mel) - 0.5) * settings.frame_seconds, 0, settings.n_mels),
    )
    spectrum.set_ylabel("mel band", fontsize=8)
    spectrum.set_xlabel("seconds", fontsize=8)
    spectrum.tick_params(labelsize=7)
    for word in alignment.words:
        colour = _WORD if word.fits else _MISFIT
        words.axvspan(word.start, word.end, color=colour, alpha=0.25, linewidth=0)
        words.text((word.start + word.end) / 2, 0.5, word.label, ha="center", va="center", fontsize=8, color=colour)
        for symbol in word.symbols:
            middle = (symbol.start + symbol.end) / 2
            symbols.text(middle, 0.5, symbol.label, ha="center", va="center", fontsize=6.5, color=_INK)
            for axis in (symbols, spectrum):
                axis.axvline(symbol.start, color=colour, linewidth=0.6)
                axis.axvline(symbol.end, color=colour, linewidth=0.6)
    for axis in (words, symbols):
        axis.set_ylim(0, 1)
        axis.set_axis_off()
    spectrum.set_xlim(0, alignment.duration)
    words.set_title(title, loc="left", fontsize=8, color=_INK)
    try:
        figure.savefig(path, format="png", dpi=90)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be drawn ({error.strerror or error}); name a PNG in a folder") from None
    finally:
        pyplot.close(figure)
