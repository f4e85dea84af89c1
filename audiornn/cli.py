"""The command line: it parses, and calls a verb."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from audiornn import __version__
from audiornn.verbs.evaluating import evaluate, lm
from audiornn.verbs.failures import explained, is_reader_gone
from audiornn.verbs.gradients import gradients
from audiornn.verbs.labelling import label
from audiornn.verbs.listening import align, track, transcribe
from audiornn.verbs.models import export, info
from audiornn.verbs.options import Evaluating, Keywords, Listening, Spotting
from audiornn.verbs.preparing import audit, new, prep
from audiornn.verbs.spotting import spot
from audiornn.verbs.terminal import FAILURE, INTERRUPTED, PARTIAL_FAILURE, printing_any_letter, say
from audiornn.verbs.training import demo, train

__all__ = ["main"]


_FORMATS = ("text", "json", "srt", "vtt", "ctm", "textgrid", "rttm", "audacity", "elan", "raven", "csv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0 done; 1 done in part, or errors found by `audit`; 2 not done; 130 stopped by Ctrl-C.
    """
    with printing_any_letter():
        parsed = vars(_parser().parse_args(arguments))
        if parsed.get("output_format", "text") != "text" and hasattr(sys.stdout, "reconfigure"):
            # As the formats have it, whatever the locale; and a file name in no Unicode as the disk has it.
            sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
        run: Callable[..., int] = parsed.pop("run_verb")
        if gathered := parsed.pop("gathered", None):
            parsed["asked"] = gathered(**{f.name: parsed.pop(f.name) for f in fields(gathered) if f.name in parsed})
        try:
            return run(**parsed)
        except KeyboardInterrupt:
            say("audiornn: stopped")
            return INTERRUPTED
        except Exception as error:
            if is_reader_gone(error):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                return PARTIAL_FAILURE
            if (why := explained(error)) is None:
                raise
            say(f"audiornn: {why}")
            return FAILURE


#: Adds a verb: the function that does it, which is called after it, and a line for --help.
_Verb = Callable[[Callable[..., int], str], argparse.ArgumentParser]


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

    for add in (_preparing, _training, _evaluating, _spotting, _listening, _models, _beginning):
        add(verb)
    return parser


def _preparing(verb: _Verb) -> None:
    p = verb(prep, "make manifests and features of a corpus")
    p.add_argument("recipe", metavar="RECIPE", help="a recipe's folder, or the name of one that comes with audiornn")
    p.add_argument("--corpus", type=Path, metavar="DIR", help="the corpus, in its published layout")
    p.add_argument("--jobs", type=_count, metavar="N", help="worker processes (one a core)")
    p.add_argument("--skip-bad", action="store_true", help="leave out, and count, utterances that cannot be used")
    p.add_argument("--listen", type=_count, metavar="N", help="write N augmented training utterances as audio, to hear")
    _places(p, "data", "set")

    p = verb(audit, "look for what would spoil a result: leaks, copies, levels, labels")
    p.add_argument("source", type=Path, metavar="DIR|MANIFEST", help="recordings, a list of them, or a prepared folder")
    p.add_argument("--output", type=Path, metavar="DIR", help="where the report goes (data/audit_NAME)")
    p.add_argument("--jobs", type=_count, metavar="N", help="worker processes (one a core)")
    _places(p, "data", "format")


def _training(verb: _Verb) -> None:
    p = verb(train, "train the network of a prepared recipe and write its model file")
    p.add_argument("recipe", nargs="?", metavar="RECIPE", help="which (the one prepared last)")
    p.add_argument("--run", type=Path, metavar="DIR", help="the run's folder (runs/RECIPE, or the next free number)")
    p.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    p.add_argument(
        "--from", dest="start", type=Path, metavar="RUN|FILE", help="start from what another run learnt, of any labels"
    )
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), help="where to compute (auto)")
    _places(p, "data", "runs", "set")


