"""The command line: it parses, calls, and prints.

Every verb imports what it needs inside its own function, so that `--help` costs a tenth of a second and `transcribe`
never meets PyTorch.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiornn import __version__
from audiornn.errors import AudioError, AudiornnError, ModelFileError, SettingsError, TrainingError
from audiornn.files import explain_write_error

if TYPE_CHECKING:
    from audiornn.corpus.preparation import Prepared
    from audiornn.evaluate.report import Report
    from audiornn.listen.folders import Recording
    from audiornn.listen.keywords import SpotSettings
    from audiornn.listen.recognizer import Recognizer, SpotStream
    from audiornn.listen.results import KeywordSpot, Result
    from audiornn.recipe import Recipe

__all__ = ["main"]

_PARTIAL_FAILURE = 1
_FAILURE = 2
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 done in part, 2 not done."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a file name in no Unicode, an arrow in a Latin-1 log
    parsed = vars(_parser().parse_args(arguments))
    run: Callable[..., int] = parsed.pop("run_verb")
    try:
        return run(**parsed)
    except AudiornnError as error:
        _say(f"audiornn: {error}")
        return _FAILURE
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "audiornn":
            raise
        _say(f"audiornn: this needs {error.name}, which is not installed: pip install 'audiornn[train]'")
        return _FAILURE
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PARTIAL_FAILURE
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        _say(f"audiornn: {explain_write_error(error, Path(error.filename or '.'))}")
        return _FAILURE
    except KeyboardInterrupt:
        _say("audiornn: stopped")
        return _INTERRUPTED


def prep(
    recipe: str,
    corpus: Path | None,
    data: Path,
    jobs: int | None,
    skip_bad: bool,
    listen: int | None,
    overrides: list[str],
) -> int:
    """`audiornn prep`: a corpus becomes manifests and features."""
    from audiornn.corpus.preparation import prepare_corpus
    from audiornn.recipe import find_recipe, load_recipe

    folder, packaged = find_recipe(recipe)
    if packaged:
        _say(f"{recipe}: no such folder here; taking the recipe that comes with audiornn")
    loaded = load_recipe(folder, overrides)
    n_jobs = jobs or os.cpu_count() or 1
    if corpus is None and loaded.corpus_dir:
        corpus = folder / loaded.corpus_dir
    if corpus is None:
        if not loaded.makes_corpus:
            raise SettingsError(
                f"recipe {loaded.name} needs its corpus: name its folder with --corpus DIR; "
                f"where to get it stands in {folder}/README.md"
            )
        corpus = loaded.obtain(data / loaded.name / "corpus", jobs=n_jobs)
    with _progress("features", "utterance") as progress:
        prepared = prepare_corpus(
            loaded, corpus, data, overrides=overrides, n_jobs=n_jobs, skip_bad=skip_bad, progress=progress
        )
    _print_summary(prepared)
    if listen is not None:
        from audiornn.train.audition import write_examples

        examples = write_examples(prepared, loaded, prepared.folder / "listen", listen)
        print(f"{prepared.folder / 'listen'}: {len(examples)} training utterances as augmentation varies them, to hear")
    return 0


def audit(source: Path, output: Path | None, data: Path, jobs: int | None, output_format: str) -> int:
    """`audiornn audit`: what would spoil a result, in recordings that no recipe knows yet."""
    from audiornn.corpus.audit import audit_source, write_audit

    with _progress("listening", "recording") as progress:
        report, corpus, left_out = audit_source(source, n_jobs=jobs or os.cpu_count() or 1, progress=progress)
    folder = output or data / f"audit_{source.resolve().stem or 'recordings'}"
    write_audit(report, corpus, folder)
    for file, why in left_out:
        _say(f"audiornn: {file}: not audited: {why}")
    if output_format == "json":
        print(json.dumps({"source": str(source), **report.to_json()}, ensure_ascii=False))
    else:
        print(report.to_text())
        print(f"{folder}: audit.html shows and plays what is odd, audit.json has all figures")
    return _PARTIAL_FAILURE if report.errors else 0


def train(
    recipe: str | None,
    data: Path,
    run: Path | None,
    runs: Path,
    resume: bool,
    device: str | None,
    overrides: list[str],
) -> int:
    """`audiornn train`: a prepared corpus becomes a model file."""
    from audiornn.corpus.preparation import last_prepared, open_prepared

    if resume:
        run = run or _unfinished_run(runs, recipe)
        trained, prepared_name = _resumed_recipe(run, overrides)
        prepared = open_prepared(data / prepared_name)
    else:
        prepared = open_prepared(last_prepared(data) if recipe is None else data / Path(recipe).name)
        if recipe is None:
            _say(f"training {prepared.recipe.name}, prepared last, from {prepared.folder}")
        trained = _recipe_to_train(prepared, overrides)
        run = _new_run(runs, trained.name) if run is None else _empty_run(run)
    if device is not None:
        from dataclasses import replace

        trained = replace(trained, training=replace(trained.training, device=device))  # type: ignore[arg-type]

    from audiornn.train.loop import Interrupted
    from audiornn.train.loop import train as run_training

    try:
        model = run_training(prepared, trained, run, resume=resume, report=_say, show_progress=sys.stderr.isatty())
    except Interrupted as stop:
        _say(f"audiornn: {stop} (run {run})")
        return _INTERRUPTED
    print(f"{model}: the model file; `audiornn evaluate` scores it, `audiornn transcribe FILE` uses it")
    return 0


def evaluate(
    model: Path | None,
    split: str,
    manifest: Path | None,
    data: Path,
    runs: Path,
    look_aheads: list[float] | None,
    skip_bad: bool,
    output_format: str,
    spotting: dict[str, Any] | None = None,
    against: Path | None = None,
    folds: str | None = None,
    seeds: Sequence[int] = (1,),
    overrides: Sequence[str] = (),
    tune: bool = False,
    decoding: dict[str, Any] | None = None,
) -> int:
    """`audiornn evaluate`: error counts and intervals of a model."""
    from audiornn.corpus.manifest import read_manifest
    from audiornn.evaluate.report import evaluate as run_evaluation
    from audiornn.evaluate.report import look_ahead_table

    if folds is not None:
        return _evaluate_folds(model, seeds, overrides, data, runs, output_format)
    recognizer, path = _load(model, runs)
    if tune and not spotting:
        return _tune(recognizer, path, data, decoding or {}, output_format)
    recognizer = _decoding_with(recognizer, decoding)
    if manifest is not None:
        utterances, name = read_manifest(manifest), str(manifest)
    else:
        utterances, name = _split_of_model(recognizer, split, data), split
    if spotting:
        return _evaluate_spotting(
            recognizer, path, utterances, name, data, look_aheads, skip_bad, output_format, tune=tune, **spotting
        )

    def listen(look_ahead: float | None) -> Report:
        with _progress("listening", "recording") as progress:
            done = iter(range(1, len(utterances) + 1))
            return run_evaluation(
                recognizer,
                utterances,
                name,
                look_ahead=look_ahead,
                skip_bad=skip_bad,
                progress=lambda n: progress(next(done), len(utterances)),
            )

    report = listen(None)
    with_look_ahead = [(seconds, listen(seconds)) for seconds in look_aheads or ()]
    for line in report.unreadable:
        _say(f"audiornn: {line}")
    comparison = None
    if against is not None:
        from audiornn.evaluate.comparison import compare

        other, other_path = _load(against, runs)
        others = run_evaluation(other, utterances, name)
        (first, lengths), (second, other_lengths) = zip(*report.counts, strict=True), zip(*others.counts, strict=True)
        if lengths != other_lengths:
            raise SettingsError(f"{other_path}: counts other units than {path} or other recordings; nothing to compare")
        comparison = compare(first, second, lengths, exact=report.task == "classify")
    if output_format == "json":
        entry: dict[str, Any] = {"model": str(path), **report.to_json()}
        if with_look_ahead:
            entry["look_ahead"] = [{"seconds": seconds, **found.to_json()} for seconds, found in with_look_ahead]
        if comparison is not None:
            entry["against"] = {"model": str(other_path), **vars(comparison)}
        print(json.dumps(entry, ensure_ascii=False))
    else:
        print(f"{path} on {name}: {report.utterances:,} utterances\n{report.to_text()}")
        if with_look_ahead:
            print(f"\n{look_ahead_table(report, with_look_ahead)}")
        if comparison is not None:
            print(f"\n{path} against {other_path}: {comparison.to_text()}")
    return _PARTIAL_FAILURE if report.unreadable else 0


def _evaluate_spotting(
    recognizer: Recognizer,
    path: Path,
    utterances: Any,
    name: str,
    data: Path,
    look_aheads: list[float] | None,
    skip_bad: bool,
    output_format: str,
    *,
    keywords: list[str] | None = None,
    false_alarms_per_hour: float | None = None,
    tune: bool = False,
    tune_manifest: Path | None = None,
    inside_words: bool = False,
    tolerance: float | None = None,
    det: Path | None = None,
) -> int:
    """`audiornn evaluate --keyword`: misses and false alarms, at thresholds chosen on dev or at the model's own."""
    from audiornn.corpus.manifest import read_manifest
    from audiornn.evaluate.detection import TOLERANCE
    from audiornn.evaluate.spotting import evaluate_spotting, hear, tune_spotting, write_spotting
    from audiornn.listen.keywords import check_keywords, default_keywords, settings_of

    if (tune or tune_manifest) and false_alarms_per_hour is None:
        raise SettingsError("thresholds are chosen for a target: --false-alarms-per-hour 0.5")
    if look_aheads and len(look_aheads) > 1:
        raise SettingsError("keywords are evaluated with one --look-ahead at a time")
    card = recognizer.card
    tolerance = TOLERANCE if tolerance is None else tolerance
    chosen = check_keywords(card, default_keywords(card) if keywords is None else keywords)

    def listen(recordings: Any) -> Any:
        with _progress("listening", "recording") as progress:
            done = iter(range(1, len(recordings) + 1))
            return hear(
                recognizer,
                recordings,
                chosen,
                inside_words=inside_words,
                look_ahead=look_aheads[0] if look_aheads else None,
                skip_bad=skip_bad,
                progress=lambda n: progress(next(done), len(recordings)),
            )

    settings = settings_of(card)
    notes: tuple[str, ...] = ()
    if false_alarms_per_hour is not None:
        dev = read_manifest(tune_manifest) if tune_manifest else _split_of_model(recognizer, "dev", data)
        tuning = tune_spotting(card, listen(dev)[0], chosen, settings, false_alarms_per_hour, tolerance=tolerance)
        settings, notes = tuning.settings, tuning.notes
    heard, unreadable = listen(utterances)
    report = evaluate_spotting(
        card,
        heard,
        chosen,
        settings,
        name,
        tolerance=tolerance,
        target=false_alarms_per_hour,
        delay=recognizer.delay(look_aheads[0]) if look_aheads else 0.0,
        notes=notes,
        unreadable=unreadable,
    )
    for line in unreadable:
        _say(f"audiornn: {line}")
    if tune:
        write_spotting(path, card, settings)
    if det is not None:
        from audiornn.evaluate.explain import draw_det

        draw_det(det, report)
    if output_format == "json":
        entry = {"model": str(path), **report.to_json(), "settings": settings.to_json()}
        print(json.dumps(entry, ensure_ascii=False))
    else:
        print(f"{path} on {name}: {report.utterances:,} recordings, {report.hours:.3g} h\n{report.to_text()}")
        if tune:
            print(f"{path}: spots with these thresholds from now on")
    return _PARTIAL_FAILURE if unreadable else 0


