"""evaluate, lm: how often a model errs, and what makes it err less."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiornn.errors import SettingsError
from audiornn.files import json_line, write_atomically
from audiornn.verbs.models import decoding_of_options, decoding_with, load, split_of_model, tell_unspelled
from audiornn.verbs.options import Evaluating, Keywords
from audiornn.verbs.preparing import prepared_of, recipe_to_train
from audiornn.verbs.terminal import INTERRUPTED, PARTIAL_FAILURE, check_drawable, progress_bar, say

if TYPE_CHECKING:
    from audiornn.corpus.manifest import Utterance
    from audiornn.evaluate.scoring import ErrorReport
    from audiornn.evaluate.spotting import SpotReport
    from audiornn.listen.recognizer import Recognizer
    from audiornn.model_file import ModelCard

__all__ = ["evaluate", "lm"]


def evaluate(asked: Evaluating) -> int:
    """`audiornn evaluate`: error counts and intervals of a model."""
    from audiornn.corpus.manifest import read_manifest

    _check_asked(asked)
    if asked.folds is not None:
        return _evaluate_folds(asked)
    recognizer, path = load(asked.model, asked.runs)
    keywords = Keywords() if asked.spotting is None and recognizer.card.spots else asked.spotting
    if asked.tune and keywords is None:
        return _tune_decoding(recognizer, path, asked)
    recognizer = decoding_with(recognizer, asked.decoding)
    split = asked.split or "test"
    if asked.manifest is not None:
        utterances, name = read_manifest(asked.manifest), str(asked.manifest)
    else:
        utterances, name = split_of_model(recognizer, split, asked.data), split
    if keywords is not None:
        _check_alone("keywords are counted for one model", {"--against": asked.against})
        _check_alone("a spotter hears no transcript", {"--rows": asked.rows})
        _check_alone("keywords need no transcript", {f"--{key.replace('_', '-')}": True for key in asked.decoding})
        return _evaluate_keywords(recognizer, path, utterances, name, keywords, asked)
    return _evaluate_errors(recognizer, path, utterances, name, asked)


def _check_asked(asked: Evaluating) -> None:
    """Whether the options go together.

    Raises:
        SettingsError: some of them would do nothing.
    """
    what: dict[str, Any] = {"--split": asked.split, "--manifest": asked.manifest, "--against": asked.against}
    what |= {"--look-ahead": asked.look_aheads, "--rows": asked.rows}
    if asked.folds is not None:
        others = {
            "--tune": asked.tune,
            "options of keywords": asked.spotting is not None,
            "decoding options": asked.decoding,
        }
        _check_alone("--folds trains and scores models of its own", what | others)
        return
    _check_alone("only --folds trains anything", {"--seeds": asked.seeds, "--set": asked.overrides})
    if asked.tune and asked.spotting is None:
        _check_alone("--tune chooses on dev, and scores nothing else", what)
        chosen = [key for key in asked.decoding if key not in ("lm", "hot_words")]
        _check_alone("--tune chooses these itself", {f"--{key.replace('_', '-')}": True for key in chosen})


def _evaluate_errors(
    recognizer: Recognizer, path: Path, utterances: Sequence[Utterance], name: str, asked: Evaluating
) -> int:
    """What a model gets wrong; also as a stream, and beside another model."""
    from dataclasses import asdict

    from audiornn.evaluate.comparison import compare
    from audiornn.evaluate.report import Report
    from audiornn.evaluate.scoring import look_ahead_table, report_on

    card = recognizer.card
    has_error_rate = not (card.task == "regress" or (card.task == "classify" and card.vocabulary.several))
    if asked.look_aheads and not has_error_rate:
        raise SettingsError("--look-ahead compares error rates, which this model's task has not")
    if asked.rows is not None:
        if not has_error_rate:
            raise SettingsError("--rows tells the errors of each recording, and this model's task has no error rate")
        if not asked.rows.parent.is_dir():
            raise SettingsError(f"{asked.rows}: there is no folder {asked.rows.parent} to write it in")
    other_path, other = None, None
    if asked.against is not None:
        other, other_path = load(asked.against, asked.runs)
        split = None if asked.manifest else name
        _check_comparable(other, other_path, recognizer, path, split=split)

    def listen(one: Recognizer, **options: Any) -> ErrorReport:
        with progress_bar("listening", "recording") as progress:
            return report_on(one, utterances, name, skip_bad=asked.skip_bad, progress=progress, **options)

    report = listen(recognizer)
    if asked.rows is not None and isinstance(report, Report):
        lines = [json_line(asdict(row)) for row in report.recordings]
        with write_atomically(asked.rows) as out:
            out.write("".join(f"{line}\n" for line in lines).encode())
    with_look_ahead = [(seconds, listen(recognizer, look_ahead=seconds)) for seconds in asked.look_aheads or ()]
    for line in report.unreadable:
        say(f"audiornn: {line}")
    comparisons = []
    if other is not None:
        others = listen(decoding_with(other, asked.decoding))
        try:
            comparisons = [compare(*tallies) for tallies in zip(report.tallies, others.tallies, strict=True)]
        except SettingsError as error:
            raise SettingsError(f"{other_path}: {error}") from None
    if asked.output_format == "json":
        entry: dict[str, Any] = {"model": str(path), **report.to_json()}
        if with_look_ahead:
            entry["look_ahead"] = [{"seconds": seconds, **found.to_json()} for seconds, found in with_look_ahead]
        if comparisons:
            entry["against"] = {"model": str(other_path), "measures": [one.to_json() for one in comparisons]}
        print(json_line(entry))
    else:
        print(f"{path} on {name}: {report.utterances:,} utterances\n{report.to_text()}")
        if with_look_ahead:
            print(f"\n{look_ahead_table(report, with_look_ahead)}")
        if comparisons:
            print(f"\n{path} against {other_path}")
        for comparison in comparisons:
            print(comparison.to_text())
    return PARTIAL_FAILURE if report.unreadable else 0


def _check_alone(why: str, options: Mapping[str, Any]) -> None:
    """Raise a SettingsError for options that were given and would do nothing."""
    if given := [name for name, value in options.items() if value]:
        raise SettingsError(f"{why}: {', '.join(given)} would do nothing")


def _check_comparable(
    other: Recognizer, other_path: Path, recognizer: Recognizer, path: Path, *, split: str | None
) -> None:
    """Whether another model does the same work, and may have learnt from what it is compared on.

    Raises:
        SettingsError: it has another task, or was trained on another preparation of the recipe whose split this is.
    """
    kinds = [(card.task, card.vocabulary.several) for card in (recognizer.card, other.card)]
    if kinds[0] != kinds[1]:
        raise SettingsError(
            f"{other_path}: its task is {other.card.task!r}{', several at once' * kinds[1][1]}, and of {path} "
            f"{recognizer.card.task!r}: nothing to compare"
        )
    own, others = (one.card.training.get("digests", {}).get("train") for one in (recognizer, other))
    if split is None or own == others:
        return
    if other.card.recipe == recognizer.card.recipe:
        raise SettingsError(
            f"{other_path}: learnt from another preparation or fold of {other.card.recipe}, which may hold some of "
            f"this {split} split; compare them on a --manifest that neither has heard"
        )
    say(f"note: {other_path} was trained on {other.card.recipe}; should that hold some of this {split}, it knows them")


def _evaluate_keywords(
    recognizer: Recognizer,
    path: Path,
    utterances: Sequence[Utterance],
    name: str,
    wanted: Keywords,
    asked: Evaluating,
) -> int:
    """`audiornn evaluate --keyword`: misses and false alarms, at thresholds chosen on dev or at the model's own."""
    from audiornn.corpus.manifest import read_manifest
    from audiornn.evaluate.detection import TOLERANCE
    from audiornn.evaluate.spotting import evaluate_spotting, hear, tune_spotting, write_spotting
    from audiornn.listen.keywords import check_keywords, default_keywords, settings_of

    card = recognizer.card
    is_tuned, target = _target(card, wanted, asked)
    if asked.look_aheads and len(asked.look_aheads) > 1:
        raise SettingsError("keywords are evaluated with one --look-ahead at a time")
    look_ahead = asked.look_aheads[0] if asked.look_aheads else None
    if wanted.det is not None:
        check_drawable(wanted.det)
    tolerance = TOLERANCE if wanted.tolerance is None else wanted.tolerance
    chosen = check_keywords(card, default_keywords(card) if wanted.keywords is None else wanted.keywords)

    def listen(recordings: Sequence[Utterance], split: str) -> Any:
        with progress_bar("listening", "recording") as progress:
            return hear(
                recognizer,
                recordings,
                chosen,
                split,
                inside_words=wanted.inside_words,
                look_ahead=look_ahead,
                skip_bad=asked.skip_bad,
                progress=progress,
            )

    settings = settings_of(card)
    notes: tuple[str, ...] = ()
    if is_tuned and target is not None:
        manifest = wanted.tune_manifest
        dev = read_manifest(manifest) if manifest else split_of_model(recognizer, "dev", asked.data)
        heard, _ = listen(dev, str(manifest or "dev"))
        tuning = tune_spotting(card, heard, chosen, settings, target, tolerance=tolerance)
        settings, notes = tuning.settings, tuning.notes
    heard, unreadable = listen(utterances, name)
    report = evaluate_spotting(
        card,
        heard,
        chosen,
        settings,
        name,
        tolerance=tolerance,
        target=target,
        delay=recognizer.delay(look_ahead),
        notes=notes,
        unreadable=unreadable,
    )
    report = _with_latencies_told(report, recognizer, look_ahead)
    for line in unreadable:
        say(f"audiornn: {line}")
    if asked.tune:
        write_spotting(path, card, settings)
    if asked.output_format == "json":
        print(json_line({"model": str(path), **report.to_json(), "settings": settings.to_json()}))
    else:
        print(f"{path} on {name}: {report.utterances:,} recordings, {report.hours:.3g} h\n{report.to_text()}")
        if asked.tune:
            print(f"{path}: spots with these thresholds from now on")
    if wanted.det is not None:
        from audiornn.evaluate.explain import draw_det

        draw_det(wanted.det, report)
    return PARTIAL_FAILURE if unreadable else 0