def _evaluating(verb: _Verb) -> None:
    p = verb(lm, "build a word n-gram model of transcripts or any text, in the ARPA format")
    p.add_argument("sources", nargs="+", metavar="RECIPE|FILE", help="a prepared recipe, or texts, a sentence a line")
    p.add_argument(
        "--recipe", metavar="RECIPE", help="whose rules the texts are normalised by, and whose dev is measured"
    )
    p.add_argument("--order", type=_count, default=3, metavar="N", help="words of the longest n-grams (3)")
    p.add_argument(
        "--output",
        type=Path,
        metavar="FILE.arpa",
        help="where to (RECIPE.arpa, or as the first text is called; .gz packs it)",
    )
    _places(p, "data", "format")

    p = verb(evaluate, "count a model's errors on a split or a manifest")
    p.set_defaults(gathered=Evaluating)
    p.add_argument(
        "model", nargs="?", type=Path, metavar="RUN|MODEL", help="a run or a model file (the one trained last)"
    )
    p.add_argument("--split", choices=("train", "dev", "test"), help="of its recipe (test)")
    p.add_argument("--manifest", type=Path, metavar="FILE", help="recordings of a manifest instead")
    p.add_argument(
        "--look-ahead",
        dest="look_aheads",
        type=_seconds_list,
        metavar="SECONDS[,…]",
        help="also as a stream that sees so little of what follows, e.g. 0.1,0.3,1; keywords only so, with one value",
    )
    p.add_argument("--skip-bad", action="store_true", help="count unreadable recordings instead of stopping")
    p.add_argument(
        "--against", type=Path, metavar="RUN|MODEL", help="compare with another model, recording by recording"
    )
    p.add_argument(
        "--rows",
        type=Path,
        metavar="FILE.jsonl",
        help="write a line a recording: what was said, what was heard, and the edits between them",
    )
    p.add_argument(
        "--folds",
        choices=("speaker", "recording"),
        help="train and score a model for each speaker of dev and test, of a recipe in RUN's place; or for each "
        "recording, where speakers are not known",
    )
    p.add_argument("--seeds", type=_seeds, metavar="N,N,…", help="of those trainings (1)")
    p.add_argument(
        "--tune",
        action="store_true",
        help="choose on dev the decoding, how labels become segments, or the thresholds of keywords for "
        "--false-alarms-per-hour (as trained for); the model file keeps it",
    )
    _decoding_options(p)
    _places(p, "data", "runs", "set", "format")
    _keyword_options(p)


def _spotting(verb: _Verb) -> None:
    p = verb(spot, "find keywords in recordings as they are said, live or in files")
    p.set_defaults(gathered=Spotting)
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
    _look_ahead_option(p)
    p.add_argument(
        "--exec",
        dest="command",
        metavar="COMMAND",
        help="run a program at each hit, without a shell; it finds AUDIORNN_KEYWORD, …_START, …_END, …_SCORE",
    )
    p.add_argument("--explain", type=Path, metavar="PNG", help="draw the recording, the scores and the hits")
    _places(p, "runs", "format")


def _listening(verb: _Verb) -> None:
    p = verb(transcribe, "listen to recordings: text, or labels with their probability")
    p.add_argument("files", nargs="+", metavar="FILE", help="recordings, folders of them, or - for standard input")
    _look_ahead_option(p)
    _decoding_options(p)
    p.add_argument(
        "--n-best",
        action=_Decoding,
        type=_count,
        metavar="N",
        help="the N best texts with their scores",
    )
    _listening_options(p)

    p = verb(label, "mark in recordings when each label holds: segments, with a model that labels frames")
    p.add_argument("files", nargs="+", metavar="FILE", help="recordings, folders of them, or - for standard input")
    _look_ahead_option(p)
    group = p.add_argument_group("segments", "for all labels, instead of what the model file says")
    group.add_argument("--onset", type=_score, metavar="X", help="what a label must reach to begin, 0…1")
    group.add_argument("--offset", type=_score, metavar="X", help="below which it ends")
    group.add_argument("--median", type=_seconds, metavar="SECONDS", help="length of the median filter")
    group.add_argument("--least-segment", type=_seconds, metavar="SECONDS", help="drop shorter segments")
    group.add_argument("--least-gap", type=_seconds, metavar="SECONDS", help="fill shorter gaps")
    _listening_options(p)

    p = verb(align, "lay a known text along its recording: when each word is said, and where the two do not fit")
    p.add_argument("files", nargs="*", metavar="FILE", help="the recording")
    p.add_argument("--text", metavar="TEXT", help="what is said in it")
    p.add_argument("--manifest", type=Path, metavar="FILE", help="recordings and texts instead, a JSON object a line")
    p.add_argument("--explain", type=Path, metavar="PNG", help="draw the recording, its words and their symbols")
    _listening_options(p)

    p = verb(track, "values over time of recordings, such as their pitch, by a model trained to regress them")
    p.add_argument("files", nargs="+", metavar="FILE", help="recordings, folders of them, or - for standard input")
    _look_ahead_option(p)
    _listening_options(p, ("csv", "json"))