def spot(
    files: list[str],
    microphone: bool,
    device: str | None,
    model: Path | None,
    runs: Path,
    keywords: list[str] | None,
    threshold: float | None,
    inside_words: bool,
    channel: int | None,
    look_ahead: float | None,
    command: str | None,
    explain: Path | None,
    output_format: str,
) -> int:
    """`audiornn spot`: keywords as they are said, in files, a pipe, or a microphone."""
    from dataclasses import asdict

    from audiornn.listen.folders import find_recordings
    from audiornn.listen.hit_command import HitCommand
    from audiornn.listen.keywords import check_keywords, default_keywords, settings_of
    from audiornn.listen.streaming import streams

    if microphone == bool(files):
        raise SettingsError("name recordings, - for standard input, or --microphone" + " alone" * microphone)
    if device is not None and not microphone:
        raise SettingsError("--device names a microphone: add --microphone")
    if explain is not None and (microphone or len(files) != 1 or files == ["-"] or Path(files[0]).is_dir()):
        raise SettingsError("--explain draws one recording: audiornn spot FILE --explain PNG")
    recognizer, path = _load(model, runs, threads=_n_cores())
    card = recognizer.card
    chosen = check_keywords(card, default_keywords(card) if keywords is None else keywords)
    settings = settings_of(card)
    if threshold is not None:
        settings = settings.with_onset(threshold, chosen)
    run = HitCommand(command, lambda line: _say(f"audiornn: {line}")) if command is not None else None
    several = len(files) > 1 or any(Path(file).is_dir() for file in files)

    def tell(found: KeywordSpot, audio: str) -> None:
        if output_format == "json":
            print(json.dumps({"audio": audio, **asdict(found), "model": str(path)}, ensure_ascii=False), flush=True)
        else:
            line = f"{found.start:.2f}\t{found.end:.2f}\t{found.keyword}\t{found.score:.3f}"
            print(f"{audio}\t{line}" if several else line, flush=True)
        if run is not None:
            run(found)

    try:
        if microphone or (files == ["-"] and streams(card)):
            stream = recognizer.spotter(chosen, settings=settings, inside_words=inside_words, look_ahead=look_ahead)
            return _spot_live(stream, card.features.sample_rate, microphone, device, channel, tell)
        recordings, empty = find_recordings(files)
        for folder in empty:
            _say(f"audiornn: {folder}: the folder holds no recordings")
        n_bad = len(empty)
        progress = _SecondsHeard()
        for recording in recordings:
            spots = []
            try:
                for found in recognizer.spots(
                    recording.path,
                    chosen,
                    settings=settings,
                    inside_words=inside_words,
                    channel=channel,
                    look_ahead=look_ahead,
                    progress=progress if len(recordings) == 1 else lambda seconds: None,
                ):
                    progress.clear()
                    tell(found, recording.path)
                    spots.append(found)
            except AudioError as error:
                n_bad += 1
                progress.clear()
                _say(f"audiornn: {error}")
        progress.clear()
        if explain is not None and not n_bad:
            _explain(recognizer, files[0], chosen, settings, spots, explain, inside_words, channel, look_ahead)
        return 0 if not n_bad else _FAILURE if n_bad == len(recordings) + len(empty) else _PARTIAL_FAILURE
    finally:
        if run is not None:
            run.check(wait=True)


