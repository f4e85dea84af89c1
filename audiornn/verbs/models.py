"""info, export: a model file, and where commands find one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiornn.errors import AudiornnError, ModelFileError, SettingsError
from audiornn.files import json_line
from audiornn.verbs.terminal import say

if TYPE_CHECKING:
    from audiornn.corpus.manifest import Utterance
    from audiornn.listen.decoders import Decoding
    from audiornn.listen.folders import Recording
    from audiornn.listen.language_model import LanguageModel
    from audiornn.listen.recognizer import Recognizer
    from audiornn.model_file import ModelCard
    from audiornn.vocabulary import Vocabulary

__all__ = [
    "decoding_of_options",
    "decoding_with",
    "export",
    "info",
    "last_model",
    "load",
    "recordings_of",
    "split_of_model",
    "tell_unspelled",
]


_NAMED = 5  # of what is too much for a line


def recordings_of(files: Sequence[str]) -> tuple[list[Recording], int]:
    """The recordings that files and folders name, and of how many folders none is heard, each of which is told."""
    from audiornn.listen.folders import find_recordings

    recordings, strange, unheard = find_recordings(files)
    for file, why in strange[:_NAMED]:
        say(f"audiornn: {file}: {why}")
    if len(strange) > _NAMED:
        say(f"audiornn: and {len(strange) - _NAMED:,} others likewise")
    for folder, why in unheard:
        say(f"audiornn: {folder}: {why}")
    return recordings, len(unheard)


def decoding_with(recognizer: Recognizer, options: Mapping[str, Any]) -> Recognizer:
    """The model as the decoding options want it."""
    if not options:
        return recognizer
    return recognizer.decode_with(decoding_of_options(recognizer.card, options))


def decoding_of_options(card: ModelCard, options: Mapping[str, Any]) -> Decoding:
    """The decoding that options ask for; of a language model it is told which words will never be read."""
    from audiornn.listen.decoders import choose_decoding

    decoding = choose_decoding(card, **options)
    if "lm" in options and decoding.language_model is not None:
        tell_unspelled(decoding.language_model, card.vocabulary, str(options["lm"]))
    return decoding


def tell_unspelled(model: LanguageModel, vocabulary: Vocabulary, name: str) -> None:
    """Tell which words of a language model no network of this vocabulary can read."""
    from audiornn.listen.search_graph import spell_words

    _, unspelled = spell_words(model.words, vocabulary)
    if unspelled:
        shown = ", ".join(unspelled[:_NAMED]) + ", …" * (len(unspelled) > _NAMED)
        say(
            f"note: {name}: {len(unspelled):,} of {len(model.words):,} words will never be read, for the "
            f"recipe's {vocabulary.unit}s cannot spell them: {shown}"
        )


def export(
    model: Path | None,
    quantize: str | None,
    waveform_input: bool,
    start: Path | None,
    output: Path | None,
    data: Path,
    runs: Path,
) -> int:
    """`audiornn export`: a model file in another form."""
    import tempfile

    if quantize is None and not waveform_input and start is None:
        raise SettingsError(
            "export makes another form of a model: name --quantize int8, --waveform-input, or both; or --start FILE"
        )
    if start is not None:
        return _export_start(
            model, start, runs, other_forms=quantize is not None or waveform_input or output is not None
        )
    recognizer, path = load(model, runs)
    form = (".int8" if quantize else "") + (".waveform" if waveform_input else "")
    output = output or path.with_suffix(f"{form}.onnx")
    if output.resolve() == path.resolve():
        raise SettingsError(f"{output}: is the model itself; name another file")
    with tempfile.TemporaryDirectory() as folder:
        source = path
        if quantize is not None:
            from audiornn.train.quantize import quantize_int8

            source = Path(folder) / "int8.onnx" if waveform_input else output
            quantize_int8(path, source)
        if waveform_input:
            from audiornn.train.waveform_graph import write_waveform_model

            write_waveform_model(source, output)
            rate = recognizer.card.features.sample_rate
            print(f"{output}: takes `waveform`, mono float32 samples at {rate:,} Hz, and gives `log_probs`")
        if quantize is not None:
            before, after = path.stat().st_size, output.stat().st_size
            times = f"{before / after:.1f} times smaller" if after < before else "no smaller"
            times = f"{times}, with the features in its graph" if waveform_input else times
            print(f"{output}: int8, {after:,} bytes of {before:,}, {times}", flush=True)
            _print_cost(recognizer, source, data)
    return 0


def _export_start(model: Path | None, file: Path, runs: Path, *, other_forms: bool) -> int:
    """`audiornn export --start`: what a run has learnt, for other trainings to start from."""
    from audiornn.train.transfer import read_start, write_start

    if other_forms:
        raise SettingsError(
            "--start FILE is a file of its own, for training; leave out --quantize, --waveform-input, --output"
        )
    run = last_model(runs).parent if model is None else model if model.is_dir() else model.parent
    if model is not None and not model.exists():
        raise SettingsError(f"{model}: no such run")
    if file.exists():
        raise SettingsError(f"{file}: is there already; name another file")
    start = read_start(run)
    write_start(file, start)
    print(
        f"{file}: {file.stat().st_size:,} bytes of {run}, in half precision; `audiornn train --from {file}`, or "
        f'start = "{file}" under [training], begins with it'
    )
    return 0


def _print_cost(original: Recognizer, changed: Path, data: Path) -> None:
    """The error rates on dev of a model and of another form of it, where its corpus is there."""
    from audiornn.listen.recognizer import load_model

    try:
        utterances = split_of_model(original, "dev", data)
        rows = [
            f"  {name:8} {_headline(recognizer, utterances)}"
            for name, recognizer in (("float32", original), ("int8", load_model(changed)))
        ]
    except AudiornnError as error:
        say(f"audiornn: what it costs was not measured: {error}")
        return
    print("\n".join(["errors on dev", *rows]))


def _headline(recognizer: Recognizer, utterances: Sequence[Utterance]) -> str:
    """What a model gets wrong of dev, in a line: of a spotter what it misses and where it fires by mistake."""
    card = recognizer.card
    if not card.spots:
        from audiornn.evaluate.scoring import report_on

        return report_on(recognizer, utterances, "dev").headline
    from audiornn.evaluate.spotting import evaluate_spotting, hear
    from audiornn.listen.keywords import default_keywords, settings_of

    keywords = default_keywords(card)
    heard, _ = hear(recognizer, utterances, keywords, "dev")
    total = evaluate_spotting(card, heard, keywords, settings_of(card), "dev").total
    return f"{total.missed} of {total.said} missed, {total.false_alarms} false alarms in {total.hours:.3g} h"


def info(model: Path | None, runs: Path, output_format: str) -> int:
    """`audiornn info`: a model file's card."""
    recognizer, path = load(model, runs)
    card = recognizer.card
    if output_format == "json":
        entry = json.loads(card.to_json())
        if "language_model" in entry["decoding"]:
            entry["decoding"]["language_model"] = f"{len(entry['decoding']['language_model']):,} bytes"
        print(json_line({"model": str(path), **entry}))
        return 0
    symbols = list(card.vocabulary.symbols)
    shown = ", ".join(map(repr, symbols[:40])) + (f", … ({len(symbols)} in all)" if len(symbols) > 40 else "")
    unit = f"{card.vocabulary.unit}s" + ", any number at once" * card.vocabulary.several
    features = card.features
    rows = {
        "model file": f"{path} ({path.stat().st_size:,} bytes)",
        "task": card.task,
        "recipe": card.recipe,
        "features": f"{features.n_features} ({features.kind}, {features.deltas} deltas), {features.sample_rate:,} Hz, "
        f"{1000 * features.win_length / features.sample_rate:g} ms every {1000 * features.frame_seconds:g} ms, "
        f"normalisation {features.normalisation}",
        "network": _network(card),
        "vocabulary": f"{len(symbols)} {unit}: {shown}",
        **({"decoding": _decoding(card.decoding)} if card.task == "transcribe" else {}),
        **({"segments": _segments(card.segments)} if card.task == "label" else {}),
        "training": ", ".join(f"{key} {value}" for key, value in card.training.items() if key != "digests"),
        "licence": card.licence or "not stated",
        **({"thresholds": ", ".join(f"{k} {v:.3g}" for k, v in card.thresholds.items())} if card.thresholds else {}),
        **({"spots": ", ".join(_spotted(card.spotting))} if card.spotting.get("thresholds") else {}),
        **{f"result on {split}": _result(card, result) for split, result in card.results.items()},
    }
    width = max(map(len, rows))
    for key, value in rows.items():
        print(f"{key:{width}}  {value}")
    return 0


