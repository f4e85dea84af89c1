"""The model file: an ONNX graph whose metadata carries everything else a listener needs.

Graph inputs:  `features` (B, T, n_features) float32, `lengths` (B,) int64.
Graph outputs: `log_probs` (B, T', V), or (B, V) of a classifier; `output_lengths` (B,) int64. Of a vocabulary with
               `several` labels each has a probability of its own; of the task "regress" they are values, one a track.
Metadata:      the key `audiornn` holds a `ModelCard` as JSON. Normalisation is part of the graph.

A network that gives frames may also be given a recording in stretches. Three more inputs are there for that, and
need not be given: `state` (layers, 1 or 2 of an LSTM, directions, B, n_units), the layers' state where each direction
enters the stretch, zeros where the recording begins or ends; and `left_context` and `right_context` (1,), frames of
`features` at either end, counted in `lengths`, that only the convolutions look at. The output `next_state`, of the same
shape, is the state where each direction leaves the stretch. A network that normalises each recording by itself also
takes the `recording_mean` and `recording_scale` (n_features,) of the whole recording.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from audiornn.errors import ModelFileError, SettingsError
from audiornn.features import FeatureSettings
from audiornn.files import is_unicode
from audiornn.vocabulary import Vocabulary

__all__ = ["FORMAT", "METADATA_KEY", "WAVEFORM_KEY", "ModelCard", "frames_lasting", "open_model_file"]

#: Raised when a listener of the previous version could not read the file rightly.
FORMAT = 2
METADATA_KEY = "audiornn"
#: In the metadata of what `audiornn export --waveform-input` wrote, for runtimes where this package is not.
WAVEFORM_KEY = "audiornn_waveform"


@dataclass(frozen=True)
class ModelCard:
    """What a model file says of itself.

    Attributes:
        task: "transcribe", "classify", "label" or "regress".
        features: how to compute its input.
        vocabulary: of its output.
        stride: feature frames an output frame.
        front_context: feature frames that an output sees before and after its own, outside the recurrent layers.
        timing: seconds from where CTC shows a word's first symbol to where the word begins, and from its last one to
            where it ends, as measured on dev.
        confidence: slope and intercept that make a word's log-odds calibrated, as fitted on dev.
        recipe: the recipe's name.
        licence: of the training recordings.
        network: the network's settings and its number of parameters.
        training: steps, seed, sizes of the splits, and their digests, by which `evaluate` knows them again.
        results: error rates measured so far, by split.
        spotting: when a keyword's score becomes a hit, as `listen.keywords` reads it; empty is its defaults.
        decoding: how its log-probabilities become text, as `listen.decoders` reads it; empty is greedy.
        thresholds: of a classifier whose labels are independent, by label: the probability from which each is said to
            hold, as chosen on dev; a half where none is named.
        segments: how the labels of frames become segments, as `listen.segments` reads it; empty is the most probable
            label of each frame.
    """

    task: str
    features: FeatureSettings
    vocabulary: Vocabulary
    stride: int = 1
    front_context: tuple[int, int] = (0, 0)
    timing: tuple[float, float] = (0.0, 0.0)
    confidence: tuple[float, float] = (1.0, 0.0)
    recipe: str = ""
    licence: str = ""
    network: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    spotting: Mapping[str, Any] = field(default_factory=dict)
    decoding: Mapping[str, Any] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    segments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spots(self) -> bool:
        """Whether it was trained to find keywords: then these count, and not the frames that it labels."""
        return "false_alarms_per_hour" in self.training

    @property
    def output_seconds(self) -> float:
        """Seconds from an output frame to the next."""
        return self.stride * self.features.frame_seconds

    @property
    def window_seconds(self) -> float:
        """Of the recordings that it learnt from, in the median; a second where the file does not say."""
        return float(self.training.get("window_seconds", 1.0))

    def check_task(self, task: str, what_it_does: str) -> None:
        """Raise unless the model's task is this one.

        Raises:
            ModelFileError: it is another; says what only a model of this task does.
        """
        if self.task != task:
            raise ModelFileError(f"this model's task is {self.task!r}; only one of task {task!r} {what_it_does}")

    def _check_types(self) -> None:
        """Raise a TypeError for a field of another type than `to_json` writes."""
        for entry in fields(self):
            value, kind = getattr(self, entry.name), str(entry.type).partition("[")[0]
            wanted = {"str": str, "int": int, "tuple": tuple, "Mapping": Mapping}.get(kind, object)
            if not isinstance(value, wanted) or (isinstance(value, tuple) and len(value) != 2):
                raise TypeError(f"{entry.name} is {value!r}")
        if not all(isinstance(symbol, str) for symbol in self.vocabulary.symbols):
            raise TypeError("a symbol is no text")

    def to_json(self) -> str:
        """The metadata's text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, where: str) -> ModelCard:
        """Read the metadata's text; `where` names the file in errors.

        Raises:
            ModelFileError: written by a newer version, or damaged.
        """
        try:
            entry = json.loads(text)
            version = entry.pop("format")
            if version > FORMAT:
                raise ModelFileError(
                    f"{where}: is a model file of format {version}, this audiornn reads up to {FORMAT}; "
                    "upgrade with `pip install --upgrade audiornn`"
                )
            if version < FORMAT:
                raise ModelFileError(
                    f"{where}: is a model file of format {version}, this audiornn reads {FORMAT}; train it again"
                )
            for pair in ("front_context", "timing", "confidence"):
                entry[pair] = tuple(entry[pair])
            card = cls(
                features=FeatureSettings(**entry.pop("features")),
                vocabulary=Vocabulary.from_json(entry.pop("vocabulary")),
                **entry,
            )
            card._check_types()
            return card
        except (ValueError, KeyError, TypeError, AttributeError, SettingsError) as error:
            raise ModelFileError(f"{where}: its audiornn metadata cannot be read ({error}); export it again") from None