def _spot_live(
    stream: SpotStream,
    sample_rate: int,
    microphone: bool,
    device: str | None,
    channel: int | None,
    tell: Callable[[KeywordSpot, str], None],
) -> int:
    """A microphone or standard input, which may never end; Ctrl-C is the way to end it."""
    from audiornn.audio import audio_blocks
    from audiornn.listen.live import Stopped, live_spots
    from audiornn.listen.microphone import microphone_blocks

    if microphone:
        chosen = int(device) if device is not None and device.isdecimal() else device
        blocks = microphone_blocks(
            sample_rate,
            device=chosen,
            opened=lambda: _say("listening; Ctrl-C ends it"),
            report=lambda line: _say(f"audiornn: {line}"),
        )
        name, audio = "the microphone", "microphone"
    else:
        blocks, name, audio = audio_blocks("-", sample_rate, channel=channel), "standard input", "-"
    for found in live_spots(stream, blocks, name=name):
        if isinstance(found, Stopped):
            _say(f"audiornn: {found.reason}")
            return _PARTIAL_FAILURE if stream.duration else _FAILURE
        tell(found, audio)
    return 0


def _explain(
    recognizer: Recognizer,
    file: str,
    keywords: Sequence[str],
    settings: SpotSettings,
    spots: list[KeywordSpot],
    picture: Path,
    inside_words: bool,
    channel: int | None,
    look_ahead: float | None,
) -> None:
    """Why a recording gave its hits, as a picture."""
    from audiornn.audio import load_audio
    from audiornn.evaluate.explain import draw_spots

    rate = recognizer.card.features.sample_rate
    waveform = load_audio(file, rate, channel=channel)
    scores, _ = recognizer.keyword_scores(waveform, keywords, rate, inside_words=inside_words, look_ahead=look_ahead)
    draw_spots(
        picture,
        waveform,
        rate,
        scores,
        keywords,
        settings,
        spots,
        recognizer.card.output_seconds,
        title=Path(file).name,
    )
    _say(f"{picture}: the recording, each keyword's score and thresholds, and the hits")


def _evaluate_folds(
    recipe: Path | None, seeds: Sequence[int], overrides: Sequence[str], data: Path, runs: Path, output_format: str
) -> int:
    """`audiornn evaluate --folds speaker`: a training for each speaker of dev and test and each seed."""
    from audiornn.corpus.preparation import last_prepared, open_prepared
    from audiornn.evaluate.report import evaluate as run_evaluation
    from audiornn.listen.recognizer import load_model
    from audiornn.train.folds import fold_table, speaker_folds, train_folds
    from audiornn.train.loop import train as run_training

    prepared = open_prepared(last_prepared(data) if recipe is None else data / recipe.name)
    trained = _recipe_to_train(prepared, overrides)
    scores = train_folds(
        speaker_folds(prepared),
        trained,
        runs / f"{trained.name}-folds",
        seeds,
        train=lambda fold, seeded, run, resume: run_training(
            fold, seeded, run, resume=resume, report=lambda line: None, show_progress=sys.stderr.isatty()
        ),
        score=lambda model, utterances, name: run_evaluation(load_model(model), utterances, name),
        report=_say,
    )
    if output_format == "json":
        for score in scores:
            print(json.dumps({"recipe": trained.name, "seeds": [*seeds], **vars(score)}, ensure_ascii=False))
    else:
        print(f"{trained.name}: each speaker of dev and test held out in turn\n{fold_table(scores, seeds)}")
    return 0


def _decoding_with(recognizer: Recognizer, options: dict[str, Any] | None) -> Recognizer:
    """The model as the decoding options want it."""
    if not options:
        return recognizer
    from audiornn.listen.decoders import choose_decoding

    return recognizer.decode_with(choose_decoding(recognizer.card, **options))


def _tune(recognizer: Recognizer, path: Path, data: Path, options: dict[str, Any], output_format: str) -> int:
    """`audiornn evaluate --tune`: the decoding that errs least on dev, kept in the model file."""
    from dataclasses import replace

    from audiornn.evaluate.tuning import hear, write_card
    from audiornn.evaluate.tuning import tune as run_tuning
    from audiornn.listen.decoders import choose_decoding
    from audiornn.listen.language_model import build_language_model

    vocabulary = recognizer.card.vocabulary
    decoding = choose_decoding(replace(recognizer.card, decoding={}), **options)  # not where the last tuning ended
    if "lm" not in options:
        texts = [vocabulary.normalise(u.text) for u in _split_of_model(recognizer, "train", data)]
        decoding = replace(decoding, language_model=build_language_model(texts))
        _say(f"language model of the {len(texts):,} training transcripts; --lm FILE.arpa takes another")
    dev = _split_of_model(recognizer, "dev", data)
    with _progress("listening", "recording") as progress:
        spoken = hear(recognizer, dev, lambda n: progress(n, len(dev)))
    with _progress("tuning", "trial") as progress:
        tuning = run_tuning(recognizer.card, spoken, decoding, progress=lambda n: progress(n, n))
    write_card(path, replace(recognizer.card, decoding=tuning.decoding.to_json()))
    if output_format == "json":
        print(json.dumps({"model": str(path), "split": "dev", **tuning.to_json()}, ensure_ascii=False))
    else:
        print(f"{tuning.to_text()}\n{path}: decodes so from now on; --greedy takes the best path alone")
    return 0