def _network(card: ModelCard) -> str:
    """Its shape from the features on, and what it takes; of the model's own keys those that its shape has."""
    network = card.network
    front, millions = network.get("front", "none"), network.get("multiply_adds_a_second", 0) / 1e6
    layers = f"{network.get('front_layers')} × {network.get('front_channels')} " if front == "conv2d" else ""
    parts = [
        *([f"{layers}{front}"] if front != "none" else []),
        f"{network.get('n_layers')} × {network.get('n_units')} {'bidirectional ' * bool(network.get('bidirectional'))}"
        f"{network.get('cell')}",
        *([str(network.get("pooling"))] if card.task == "classify" else []),
    ]
    return (
        f"{' → '.join(parts)}, {network.get('n_parameters', 0):,} parameters, "
        f"{millions:{',.0f' if millions >= 10 else '.2g'}} M multiply-adds a second, "
        f"an output every {1000 * card.output_seconds:g} ms"
    )


def _result(card: ModelCard, result: Mapping[str, Any]) -> str:
    if card.task == "regress" and card.network.get("bins"):
        return f"cross-entropy {result['loss']:.4g} nats a value"
    if card.task == "regress":
        return f"mean squared error {result['loss']:.4g} of the tracks' variance"
    rate = 100 * result["errors"] / max(1, result["reference_length"])
    alarms = f", {result['false_alarms']} false alarms in {result['hours']:.3g} h" if "hours" in result else ""
    return f"error rate {rate:.2f} % ({result['errors']:,} of {result['reference_length']:,}){alarms}"


