"""Beam search side by side: pyctcdecode, flashlight-text and audiornn, one core.

Ten seconds at 100 frames a second, 32 symbols, 50 hypotheses. Sharp posteriors are those of a network that is sure: at
least 0.98 on the best symbol of each frame, mostly the blank, and what is left spread over the others. Sharp ones with
a rival have 0.98 and 0.02: a letter beside each blank, the blank beside each letter. Flat ones are the softmax of
normal noise: no symbol of a frame stands out, and nothing can be left out. The usual way is pyctcdecode.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measure import Report, arguments, in_turns, optional, peak_mebibytes

from audiornn.listen.beam_search import BeamSearch, beam_search
from audiornn.listen.language_model import LanguageModel, build_language_model
from audiornn.listen.search_graph import DecodingSettings, SearchGraph, spell_words
from audiornn.vocabulary import BLANK, Vocabulary

LETTERS = "abcdefghijklmnopqrstuvwxyzäöüß"
SYMBOLS = (BLANK, " ", *LETTERS)
VOCABULARY = Vocabulary(SYMBOLS, "character")
FRAMES_A_SECOND, BEAM = 100, 50
N_WORDS, N_SENTENCES = 2000, 5000
FLASHLIGHT_THRESHOLD = 12.0  # nats, as audiornn's default

Decode = Callable[[np.ndarray], object]


def main() -> None:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="of audio (10)")
    parser.add_argument("--minutes", type=float, default=60.0, metavar="M", help="length of the long recording (60)")
    options = parser.parse_args()
    report = Report("decoding", options.json)
    rng = np.random.default_rng(0)
    words = random_words(rng)
    model = build_language_model([" ".join(rng.choice(words, 6)) for _ in range(N_SENTENCES)])
    n_frames = round(options.seconds * FRAMES_A_SECOND)
    for kind, log_probs in (
        ("sharp", sharp(rng, words, n_frames)),
        ("sharp, with a rival", sharp(rng, words, n_frames, rival=True)),
        ("flat", flat(rng, n_frames)),
    ):
        title = f"{options.seconds:g} s, posteriors {kind}, {len(SYMBOLS)} symbols, {BEAM} hypotheses"
        race(report, f"{title}: letters alone", log_probs, letters_alone(), options.rounds)
        race(report, f"{title}: a language model of {N_WORDS:,} words", log_probs, with_model(model), options.rounds)
        race(report, f"{title}: a lexicon of {N_WORDS:,} words", log_probs, with_lexicon(words), options.rounds)
    long_recording(report, sharp(rng, words, 60 * FRAMES_A_SECOND), model, options.minutes)
    report.finish()


def race(report: Report, title: str, log_probs: np.ndarray, decoders: dict[str, Decode], rounds: int) -> None:
    contenders = {name: (lambda decode=decode: decode(log_probs)) for name, decode in decoders.items()}
    report.table(title, in_turns(contenders, rounds=rounds))


def random_words(rng: np.random.Generator) -> list[str]:
    """Words of two to nine letters; no letter twice in a row, which is another matter."""
    words: set[str] = set()
    while len(words) < N_WORDS:
        letters = rng.choice(list(LETTERS), rng.integers(2, 10))
        words.add("".join(a for a, b in zip(letters, [*letters[1:], ""], strict=True) if a != b))
    return sorted(words)


def sharp(rng: np.random.Generator, words: list[str], n_frames: int, *, rival: bool = False) -> np.ndarray:
    """A sure network's log-probabilities of random words, about fourteen letters a second."""
    path: list[int] = []
    while len(path) < n_frames:
        for letter in rng.choice(words) + " ":
            path += [SYMBOLS.index(letter)] * int(rng.integers(1, 3)) + [0] * int(rng.integers(3, 9))
    probabilities = np.empty((n_frames, len(SYMBOLS)))
    best = rng.uniform(0.98, 1.0, n_frames)
    for t in range(n_frames):
        rest = rng.dirichlet(np.full(len(SYMBOLS) - 1, 0.3)) * (1 - best[t])
        if rival:
            best[t], rest[:] = 0.98, 1e-6
            rest[0 if path[t] else rng.integers(len(rest))] = 0.02
        probabilities[t] = np.insert(rest, path[t], best[t])
    return np.log(np.maximum(probabilities, 1e-12)).astype(np.float32)


def flat(rng: np.random.Generator, n_frames: int) -> np.ndarray:
    logits = 0.5 * rng.standard_normal((n_frames, len(SYMBOLS)))
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


# --- the contenders ---