def lm(sources: list[str], recipe: str | None, order: int, output: Path | None, data: Path, output_format: str) -> int:
    """`audiornn lm`: a word n-gram model of training transcripts or of any text."""
    from audiornn.corpus.preparation import open_prepared
    from audiornn.listen.language_model import build_language_model, read_texts
    from audiornn.text import apply_rules

    files = [Path(source) for source in sources if Path(source).is_file()]
    recipes = [Path(source).name for source in sources if not Path(source).is_file()]
    if len(recipes) > 1 or (recipes and recipe):
        raise SettingsError(
            f"{', '.join(recipes)}: no such text files; and one recipe at most, whose rules all texts follow"
        )
    name = Path(recipe).name if recipe else recipes[0] if recipes else None
    prepared = open_prepared(data / name) if name else None
    normalise = prepared.vocabulary.normalise if prepared else apply_rules
    texts = [normalise(line) for file in files for line in read_texts(file)]
    if recipes and prepared:
        texts += [normalise(utterance.text) for utterance in prepared.utterances("train")]
    model = build_language_model(texts, order)
    output = output or (Path(f"{name}.arpa") if recipes else files[0].with_suffix(".arpa"))
    if output in files:
        raise SettingsError(f"{output}: would write over the text it is built from; name another file with --output")
    model.write(output)
    entry: dict[str, Any] = {
        "file": str(output),
        "sentences": len(texts),
        "words": sum(len(text.split()) for text in texts),
        "ngrams": [len(entries) for entries in model.ngrams],
    }
    if prepared:
        dev = model.perplexity([normalise(utterance.text) for utterance in prepared.utterances("dev")])
        entry["dev"] = {"perplexity": dev.perplexity, "words": dev.words, "unknown": dev.unknown}
    if output_format == "json":
        print(json.dumps(entry, ensure_ascii=False))
        return 0
    counts = ", ".join(f"{count:,} of {n} words" for n, count in enumerate(entry["ngrams"], start=1))
    print(f"{output}: built from {entry['words']:,} words in {entry['sentences']:,} sentences; n-grams: {counts}")
    if prepared and dev.words:
        print(
            f"dev transcripts of {name}: perplexity {dev.perplexity:.1f} a word, "
            f"{dev.unknown:,} of {dev.words:,} words unknown ({100 * dev.unknown / dev.words:.1f} %)"
        )
    return 0


def transcribe(
    files: list[str],
    model: Path | None,
    runs: Path,
    channel: int | None,
    look_ahead: float | None,
    threads: int | None,
    output_dir: Path | None,
    output_format: str,
    decoding: dict[str, Any] | None = None,
) -> int:
    """`audiornn transcribe`: recordings become text or labels."""
    from audiornn.listen.streaming import streams

    recognizer, path = _load(model, runs, threads=threads or _n_cores())
    recognizer = _decoding_with(recognizer, decoding)
    words = recognizer.card.task == "transcribe" and streams(recognizer.card)
    if files == ["-"] and output_dir is None and output_format in ("text", "json") and words:
        return _transcribe_live(recognizer, path, channel, look_ahead, output_format)

    def listen(recording: Recording, progress: Callable[[float], None]) -> Result:
        return recognizer.transcribe(recording.path, channel=channel, look_ahead=look_ahead, progress=progress)

    return _write_results(listen, "read", files, recognizer, path, threads, output_dir, output_format)


def align(
    files: list[str],
    text: str | None,
    manifest: Path | None,
    model: Path | None,
    runs: Path,
    channel: int | None,
    threads: int | None,
    output_dir: Path | None,
    output_format: str,
) -> int:
    """`audiornn align`: when each word of a known text is said."""
    if manifest is not None:
        if files or text is not None:
            raise SettingsError("a --manifest names its own recordings and texts; leave out FILE and --text")
        utterances = _texts_of_manifest(manifest)
        texts = {utterance[0]: utterance[1] for utterance in utterances}
        files = list(texts)
        if len(texts) < len(utterances):
            raise SettingsError(f"{manifest}: names a recording twice; align its parts one by one, with --text")
    elif len(files) != 1 or text is None:
        raise SettingsError("name a recording and its text, audiornn align FILE --text '…', or a --manifest")
    else:
        texts = {files[0]: text}
    recognizer, path = _load(model, runs)

    def listen(recording: Recording, progress: Callable[[float], None]) -> Result:
        return recognizer.align(recording.path, texts[recording.path], channel=channel)

    return _write_results(listen, "aligned", files, recognizer, path, threads, output_dir, output_format)


def _write_results(
    listen: Callable[[Recording, Callable[[float], None]], Result],
    done: str,
    files: list[str],
    recognizer: Recognizer,
    model: Path,
    threads: int | None,
    output_dir: Path | None,
    output_format: str,
) -> int:
    """Listen to recordings side by side and print what was heard in their order, or write each to a file of its own."""
    from audiornn.errors import AudioError, CorpusError
    from audiornn.files import write_atomically
    from audiornn.listen.folders import find_recordings, in_order, output_files
    from audiornn.listen.formats import FORMATS, format_result, to_json

    recordings, empty = find_recordings(files)
    for folder in empty:
        _say(f"audiornn: {folder}: the folder holds no recordings")
    several = len(recordings) > 1 or files != [recording.path for recording in recordings]
    if several and output_dir is None and output_format in ("srt", "vtt", "textgrid"):
        raise SettingsError(f"--format {output_format} is a file a recording: name a folder for them, --output-dir DIR")
    outputs = output_files(recordings, output_dir, FORMATS[output_format]) if output_dir is not None else []
    progress = _SecondsHeard()
    show_progress = progress if len(recordings) == 1 else lambda seconds: None

    def heard(recording: Recording) -> Result | AudiornnError:
        try:
            return listen(recording, show_progress)
        except (AudioError, CorpusError) as error:
            return error

    n_threads = min(len(recordings) or 1, threads or _n_cores())
    n_failed = 0
    for i, result in enumerate(in_order(heard, recordings, n_threads)):
        progress.clear()
        recording = recordings[i].path
        if isinstance(result, AudiornnError):
            n_failed += 1
            where = "" if recording in str(result) or recording == "-" else f"{recording}: "
            _say(f"audiornn: {where}{result}")
            continue
        task = recognizer.card.task
        if output_format == "json":
            entry = {**to_json(result, audio=recording, task=task), "model": str(model)}
            shown = json.dumps(entry, ensure_ascii=False) + "\n"
        else:
            shown = format_result(result, output_format, audio=recording, task=task)
        if output_format == "text" and several and not outputs:
            shown = "".join(f"{recording}\t{line}\n" for line in shown.removesuffix("\n").split("\n"))
        if outputs:
            with write_atomically(outputs[i]) as out:
                out.write(shown.encode(errors="surrogateescape"))
        else:
            print(shown, end="", flush=True)
    if n_failed and len(recordings) > 1:
        _say(f"audiornn: {n_failed} of {len(recordings):,} recordings could not be {done}")
    if outputs and n_failed < len(recordings):
        _say(f"{output_dir}: {len(recordings) - n_failed:,} files written")
    n_all = len(recordings) + len(empty)
    n_bad = n_failed + len(empty)
    return 0 if not n_bad else _FAILURE if n_bad == n_all else _PARTIAL_FAILURE


def _transcribe_live(
    recognizer: Recognizer, model: Path, channel: int | None, look_ahead: float | None, output_format: str
) -> int:
    """Standard input, which may never end: each phrase is printed as soon as it is over."""
    from dataclasses import asdict

    from audiornn.audio import audio_blocks
    from audiornn.listen.live import Stopped, live_phrases

    blocks = audio_blocks("-", recognizer.card.features.sample_rate, channel=channel)
    stream = recognizer.stream(look_ahead=look_ahead)
    for n_before, phrase in enumerate(live_phrases(stream, blocks, name="standard input")):
        if isinstance(phrase, Stopped):
            _say(f"audiornn: {phrase.reason}")
            return _PARTIAL_FAILURE if n_before else _FAILURE
        if output_format == "json":
            entry = {"audio": "-", "task": recognizer.card.task, **asdict(phrase), "model": str(model)}
            print(json.dumps(entry, ensure_ascii=False), flush=True)
        else:
            print(phrase.text, flush=True)
    return 0


