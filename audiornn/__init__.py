"""audiornn: recordings in, a small recurrent network out, and that network listens anywhere.

>>> import audiornn
>>> model = audiornn.load_model("runs/spoken_digits/model.onnx")  # doctest: +SKIP
>>> model.transcribe("file.wav").text  # doctest: +SKIP
'three one four'
"""

import os
from typing import TYPE_CHECKING, Any

# Who listens to people reports to nobody; onnxruntime reads it as it is imported, by whomever.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
__all__ = [
    "AlignedWord",
    "Alignment",
    "Alternative",
    "AudiornnError",
    "Classification",
    "KeywordSpot",
    "Labelling",
    "Recognition",
    "Recognizer",
    "SpotSettings",
    "SpotStream",
    "Stream",
    "TimedLabel",
    "TrackPoint",
    "TrackStream",
    "Tracks",
    "Transcript",
    "__version__",
    "format_result",
    "load_audio",
    "load_model",
]

if TYPE_CHECKING:
    from audiornn.audio import load_audio
    from audiornn.errors import AudiornnError
    from audiornn.listen.formats import format_result
    from audiornn.listen.keywords import SpotSettings
    from audiornn.listen.recognizer import Recognizer, load_model
    from audiornn.listen.results import (
        AlignedWord,
        Alignment,
        Alternative,
        Classification,
        KeywordSpot,
        Labelling,
        Recognition,
        TimedLabel,
        TrackPoint,
        Tracks,
        Transcript,
    )
    from audiornn.listen.sample_streams import SpotStream, Stream, TrackStream

_HOMES = {
    "AudiornnError": "audiornn.errors",
    "format_result": "audiornn.listen.formats",
    "load_audio": "audiornn.audio",
    "SpotSettings": "audiornn.listen.keywords",
    **dict.fromkeys(("Recognizer", "load_model"), "audiornn.listen.recognizer"),
    **dict.fromkeys(("SpotStream", "Stream", "TrackStream"), "audiornn.listen.sample_streams"),
    **dict.fromkeys(
        (
            "AlignedWord",
            "Alignment",
            "Alternative",
            "Classification",
            "KeywordSpot",
            "Labelling",
            "Recognition",
            "TimedLabel",
            "TrackPoint",
            "Tracks",
            "Transcript",
        ),
        "audiornn.listen.results",
    ),
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    # Loaded when first asked for: `import audiornn` and `audiornn --help` cost no numpy.
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