def _target(card: ModelCard, wanted: Keywords, asked: Evaluating) -> tuple[bool, float | None]:
    """Whether thresholds are chosen, and the false alarms an hour that are aimed at; None where nobody says.

    Raises:
        SettingsError: they are to be chosen, and nobody says for how many; or for a number that is none.
    """
    from audiornn.evaluate.spotting import check_target

    if wanted.false_alarms_per_hour is not None:
        check_target(wanted.false_alarms_per_hour)
        return True, wanted.false_alarms_per_hour
    target = card.training.get("false_alarms_per_hour")  # that a spotter was trained for
    is_tuned = asked.tune or wanted.tune_manifest is not None
    if is_tuned and target is None:
        raise SettingsError("thresholds are chosen for a target: --false-alarms-per-hour 0.5")
    return is_tuned, target


def _with_latencies_told(report: SpotReport, recognizer: Recognizer, look_ahead: float | None) -> SpotReport:
    """The report with a note where no stream would tell the hits as early as it says."""
    from dataclasses import replace

    from audiornn.listen.streaming import LOOK_AHEAD, streams

    if not report.total.latency or look_ahead is not None or not streams(recognizer.card) or recognizer.delay(None):
        return report
    note = (
        "latencies are of a network that heard the whole recording; a stream adds its look-ahead, "
        f"{LOOK_AHEAD:g} s if nobody says: evaluate with --look-ahead 0.3"
    )
    return replace(report, notes=(*report.notes, note))