def export(
    model: Path | None,
    quantize: str | None,
    waveform_input: bool,
    output: Path | None,
    data: Path,
    runs: Path,
) -> int:
    """`audiornn export`: a model file in another form."""
    import tempfile

    if quantize is None and not waveform_input:
        raise SettingsError("export makes another form of a model: name --quantize int8, --waveform-input, or both")
    recognizer, path = _load(model, runs)
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
            sizes = [file.stat().st_size for file in (path, source)]
            print(f"{output}: int8, {sizes[1]:,} bytes of {sizes[0]:,}, {sizes[0] / sizes[1]:.1f} times smaller")
            _print_cost(recognizer, source, data)
        if waveform_input:
            from audiornn.train.waveform_graph import write_waveform_model

            write_waveform_model(source, output)
            rate = recognizer.card.features.sample_rate
            print(f"{output}: takes `waveform`, mono float32 samples at {rate:,} Hz, and gives `log_probs`")
    return 0


def _print_cost(original: Recognizer, changed: Path, data: Path) -> None:
    """The error rates on dev of a model and of another form of it, where its corpus is there."""
    from audiornn.evaluate.report import evaluate as run_evaluation
    from audiornn.listen.recognizer import load_model

    try:
        utterances = _split_of_model(original, "dev", data)
    except AudiornnError as error:
        _say(f"audiornn: what it costs was not measured: {error}")
        return
    print("error rate on dev")
    for name, recognizer in (("float32", original), ("int8", load_model(changed))):
        found = run_evaluation(recognizer, utterances, "dev")
        counts = f"{found.errors:,} of {found.reference_length:,} {found.unit}"
        print(f"  {name:8} {100 * found.error_rate:6.2f} %  ({counts})")


def info(model: Path | None, runs: Path, output_format: str) -> int:
    """`audiornn info`: a model file's card."""
    recognizer, path = _load(model, runs)
    card = recognizer.card
    if output_format == "json":
        entry = json.loads(card.to_json())
        if "language_model" in entry["decoding"]:
            entry["decoding"]["language_model"] = f"{len(entry['decoding']['language_model']):,} bytes"
        print(json.dumps({"model": str(path), **entry}, ensure_ascii=False))
        return 0
    decoding = {**card.decoding}
    decoding["language_model"] = "yes" if "language_model" in decoding else "no"
    symbols = list(card.vocabulary.symbols)
    shown = ", ".join(map(repr, symbols[:40])) + (f", … ({len(symbols)} in all)" if len(symbols) > 40 else "")
    features = card.features
    network = {**card.network}
    rows = {
        "model file": f"{path} ({path.stat().st_size:,} bytes)",
        "task": card.task,
        "recipe": card.recipe,
        "features": f"{features.n_features} ({features.kind}, {features.deltas} deltas), {features.sample_rate:,} Hz, "
        f"{1000 * features.win_length / features.sample_rate:g} ms every {1000 * features.frame_seconds:g} ms, "
        f"normalisation {features.normalisation}",
        "network": f"{network.get('n_layers')} × {network.get('n_units')} "
        f"{'bidirectional ' if network.get('bidirectional') else ''}{network.get('cell')}, "
        f"{network.get('n_parameters', 0):,} parameters, "
        f"{network.get('multiply_adds_a_second', 0) / 1e6:.0f} M multiply-adds a second, "
        f"an output every {1000 * card.output_seconds:g} ms",
        "vocabulary": f"{len(symbols)} {card.vocabulary.unit}s: {shown}",
        "decoding": ", ".join(f"{key} {value}" for key, value in decoding.items()) if card.decoding else "greedy",
        "training": ", ".join(f"{key} {value}" for key, value in card.training.items() if key != "digests"),
        "licence": card.licence or "not stated",
        **({"spots": ", ".join(_spotted(card.spotting))} if card.spotting.get("thresholds") else {}),
        **{
            f"result on {split}": f"error rate {100 * result['errors'] / max(1, result['reference_length']):.2f} % "
            f"({result['errors']:,} of {result['reference_length']:,})"
            for split, result in card.results.items()
        },
    }
    width = max(map(len, rows))
    for key, value in rows.items():
        print(f"{key:{width}}  {value}")
    return 0


def _spotted(spotting: Mapping[str, Any]) -> list[str]:
    return [f"{keyword} from {onset:g}" for keyword, (onset, _) in spotting["thresholds"].items()]


def new(
    name: str,
    source: Path,
    recipes: Path,
    other: Path | None,
    layout: str,
    text: str,
    audio: str,
    speaker: str,
    task: str,
    encoding: str,
    skip_bad: bool,
    output_format: str,
) -> int:
    """`audiornn new`: a recipe for recordings of one's own."""
    from audiornn.corpus.layouts.survey import named
    from audiornn.corpus.new_recipe import write_recipe

    made = write_recipe(
        name,
        source,
        recipes=recipes,
        layout=layout,
        text=text,
        audio=audio,
        speaker=speaker,
        task=task,
        encoding=encoding,
        skip_bad=skip_bad,
        other=other,
    )
    if output_format == "json":
        print(json.dumps(made.to_json(), ensure_ascii=False))
        return 0
    print(f"{made.folder}: a recipe to {made.collection.task} {source} (layout {made.collection.layout})")
    left_out: dict[str, list[str]] = {}
    for file, why in made.collection.left_out:
        left_out.setdefault(why, []).append(file)
    for title, lines in (
        ("understood", made.understood),
        ("guessed", made.guessed),
        ("left out", [f"{len(files):,} × {why}: {named(files, 3)}" for why, files in left_out.items()]),
        ("know", made.warnings),
    ):
        if lines:
            print("\n".join([f"\n{title}", *(f"  {line}" for line in lines)]))
    kind = "labels" if made.collection.task == "classify" else "texts"
    print(f"\n{'split':6} {'utterances':>10} {'speakers':>9} {kind:>7}")
    for split, row in made.counts().items():
        print(f"{split:6} {row['utterances']:10,} {row['speakers']:9,} {row['labels']:7,}")
    print("\nnext\n" + "\n".join(f"  {command}" for command in made.commands))
    return 0