def _decoding(decoding: Mapping[str, Any]) -> str:
    shown = {**decoding, "language_model": "yes" if "language_model" in decoding else "no"}
    return ", ".join(f"{key} {value}" for key, value in shown.items()) if decoding else "greedy"


def _segments(settings: Mapping[str, Any]) -> str:
    if not settings:
        return "the most probable label of each frame"
    shared = ", ".join(f"{key} {value:g}" for key, value in settings.items() if key != "labels")
    labels = [f"{label}: onset {rule['onset']:g}" for label, rule in settings["labels"].items()]
    return "; ".join(filter(None, [shared, *labels]))


def _spotted(spotting: Mapping[str, Any]) -> list[str]:
    return [f"{keyword} from {onset:g}" for keyword, (onset, _) in spotting["thresholds"].items()]


def last_model(runs: Path) -> Path:
    """The model file that was trained last."""
    made = sorted(runs.glob("*/model.onnx"), key=lambda path: path.stat().st_mtime_ns)
    if not made:
        raise ModelFileError(
            f"no model yet in {runs}: train one with `audiornn prep RECIPE` and `audiornn train`, or name a model file"
        )
    return made[-1]


def load(model: Path | None, runs: Path, *, threads: int = 1) -> tuple[Recognizer, Path]:
    """A model file or a run's, or the one trained last, and where it lies."""
    from audiornn.listen.recognizer import load_model

    if model is None:
        model = last_model(runs)
        say(f"model {model}, trained last")
    elif model.is_dir():
        model = model / "model.onnx"
    return load_model(model, threads=threads), model


def split_of_model(recognizer: Recognizer, split: str, data: Path) -> Any:
    """A split of the corpus that the model was trained on, and on no other preparation of it."""
    from audiornn.corpus.preparation import open_prepared

    prepared = open_prepared(data / recognizer.card.recipe)
    trained_on = recognizer.card.training.get("digests", {})
    if trained_on.get("train") != prepared.digests["train"]:
        raise SettingsError(
            f"{prepared.folder}: prepared differently since this model was trained, so its {split} split may hold what "
            "the model learnt from; prepare it as before (same --set), or name a --manifest"
        )
    row = next(row for row in prepared.summary if row.split == split)
    if row.left_out and split != "train":
        say(
            f"note: of {row.utterances + row.left_out:,} utterances of {split} prep left {row.left_out:,} out "
            f"({prepared.folder / 'bad.txt'} says why); the figures are of the others"
        )
    return prepared.utterances(split)