def _evaluate_folds(asked: Evaluating) -> int:
    """`audiornn evaluate --folds`: a training for each speaker, or recording, of dev and test and each seed."""
    from audiornn.evaluate.scoring import report_on
    from audiornn.listen.recognizer import load_model
    from audiornn.train.folds import fold_summary, fold_table, folds_of, train_folds
    from audiornn.train.loop import Interrupted
    from audiornn.train.loop import train as run_training

    prepared = prepared_of(asked.model, asked.data)
    trained = recipe_to_train(prepared, asked.overrides)
    seeds = asked.seeds or (1,)
    if trained.task == "spot":
        raise SettingsError("--folds counts errors, and a spotter is measured by misses and false alarms an hour")
    try:
        scores = train_folds(
            folds_of(prepared, asked.folds or "speaker"),
            trained,
            asked.runs / f"{trained.name}-folds",
            seeds,
            train=lambda fold, seeded, run, resume: run_training(
                fold, seeded, run, resume=resume, report=lambda line: None, show_progress=sys.stderr.isatty()
            ),
            score=lambda model, utterances, name: report_on(load_model(model), utterances, name).tallies,
            report=say,
        )
    except Interrupted:
        say("audiornn: stopped; the same command goes on where it was")
        return INTERRUPTED
    if asked.output_format == "json":
        for of_one_measure in scores:
            for score in of_one_measure:
                print(json_line({"recipe": trained.name, "seeds": [*seeds], **score.to_json()}))
            print(json_line({"recipe": trained.name, "seeds": [*seeds], **fold_summary(of_one_measure)}))
    else:
        print(f"{trained.name}: each {asked.folds} of dev and test held out in turn")
        print("\n\n".join(fold_table(of_one_measure, seeds) for of_one_measure in scores))
    return 0