def letters_alone() -> dict[str, Decode]:
    decoders: dict[str, Decode] = {}
    with optional("pyctcdecode"):
        decoders["pyctcdecode"] = pyctcdecode_decoder()
    with optional("flashlight-text"):
        decoders["flashlight-text, sums, the same threshold"] = flashlight_letters()
    return {**decoders, **audiornn_decoders()}


def with_model(model: LanguageModel) -> dict[str, Decode]:
    decoders: dict[str, Decode] = {}
    with optional("pyctcdecode with kenlm"), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.arpa"
        model.write(file)
        decoders["pyctcdecode, kenlm"] = pyctcdecode_decoder(str(file), list(model.words))
    return {**decoders, **audiornn_decoders(language_model=model)}


def with_lexicon(words: list[str]) -> dict[str, Decode]:
    decoders: dict[str, Decode] = {}
    with optional("flashlight-text"):
        decoders["flashlight-text, sums, the same threshold"] = flashlight_lexicon(words)
    return {**decoders, **audiornn_decoders(lexicon=spell_words(words, VOCABULARY)[0])}


def audiornn_decoders(**knows: object) -> dict[str, Decode]:
    as_it_comes = SearchGraph(VOCABULARY, DecodingSettings("beam", beam_size=BEAM), **knows)
    pruned = DecodingSettings("beam", beam_size=BEAM, beam_threshold=10.0, symbol_threshold=-5.0)
    as_pyctcdecode = SearchGraph(VOCABULARY, pruned, **knows)
    return {
        "audiornn, as it comes": lambda log_probs: beam_search(log_probs, as_it_comes),
        "audiornn, pruned as pyctcdecode by default": lambda log_probs: beam_search(log_probs, as_pyctcdecode),
    }


def pyctcdecode_decoder(model: str | None = None, words: list[str] | None = None) -> Decode:
    import logging

    from pyctcdecode import build_ctcdecoder

    logging.getLogger("pyctcdecode").setLevel(logging.ERROR)
    decoder = build_ctcdecoder(["", *SYMBOLS[1:]], model, words)
    return lambda log_probs: decoder.decode(log_probs, beam_width=BEAM)


def flashlight_letters() -> Decode:
    from flashlight.lib.text.decoder import CriterionType, LexiconFreeDecoder, LexiconFreeDecoderOptions, ZeroLM

    options = LexiconFreeDecoderOptions(BEAM, len(SYMBOLS), FLASHLIGHT_THRESHOLD, 0.0, 0.0, True, CriterionType.CTC)
    decoder = LexiconFreeDecoder(options, ZeroLM(), SYMBOLS.index(" "), 0, [])
    return lambda log_probs: decoder.decode(log_probs.ctypes.data, *log_probs.shape)


def flashlight_lexicon(words: list[str]) -> Decode:
    from flashlight.lib.text.decoder import (
        CriterionType,
        LexiconDecoder,
        LexiconDecoderOptions,
        SmearingMode,
        Trie,
        ZeroLM,
    )

    space = SYMBOLS.index(" ")
    trie, model = Trie(len(SYMBOLS), space), ZeroLM()
    for number, word in enumerate(words):
        trie.insert([*(SYMBOLS.index(letter) for letter in word), space], number, 0.0)
    trie.smear(SmearingMode.MAX)
    options = LexiconDecoderOptions(
        BEAM, len(SYMBOLS), FLASHLIGHT_THRESHOLD, 0.0, 0.0, -np.inf, 0.0, True, CriterionType.CTC
    )
    decoder = LexiconDecoder(options, trie, model, space, 0, len(words), [], False)
    return lambda log_probs: decoder.decode(log_probs.ctypes.data, *log_probs.shape)


def long_recording(report: Report, minute: np.ndarray, model: LanguageModel, minutes: float) -> None:
    """A long recording, pushed second by second; memory must not grow with it."""
    import time

    search = BeamSearch(SearchGraph(VOCABULARY, DecodingSettings("beam", beam_size=BEAM), language_model=model))
    search.push(minute)
    before, began, n_symbols = peak_mebibytes(), time.perf_counter(), 0
    for _ in range(round(minutes)):
        for second in np.split(minute, 60):
            n_symbols += len(search.push(second))
            search.take_words()
    n_symbols += len(search.finish().symbols)
    spent = time.perf_counter() - began
    print()
    report.note(
        f"{minutes:g} minutes, sharp, a language model, pushed second by second: {spent:.1f} s, {n_symbols:,} symbols, "
        f"{peak_mebibytes() - before:.0f} MiB above the first minute",
        seconds=spent,
        symbols=n_symbols,
        added_mebibytes=peak_mebibytes() - before,
    )


if __name__ == "__main__":
    main()