def demo(data: Path, runs: Path) -> int:
    """`audiornn demo`: the whole road on speech it synthesises itself."""
    from audiornn.corpus.preparation import open_prepared
    from audiornn.listen.recognizer import load_model

    recipe = "recipes/spoken_digits"
    steps: list[tuple[str, Callable[[], int]]] = [
        (
            f"audiornn prep {recipe}",
            lambda: prep(recipe, corpus=None, data=data, jobs=None, skip_bad=False, listen=None, overrides=[]),
        ),
        (
            "audiornn train",
            lambda: train(recipe, data=data, run=None, runs=runs, resume=False, device=None, overrides=[]),
        ),
        (
            "audiornn evaluate",
            lambda: evaluate(
                None, "test", None, data=data, runs=runs, look_aheads=None, skip_bad=False, output_format="text"
            ),
        ),
    ]
    for command, step in steps:
        print(f"\n$ {command}", flush=True)
        code = step()
        if code:
            return code
    model = _last_model(runs)
    recognizer = load_model(model)
    utterances = open_prepared(data / "spoken_digits").utterances("test")
    print("\n$ audiornn transcribe …   five recordings whose voices and strings it never heard in training\n")
    for utterance in utterances[:: max(1, len(utterances) // 5)][:5]:
        heard = recognizer.transcribe(utterance.audio)
        print(f"  said   {utterance.text}\n  heard  {getattr(heard, 'text', '')}\n")
    print(
        f"The model lies in {model} ({model.stat().st_size / 1e6:.1f} MB) and needs neither PyTorch nor this folder.\n"
        "Next: audiornn transcribe FILE                         a recording of yours, digits in English\n"
        "      audiornn info                                    what the model file says of itself\n"
        "      audiornn new NAME --from DIR                     recordings of your own\n"
        "      audiornn prep recipes/speechcommands && audiornn train     real speech, fetched from its publisher"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="audiornn",
        description="Recordings in, a small recurrent network out, and that network listens anywhere.",
        epilog="Start with `audiornn demo`: the whole road, offline, in a few minutes.",
    )
    parser.add_argument("--version", action="version", version=f"audiornn {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    def verb(run: Callable[..., int], summary: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(run.__name__, help=summary, description=summary)
        added.set_defaults(run_verb=run)
        return added

    def places(to: argparse.ArgumentParser, *names: str) -> None:
        if "data" in names:
            to.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="prepared corpora (data)")
        if "runs" in names:
            to.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="trained runs (runs)")
        if "set" in names:
            to.add_argument(
                "--set",
                dest="overrides",
                action="append",
                default=[],
                metavar="KEY=VALUE",
                help="change a setting of the recipe, e.g. training.epochs=5; may be given again",
            )
        if "format" in names:
            to.add_argument("--format", dest="output_format", choices=("text", "json"), default="text")

    p = verb(prep, "make manifests and features of a corpus")
    p.add_argument("recipe", metavar="RECIPE", help="a recipe's folder, or the name of one that comes with audiornn")
    p.add_argument("--corpus", type=Path, metavar="DIR", help="the corpus, in its published layout")
    p.add_argument("--jobs", type=_count, metavar="N", help="worker processes (one a core)")
    p.add_argument("--skip-bad", action="store_true", help="leave out, and count, utterances that cannot be used")
    p.add_argument("--listen", type=_count, metavar="N", help="write N augmented training utterances as audio, to hear")
    places(p, "data", "set")

    p = verb(audit, "look for what would spoil a result: leaks, copies, levels, labels")
    p.add_argument("source", type=Path, metavar="DIR|MANIFEST", help="recordings, a list of them, or a prepared folder")
    p.add_argument("--output", type=Path, metavar="DIR", help="where the report goes (data/audit_NAME)")
    p.add_argument("--jobs", type=_count, metavar="N", help="worker processes (one a core)")
    places(p, "data", "format")

    p = verb(train, "train the network of a prepared recipe and write its model file")
    p.add_argument("recipe", nargs="?", metavar="RECIPE", help="which (the one prepared last)")
    p.add_argument("--run", type=Path, metavar="DIR", help="the run's folder (runs/RECIPE, or the next free number)")
    p.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), help="where to compute (auto)")
    places(p, "data", "runs", "set")

    def decoding(to: argparse.ArgumentParser) -> None:
        group = to.add_argument_group("decoding", "instead of what the model file says")
        group.add_argument("--greedy", action=_Decoding, nargs=0, help="the best path, without a search")
        group.add_argument("--beam", action=_Decoding, type=_count, metavar="N", help="search with N hypotheses")
        group.add_argument("--lm", action=_Decoding, type=Path, metavar="FILE.arpa", help="a language model over words")
        group.add_argument("--lm-weight", action=_Decoding, type=float, metavar="W", help="exponent of its probability")
        group.add_argument("--word-bonus", action=_Decoding, type=float, metavar="NATS", help="gained by each word")
        group.add_argument(
            "--words", action=_Decoding, choices=("open", "closed"), help="any that can be spelled, or only the model's"
        )
        group.add_argument(
            "--hot-word",
            dest="hot_words",
            action=_Decoding,
            metavar="WORD[:NATS]",
            help="a word or phrase that is likely; may be given again",
        )

    p = verb(lm, "build a word n-gram model of transcripts or any text, in the ARPA format")
    p.add_argument("sources", nargs="+", metavar="RECIPE|FILE", help="a prepared recipe, or texts, a sentence a line")
    p.add_argument(
        "--recipe", metavar="RECIPE", help="whose rules the texts are normalised by, and whose dev is measured"
    )
    p.add_argument("--order", type=_count, default=3, metavar="N", help="words of the longest n-grams (3)")
    p.add_argument("--output", type=Path, metavar="FILE.arpa", help="where to (RECIPE.arpa; .gz packs it)")
    places(p, "data", "format")

    p = verb(evaluate, "count a model's errors on a split or a manifest")
    p.add_argument(
        "model", nargs="?", type=Path, metavar="RUN|MODEL", help="a run or a model file (the one trained last)"
    )
    p.add_argument("--split", choices=("train", "dev", "test"), default="test", help="of its recipe (test)")
    p.add_argument("--manifest", type=Path, metavar="FILE", help="recordings of a manifest instead")
    p.add_argument(
        "--look-ahead",
        dest="look_aheads",
        type=_seconds_list,
        metavar="SECONDS[,…]",
        help="also as a stream that sees so little of what follows, e.g. 0.1,0.3,1",
    )
    p.add_argument("--skip-bad", action="store_true", help="count unreadable recordings instead of stopping")
    p.add_argument(
        "--against", type=Path, metavar="RUN|MODEL", help="compare with another model, recording by recording"
    )
    p.add_argument(
        "--folds", choices=("speaker",), help="train and score a model for each speaker, of a recipe in RUN's place"
    )
    p.add_argument("--seeds", type=_seeds, default=[1], metavar="N,N,…", help="of those trainings (1)")
    p.add_argument(
        "--tune",
        action="store_true",
        help="choose the decoding, or the thresholds of keywords, on dev and keep it in the model file",
    )
    decoding(p)
    places(p, "data", "runs", "set", "format")
    spotted = p.add_argument_group("keywords", "misses and false alarms of a spotter; any of these asks for them")
    spotted.set_defaults(spotting=None)
    spotted.add_argument(
        "--keyword", dest="keywords", action=_Spotting, append=True, metavar="WORD", help="to spot; may be given again"
    )
    spotted.add_argument(
        "--false-alarms-per-hour",
        action=_Spotting,
        type=_rate,
        metavar="X",
        help="choose each keyword's threshold on dev for so many at most",
    )
    spotted.add_argument(
        "--tune-manifest", action=_Spotting, type=Path, metavar="FILE", help="choose them on these recordings instead"
    )
    spotted.add_argument("--inside-words", action=_Spotting, nargs=0, help="a keyword may be a part of a longer word")
    spotted.add_argument(
        "--tolerance", action=_Spotting, type=_seconds, metavar="SECONDS", help="a hit may lie beside its word (0.5)"
    )
    spotted.add_argument(
        "--det", action=_Spotting, type=Path, metavar="PNG", help="draw misses against false alarms at all thresholds"
    )

    p = verb(spot, "find keywords in recordings as they are said, live or in files")
    p.add_argument("files", nargs="*", metavar="FILE", help="recordings, folders of them, or - for standard input")
    p.add_argument("--microphone", action="store_true", help="listen to the microphone (pip install 'audiornn[mic]')")
    p.add_argument("--device", metavar="NAME", help="which microphone: a number or a part of its name")
    p.add_argument("--model", type=Path, metavar="FILE", help="a model file or a run (the one trained last)")
    p.add_argument(
        "--keyword",
        dest="keywords",
        action="append",
        metavar="WORD",
        help="what to spot; may be given again (what the model was trained or tuned for)",
    )
    p.add_argument("--threshold", type=_score, metavar="X", help="the score of a hit, 0…1 (the model's own)")
    p.add_argument("--inside-words", action="store_true", help="a keyword may be a part of a longer word")
    p.add_argument("--channel", type=_count, metavar="N", help="this channel only, from 1 (all, mixed down)")
    p.add_argument(
        "--look-ahead", type=_seconds, metavar="SECONDS", help="see no further than a stream would (all it needs)"
    )
    p.add_argument(
        "--exec",
        dest="command",
        metavar="COMMAND",
        help="run a program at each hit, without a shell; it finds AUDIORNN_KEYWORD, …_START, …_END, …_SCORE",
    )
    p.add_argument("--explain", type=Path, metavar="PNG", help="draw the recording, the scores and the hits")
    places(p, "runs", "format")

    def listening(to: argparse.ArgumentParser) -> None:
        to.add_argument("--model", type=Path, metavar="FILE", help="a model file or a run (the one trained last)")
        to.add_argument("--channel", type=_count, metavar="N", help="this channel only, from 1 (all, mixed down)")
        to.add_argument("--threads", type=_count, metavar="N", help="that listen side by side (one a core)")
        to.add_argument("--output-dir", type=Path, metavar="DIR", help="write a file for each recording there")
        to.add_argument(
            "--format",
            dest="output_format",
            choices=("text", "json", "srt", "vtt", "ctm", "textgrid", "rttm"),
            default="text",
        )
        places(to, "runs")

    p = verb(transcribe, "listen to recordings: text, or labels with their probability")
    p.add_argument("files", nargs="+", metavar="FILE", help="recordings, folders of them, or - for standard input")
    p.add_argument(
        "--look-ahead", type=_seconds, metavar="SECONDS", help="see no further than a stream would (all it needs)"
    )
    decoding(p)
    p.add_argument("--n-best", action=_Decoding, type=_count, metavar="N", help="the N best texts with their scores")
    listening(p)

    p = verb(align, "lay a known text along its recording: when each word is said, and where the two do not fit")
    p.add_argument("files", nargs="*", metavar="FILE", help="the recording")
    p.add_argument("--text", metavar="TEXT", help="what is said in it")
    p.add_argument("--manifest", type=Path, metavar="FILE", help="recordings and texts instead, a JSON object a line")
    listening(p)

    p = verb(export, "write a model in another form: smaller, or with samples as its input")
    p.add_argument("model", nargs="?", type=Path, metavar="RUN|MODEL", help="which (the one trained last)")
    p.add_argument("--quantize", choices=("int8",), help="weights in eight bits; says what it costs on dev")
    p.add_argument("--waveform-input", action="store_true", help="the features in the graph, for any ONNX runtime")
    p.add_argument("--output", type=Path, metavar="FILE", help="where to write it (beside the model)")
    places(p, "data", "runs")

    p = verb(info, "print what a model file says of itself")
    p.add_argument("model", nargs="?", type=Path, metavar="MODEL", help="a model file or a run (the one trained last)")
    places(p, "runs", "format")

    p = verb(new, "write a recipe for recordings of your own: folders of words, a table, transcripts, …")
    p.add_argument("name", metavar="NAME", help="of the recipe: letters, digits, - and _")
    p.add_argument(
        "--from",
        dest="source",
        type=Path,
        required=True,
        metavar="DIR",
        help="the recordings' folder, or a list of them",
    )
    p.add_argument("--recipes", type=Path, default=Path("recipes"), metavar="DIR", help="where recipes lie (recipes)")
    p.add_argument("--other", type=Path, metavar="DIR", help="recordings in which none of the labels is said")
    p.add_argument(
        "--layout",
        default="auto",
        metavar="NAME",
        help="auto, or: folders, names, table, transcripts, kaldi, lhotse, cmu, huggingface",
    )
    p.add_argument(
        "--label", "--text", dest="text", default="", metavar="WHERE", help="a column, folder:N, or '…(?P<text>…)…'"
    )
    p.add_argument("--audio", default="", metavar="COLUMN", help="the column of paths")
    p.add_argument(
        "--speaker", default="auto", metavar="WHERE", help="none, folder, folder:N, column:NAME or '…(?P<speaker>…)…'"
    )
    p.add_argument("--task", choices=("auto", "classify", "transcribe"), default="auto", help="labels or words (auto)")
    p.add_argument("--encoding", default="", metavar="NAME", help="of tables and transcripts, if not UTF-8")
    p.add_argument("--skip-bad", action="store_true", help="leave out, and count, lines whose recording is missing")
    places(p, "format")

    p = verb(demo, "the whole road on speech it synthesises itself: prep, train, evaluate, transcribe")
    places(p, "data", "runs")
    return parser