def _tune_decoding(recognizer: Recognizer, path: Path, asked: Evaluating) -> int:
    """`audiornn evaluate --tune`: the decoding that errs least on dev, kept in the model file."""
    from dataclasses import replace

    from audiornn.evaluate.chosen import write_card
    from audiornn.evaluate.tuning import hear
    from audiornn.evaluate.tuning import tune as run_tuning
    from audiornn.listen.language_model import build_language_model

    if recognizer.card.task == "label":
        return _tune_segments(recognizer, path, asked)
    if recognizer.card.task != "transcribe":
        raise SettingsError(
            f"--tune chooses how transcripts are decoded, labels smoothed, or keywords told; this model's task is "
            f"{recognizer.card.task!r}, and has nothing to choose"
        )
    vocabulary = recognizer.card.vocabulary
    decoding = decoding_of_options(
        replace(recognizer.card, decoding={}), asked.decoding
    )  # not where the last one ended
    if "lm" not in asked.decoding:
        texts = [vocabulary.normalise(u.text) for u in split_of_model(recognizer, "train", asked.data)]
        decoding = replace(decoding, language_model=build_language_model(texts))
        say(f"language model of the {len(texts):,} training transcripts; --lm FILE.arpa takes another")
    dev = split_of_model(recognizer, "dev", asked.data)
    with progress_bar("listening", "recording") as progress:
        spoken = hear(recognizer, dev, progress)
    with progress_bar("tuning", "trial") as progress:
        tuning = run_tuning(recognizer.card, spoken, decoding, progress=progress)
    tuned = {"errors": tuning.chosen.errors, "reference_length": tuning.chosen.reference_length}
    results = {**recognizer.card.results, "dev, words, as tuned": tuned}
    write_card(path, replace(recognizer.card, decoding=tuning.decoding.to_json(), results=results))
    if asked.output_format == "json":
        print(json_line({"model": str(path), "split": "dev", **tuning.to_json()}))
    else:
        print(f"{tuning.to_text()}\n{path}: decodes so from now on; --greedy takes the best path alone")
    return 0


def _tune_segments(recognizer: Recognizer, path: Path, asked: Evaluating) -> int:
    """`audiornn evaluate --tune` of a model that labels frames: its segments' settings, kept in the model file."""
    from dataclasses import replace

    from audiornn.evaluate.chosen import write_card
    from audiornn.evaluate.segment_tuning import hear_frames, tune_segments

    dev = split_of_model(recognizer, "dev", asked.data)
    with progress_bar("listening", "recording") as progress:
        heard = hear_frames(recognizer, dev, progress)
    with progress_bar("tuning", "trial") as progress:
        tuning = tune_segments(recognizer.card, heard, progress)
    write_card(path, replace(recognizer.card, segments=tuning.chosen.settings.to_json()))
    if asked.output_format == "json":
        print(json_line({"model": str(path), "split": "dev", **tuning.to_json()}))
    else:
        print(f"{tuning.to_text()}\n{path}: labels so from now on")
    return 0


def lm(sources: list[str], recipe: str | None, order: int, output: Path | None, data: Path, output_format: str) -> int:
    """`audiornn lm`: a word n-gram model of training transcripts or of any text."""
    from audiornn.corpus.preparation import open_prepared
    from audiornn.listen.language_model import build_language_model, read_texts
    from audiornn.text import apply_rules

    files = [Path(source) for source in sources if Path(source).is_file()]
    for source in sources:
        if not Path(source).exists() and Path(source).suffix:
            raise SettingsError(f"{source}: no such text file")
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
    output = output or (
        Path(f"{name}.arpa") if recipes else Path(str(files[0]).removesuffix(".gz")).with_suffix(".arpa")
    )
    if output in files:
        raise SettingsError(f"{output}: would write over the text it is built from; name another file with --output")
    model.write(output)
    if prepared and prepared.recipe.task == "transcribe":
        tell_unspelled(model, prepared.vocabulary, str(output))
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
        print(json_line(entry))
        return 0
    counts = ", ".join(f"{count:,} of {n} words" for n, count in enumerate(entry["ngrams"], start=1))
    print(f"{output}: built from {entry['words']:,} words in {entry['sentences']:,} sentences; n-grams: {counts}")
    if prepared and dev.words:
        print(
            f"dev transcripts of {name}: perplexity {dev.perplexity:.1f} a word, "
            f"{dev.unknown:,} of {dev.words:,} words unknown ({100 * dev.unknown / dev.words:.1f} %)"
        )
    return 0