def _models(verb: _Verb) -> None:
    p = verb(export, "write a model in another form: smaller, or with samples as its input")
    p.add_argument("model", nargs="?", type=Path, metavar="RUN|MODEL", help="which (the one trained last)")
    p.add_argument("--quantize", choices=("int8",), help="weights in eight bits; says what it costs on dev")
    p.add_argument("--waveform-input", action="store_true", help="the features in the graph, for any ONNX runtime")
    p.add_argument("--start", type=Path, metavar="FILE", help="of a run: its weights, for `train --from` elsewhere")
    p.add_argument("--output", type=Path, metavar="FILE", help="where to write it (beside the model)")
    _places(p, "data", "runs")

    p = verb(gradients, "measure how far back a network's gradient reaches, and cells remember")
    p.add_argument("source", nargs="?", metavar="RECIPE|RUN", help="a prepared recipe (the last), or a run's folder")
    p.add_argument(
        "--lags",
        type=_counts,
        metavar="N,N…",
        help="of the memory task, in frames (5,10,20,40,100,1000)",
    )
    p.add_argument("--steps", type=_count, metavar="N", help="of each training, at most (200)")
    p.add_argument("--seeds", type=_seeds, metavar="N,N…", help="of the memory task (1)")
    p.add_argument("--output", type=Path, metavar="PNG", help="the picture (gradients.png beside what is measured)")
    _places(p, "data", "set", "format")

    p = verb(info, "print what a model file says of itself")
    p.add_argument("model", nargs="?", type=Path, metavar="MODEL", help="a model file or a run (the one trained last)")
    _places(p, "runs", "format")


def _beginning(verb: _Verb) -> None:
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
        help="auto, or: folders, names, table, transcripts, stretches, labels, tracks, kaldi, lhotse, cmu, huggingface",
    )
    p.add_argument(
        "--label",
        "--text",
        dest="text",
        default="",
        metavar="WHERE",
        help="a column, a tier, folder:N, or '…(?P<text>…)…'",
    )
    p.add_argument("--audio", default="", metavar="COLUMN", help="the column of paths")
    p.add_argument(
        "--speaker", default="auto", metavar="WHERE", help="none, folder, folder:N, column:NAME or '…(?P<speaker>…)…'"
    )
    p.add_argument(
        "--task",
        choices=("auto", "classify", "transcribe", "label", "regress", "spot"),
        default="auto",
        help="labels or words (auto tells these two), stretches with labels, or values over time; spot: a wake word, "
        "whose recordings lie in a folder named after it (or positive, or DIR itself), beside not_WORD or negative, "
        "and background, all but the first if you have any",
    )
    p.add_argument(
        "--sample-rate", type=_count, metavar="HZ", help="at which all is heard (up to 16,000, or what the labels say)"
    )
    p.add_argument(
        "--word", default="", metavar="'HEY COMPUTER'", help="of --task spot: its spelling (its folder's name)"
    )
    p.add_argument("--encoding", default="", metavar="NAME", help="of tables and transcripts, if not UTF-8")
    p.add_argument("--skip-bad", action="store_true", help="leave out, and count, lines whose recording is missing")
    _places(p, "format")

    p = verb(demo, "the whole road on speech it synthesises itself: prep, train, evaluate, transcribe")
    _places(p, "data", "runs")


# --- options that several verbs share ---


def _places(to: argparse.ArgumentParser, *names: str) -> None:
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
            metavar="KEY=VALUE|FILE",
            help="change a setting, e.g. training.epochs=5, or those of a TOML file; may be given again",
        )
    if "format" in names:
        to.add_argument(
            "--format",
            dest="output_format",
            choices=("text", "json"),
            default="text",
            help="what is printed (text)",
        )


def _look_ahead_option(to: argparse.ArgumentParser) -> None:
    to.add_argument(
        "--look-ahead", type=_seconds, metavar="SECONDS", help="see no further than a stream would (all it needs)"
    )


def _decoding_options(to: argparse.ArgumentParser) -> None:
    group = to.add_argument_group("decoding", "instead of what the model file says")
    to.set_defaults(decoding={})
    group.add_argument("--greedy", action=_Decoding, nargs=0, help="the best path, without a search")
    group.add_argument("--beam", action=_Decoding, type=_count, metavar="N", help="search with N hypotheses")
    group.add_argument("--lm", action=_Decoding, type=Path, metavar="FILE.arpa", help="a language model over words")
    group.add_argument("--lm-weight", action=_Decoding, type=float, metavar="W", help="exponent of its probability")
    group.add_argument("--word-bonus", action=_Decoding, type=float, metavar="NATS", help="gained by each word")
    group.add_argument(
        "--words",
        action=_Decoding,
        choices=("open", "closed"),
        help="any that can be spelled, or only the model's",
    )
    group.add_argument(
        "--hot-word",
        dest="hot_words",
        append=True,
        action=_Decoding,
        metavar="WORD[:NATS]",
        help="a word or phrase that is likely; may be given again",
    )