class _Spotting(argparse.Action):
    """Options that ask for the evaluation of a spotter travel together, in one argument."""

    def __init__(self, option_strings: Sequence[str], dest: str, append: bool = False, **options: Any) -> None:
        super().__init__(option_strings, dest, **options)
        self.default = argparse.SUPPRESS
        self._append = append

    def __call__(
        self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None
    ) -> None:
        options = dict(namespace.spotting or {})
        if self._append:
            values = [*options.get(self.dest, []), values]
        options[self.dest] = True if self.nargs == 0 else values
        namespace.spotting = options


class _Decoding(argparse.Action):
    """Gathers the options of decoding in one dictionary: all that the verbs do with them is hand them on."""

    def __init__(self, option_strings: Sequence[str], dest: str, **kwargs: Any) -> None:
        super().__init__(option_strings, "decoding", default={}, **kwargs)
        self._key = dest

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        """Take one option."""
        gathered = dict(namespace.decoding)
        if self._key == "hot_words":
            values = [*gathered.get("hot_words", []), values]
        gathered[self._key] = True if self._key == "greedy" else values
        namespace.decoding = gathered


def _count(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} must be a whole number, at least 1")
    return value


def _seeds(text: str) -> list[int]:
    if not all(part.isdecimal() for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text} must be whole numbers with commas between")
    return [int(part) for part in text.split(",")]


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} must be a number of seconds, at least 0")
    return value


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} must be a number of false alarms an hour, at least 0")
    return value


def _score(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} must be a number above 0, at most 1")
    return value