def frames_lasting(seconds: float, output_seconds: float) -> int:
    """The fewest output frames, `output_seconds` apart, that last so long."""
    return math.ceil(seconds / output_seconds - 1e-6)


def open_model_file(path: str | Path, *, threads: int = 1) -> tuple[Any, ModelCard]:
    """Open a model file with onnxruntime.

    Args:
        path: of the file.
        threads: onnxruntime may use for one utterance; a small network is fastest on one.

    Returns:
        The `onnxruntime.InferenceSession` and the card.

    Raises:
        ModelFileError: missing, not ONNX, not one of ours, or from a newer version.
    """
    path = Path(path)
    if not path.is_file():
        kind = "is a folder, not a model file" if path.is_dir() else "no such model file"
        raise ModelFileError(f"{path}: {kind}; `audiornn train` writes runs/RECIPE/model.onnx")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        named = str(path) if is_unicode(str(path)) else path.read_bytes()
        session = onnxruntime.InferenceSession(named, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no root of their own
        if not os.access(path, os.R_OK):
            raise ModelFileError(f"{path}: this user may not read it; ask its owner") from None
        reason = " ".join(str(error).split())[:120]
        raise ModelFileError(
            f"{path}: not a model file, or a damaged one ({reason}); export or copy it again"
        ) from None
    try:
        metadata = session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError:
        raise ModelFileError(f"{path}: its metadata is damaged; export or copy it again") from None
    if WAVEFORM_KEY in metadata:
        raise ModelFileError(
            f"{path}: takes samples, for runtimes without audiornn; listen with the file it was exported from"
        )
    if METADATA_KEY not in metadata:
        raise ModelFileError(f"{path}: an ONNX model, but not one that audiornn wrote; it says nothing of its features")
    card = ModelCard.from_json(metadata[METADATA_KEY], str(path))
    _check_fit(session, card, path)
    return session, card


def _check_fit(session: Any, card: ModelCard, path: Path) -> None:
    """What the card says must be what the graph takes and gives."""
    try:
        takes = {value.name: value.shape for value in session.get_inputs()}
        gives = {value.name: value.shape for value in session.get_outputs()}
        fits = (
            takes["features"][-1] == card.features.n_features
            and gives["log_probs"][-1] == len(card.vocabulary)
            and len(gives["log_probs"]) == (2 if card.task == "classify" else 3)
        )
    except (KeyError, IndexError, UnicodeDecodeError):
        fits = False
    if not fits or card.task not in ("transcribe", "classify", "label", "regress") or card.stride < 1:
        raise ModelFileError(f"{path}: its graph is not the one its metadata describes; export or copy it again")