def _keyword_options(to: argparse.ArgumentParser) -> None:
    group = to.add_argument_group("keywords", "misses and false alarms of a spotter; any of these asks for them")
    to.set_defaults(spotting=None)
    group.add_argument(
        "--keyword",
        dest="keywords",
        action=_Keywords,
        append=True,
        metavar="WORD",
        help="to spot; may be given again",
    )
    group.add_argument(
        "--false-alarms-per-hour",
        action=_Keywords,
        type=_rate,
        metavar="X",
        help="choose each keyword's threshold on dev for so many at most",
    )
    group.add_argument(
        "--tune-manifest",
        action=_Keywords,
        type=Path,
        metavar="FILE",
        help="choose them on these recordings instead",
    )
    group.add_argument("--inside-words", action=_Keywords, nargs=0, help="a keyword may be a part of a longer word")
    group.add_argument(
        "--tolerance",
        action=_Keywords,
        type=_seconds,
        metavar="SECONDS",
        help="a hit may lie beside its word (0.5)",
    )
    group.add_argument(
        "--det",
        action=_Keywords,
        type=Path,
        metavar="PNG",
        help="draw misses against false alarms at all thresholds",
    )


def _listening_options(to: argparse.ArgumentParser, formats: Sequence[str] = _FORMATS) -> None:
    to.set_defaults(gathered=Listening)
    to.add_argument("--model", type=Path, metavar="FILE", help="a model file or a run (the one trained last)")
    to.add_argument("--channel", type=_count, metavar="N", help="this channel only, from 1 (all, mixed down)")
    to.add_argument("--threads", type=_count, metavar="N", help="that listen side by side (one a core)")
    to.add_argument("--output-dir", type=Path, metavar="DIR", help="write a file for each recording there")
    there = to.add_mutually_exclusive_group()
    there.add_argument(
        "--overwrite",
        dest="existing",
        action="store_const",
        const="replace",
        default="refuse",
        help="there, replace files of those names",
    )
    there.add_argument(
        "--missing",
        dest="existing",
        action="store_const",
        const="keep",
        help="there, keep files of those names, and hear only the recordings that have none yet",
    )
    to.add_argument(
        "--format",
        dest="output_format",
        choices=formats,
        default=formats[0],
        help=f"what is written ({formats[0]})",
    )
    _places(to, "runs")


class _Gathered(argparse.Action):
    """Options of one kind travel together, in one argument: verbs hand them on as they are."""

    into = ""
    made: Callable[..., Any] = dict

    def __init__(self, option_strings: Sequence[str], dest: str, append: bool = False, **options: Any) -> None:
        super().__init__(option_strings, dest, default=argparse.SUPPRESS, **options)
        self._append = append

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        """Take one option."""
        before = getattr(namespace, self.into) or {}
        gathered = dict(before if isinstance(before, dict) else vars(before))
        if self._append:
            values = [*(gathered.get(self.dest) or []), values]
        gathered[self.dest] = True if self.nargs == 0 else values
        setattr(namespace, self.into, self.made(**gathered))


class _Decoding(_Gathered):
    into = "decoding"


class _Keywords(_Gathered):
    into = "spotting"
    made = Keywords


# --- what options take ---


def _count(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} must be a whole number, at least 1")
    return value


def _counts(text: str) -> list[int]:
    return _once_each(text, [_count(part) for part in text.split(",")])


def _seeds(text: str) -> list[int]:
    if not all(part.isdecimal() and int(part) < 1 << 32 for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text} must be whole numbers in 0…4,294,967,295 with commas between")
    return _once_each(text, [int(part) for part in text.split(",")])


def _once_each(text: str, numbers: list[int]) -> list[int]:
    if len(set(numbers)) < len(numbers):
        raise argparse.ArgumentTypeError(f"{text} names a number twice, which would give the same training twice")
    return numbers


def _number(text: str, holds: Callable[[float], bool], wanted: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and holds(value)):
        raise argparse.ArgumentTypeError(f"{text} must be a number {wanted}")
    return value


def _seconds(text: str) -> float:
    return _number(text, lambda value: value >= 0, "of seconds, at least 0")


def _seconds_list(text: str) -> list[float]:
    return [_seconds(part) for part in text.split(",")]


def _rate(text: str) -> float:
    return _number(text, lambda value: value >= 0, "of false alarms an hour, at least 0")


def _score(text: str) -> float:
    return _number(text, lambda value: 0 < value <= 1, "above 0, at most 1")