def _seconds_list(text: str) -> list[float]:
    return [_seconds(part) for part in text.split(",")]


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _SecondsHeard:
    """On a terminal, how much of a long recording was heard; tqdm is not part of the base install."""

    def __init__(self) -> None:
        import time

        self._now = time.monotonic
        self._began = self._shown = self._now()
        self._width = 0

    def __call__(self, seconds: float) -> None:
        now = self._now()
        if now - self._shown > 0.5 and sys.stderr.isatty():
            self._shown = now
            clock = f"{int(seconds // 3600)}:{int(seconds // 60 % 60):02}:{int(seconds % 60):02}"
            line = f"{clock} heard, {seconds / (now - self._began):.0f} times real time"
            self._width = max(self._width, len(line))
            print(f"\r{line:{self._width}}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave the line as it was, for what comes next."""
        if self._width:
            print(f"\r{'':{self._width}}\r", end="", file=sys.stderr, flush=True)
            self._width = 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def _progress(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal, nothing elsewhere; called with what is done and what is to be done."""
    if not sys.stderr.isatty():
        yield lambda n_done, n_all: None
        return
    from tqdm import tqdm

    with tqdm(desc=what, unit=f" {unit}s", leave=False) as bar:

        def advance(n_done: int, n_all: int) -> None:
            bar.total = n_all
            bar.update(n_done - bar.n)

        yield advance


def _print_summary(prepared: Prepared) -> None:
    print(f"{'split':6} {'utterances':>10} {'hours':>8} {'speakers':>9} {'labels':>7}")
    for row in prepared.summary:
        print(f"{row.split:6} {row.utterances:10,} {row.hours:8.3f} {row.speakers:9,} {row.labels:7,}")
    if prepared.text_changes:
        changes = ", ".join(f"{what} in {n:,}" for what, n in prepared.text_changes.items())
        print(f"texts changed by the rules of [vocabulary]: {changes}")
    print(prepared.audit)
    if prepared.skipped:
        print(f"{prepared.skipped} bad utterances left out; {prepared.folder}/bad.txt names them")
    state = "nothing has changed" if prepared.unchanged else "prepared"
    print(f"{prepared.folder}: {state}, audit.html shows and plays what is odd; `audiornn train` comes next")


def _recipe_to_train(prepared: Prepared, overrides: Sequence[str]) -> Recipe:
    """The recipe as it stands now, with prep's overrides and then train's; its features must be the prepared ones."""
    from audiornn.recipe import load_recipe, recipe_fingerprint

    if not prepared.recipe_folder.is_dir():
        if overrides:
            raise SettingsError(
                f"{prepared.recipe_folder}: the recipe is gone, so --set cannot be checked; prepare it again"
            )
        return prepared.recipe
    recipe = load_recipe(prepared.recipe_folder, [*prepared.overrides, *overrides])
    if recipe_fingerprint(recipe) != recipe_fingerprint(prepared.recipe):
        changed = _difference(prepared.recipe.to_json(), recipe.to_json())
        raise TrainingError(
            f"{prepared.folder}: the corpus was prepared with other settings ({changed}); "
            "run `audiornn prep` again with the new ones"
        )
    return recipe


def _difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    changes = []
    for section in ("task", "shared_speakers", "corpus", "features", "vocabulary", "model"):
        old, new = before[section], after[section]
        if not isinstance(old, dict):
            old, new = {"": old}, {"": new}
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key) and (section != "model" or key == "stride"):
                changes.append(f"{section}.{key} was {old.get(key)!r}, is {new.get(key)!r}".replace(". ", " "))
    return "; ".join(changes)


def _new_run(runs: Path, name: str) -> Path:
    """runs/NAME, or the next number; nothing that is there is ever written over."""
    number = 1
    while (run := runs / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    before = runs / (name if number == 2 else f"{name}-{number - 1}")
    if number > 1 and not (before / "model.onnx").exists() and (before / "last.safetensors").exists():
        _say(f"{before} was stopped before its end; `audiornn train --resume` would go on with it")
    return run


def _empty_run(run: Path) -> Path:
    if run.is_file():
        raise TrainingError(f"{run}: is a file; a run is a folder")
    if run.exists() and any(run.iterdir()):
        raise TrainingError(f"{run}: holds a run already; name another folder, or go on with it by --resume")
    return run


def _unfinished_run(runs: Path, recipe: str | None) -> Path:
    stopped = [path for path in runs.glob("*/last.safetensors") if not (path.parent / "model.onnx").exists()]
    if recipe is not None:
        of_recipe = re.compile(rf"{re.escape(Path(recipe).name)}(-\d+)?")
        stopped = [path for path in stopped if of_recipe.fullmatch(path.parent.name)]
    if not stopped:
        raise TrainingError(f"{runs}: no run was stopped before its end; name one with --run to go on with it")
    run = max(stopped, key=lambda path: path.stat().st_mtime_ns).parent
    _say(f"going on with {run}")
    return run


def _resumed_recipe(run: Path, overrides: list[str]) -> tuple[Recipe, str]:
    from audiornn.recipe import Recipe

    if overrides:
        raise SettingsError("--resume goes on with the run's own settings; --set starts a new run")
    if not (run / "last.safetensors").exists():
        raise TrainingError(f"{run}: holds no checkpoint to go on from")
    try:
        recipe = Recipe.from_json(json.loads((run / "recipe.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError) as error:
        raise TrainingError(f"{run}/recipe.json: cannot be read ({error})") from None
    return recipe, recipe.name


def _last_model(runs: Path) -> Path:
    made = sorted(runs.glob("*/model.onnx"), key=lambda path: path.stat().st_mtime_ns)
    if not made:
        raise ModelFileError(
            f"no model yet in {runs}: train one with `audiornn prep RECIPE` and `audiornn train`, or name a model file"
        )
    return made[-1]


def _load(model: Path | None, runs: Path, *, threads: int = 1) -> tuple[Recognizer, Path]:
    from audiornn.listen.recognizer import load_model

    if model is None:
        model = _last_model(runs)
        _say(f"model {model}, trained last")
    elif model.is_dir():
        model = model / "model.onnx"
    return load_model(model, threads=threads), model


def _split_of_model(recognizer: Recognizer, split: str, data: Path) -> Any:
    """A split of the corpus that the model was trained on, and on no other preparation of it."""
    from audiornn.corpus.preparation import open_prepared

    prepared = open_prepared(data / recognizer.card.recipe)
    trained_on = recognizer.card.training.get("digests", {})
    if trained_on.get("train") != prepared.digests["train"]:
        raise SettingsError(
            f"{prepared.folder}: prepared differently since this model was trained, so its {split} split may hold what "
            "the model learnt from; prepare it as before (same --set), or name a --manifest"
        )
    return prepared.utterances(split)


def _texts_of_manifest(manifest: Path) -> list[tuple[str, str]]:
    """The recordings and texts of a manifest; read here, since the light install has the corpus' reader too."""
    from audiornn.corpus.manifest import read_manifest

    utterances = read_manifest(manifest)
    parts = [u.id for u in utterances if u.start]
    if parts:
        raise SettingsError(f"{manifest}: {parts[0]} is a part of its recording; align takes whole recordings")
    return [(str(utterance.audio), utterance.text) for utterance in utterances]


if __name__ == "__main__":
    sys.exit(main())
