"""Slow oracles: the definitions themselves, for tiny cases."""

import itertools
import math
from functools import cache


def collapse(path, blank=0):
    """Graves et al. 2006, the map B: merge repeats, then drop blanks."""
    merged = [symbol for symbol, _ in itertools.groupby(path)]
    return tuple(symbol for symbol in merged if symbol != blank)


def best_path(log_probs):
    """Greedy CTC decoding of (frames, symbols), by the definition."""
    return collapse([max(range(len(row)), key=lambda k: row[k]) for row in log_probs])


def ctc_loss(log_probs, target):
    """−log of the probability of all paths that collapse to the target, by summing over every path there is."""
    n_frames, n_symbols = len(log_probs), len(log_probs[0])
    total = 0.0
    for path in itertools.product(range(n_symbols), repeat=n_frames):
        if collapse(path) == tuple(target):
            total += math.exp(sum(log_probs[t][symbol] for t, symbol in enumerate(path)))
    return -math.log(total) if total else math.inf


def best_path_for_target(log_probs, target):
    """The most probable of all paths that collapse to the target, and its log-probability, by trying every path."""
    n_frames, n_symbols = len(log_probs), len(log_probs[0])
    paths = [p for p in itertools.product(range(n_symbols), repeat=n_frames) if collapse(p) == tuple(target)]
    scores = [sum(log_probs[t][symbol] for t, symbol in enumerate(path)) for path in paths]
    best = max(range(len(paths)), key=lambda i: scores[i])
    return paths[best], scores[best]


def edit_distance(reference, hypothesis):
    """Levenshtein's distance by its recursion."""
    reference, hypothesis = tuple(reference), tuple(hypothesis)

    @cache
    def distance(i, j):
        if i == 0 or j == 0:
            return i + j
        replaced = distance(i - 1, j - 1) + (reference[i - 1] != hypothesis[j - 1])
        return min(replaced, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(reference), len(hypothesis))


def read_path(path, blank=0, space=None):
    """What a path reads: its collapsed symbols, words parted by one space however many were heard."""
    text = collapse(path, blank)
    if space is None:
        return text
    words = [tuple(word) for is_space, word in itertools.groupby(text, lambda s: s == space) if not is_space]
    return tuple(symbol for i, word in enumerate(words) for symbol in ((space,) * (i > 0) + word))


def text_log_probs(log_probs, space=None):
    """The log-probability of every text, by summing over every path there is."""
    n_frames, n_symbols = len(log_probs), len(log_probs[0])
    totals = {}
    for path in itertools.product(range(n_symbols), repeat=n_frames):
        text = read_path(path, space=space)
        totals[text] = totals.get(text, 0.0) + math.exp(sum(log_probs[t][symbol] for t, symbol in enumerate(path)))
    return {text: math.log(p) for text, p in totals.items() if p}


def best_texts(log_probs, gain=lambda text: 0.0, space=None):
    """All texts with their score, best first: log-probability and whatever else a text gains (None: not allowed)."""
    scored = [(lp, gain(text), text) for text, lp in text_log_probs(log_probs, space).items()]
    return sorted(((lp + more, text) for lp, more, text in scored if more is not None), key=lambda item: -item[0])
