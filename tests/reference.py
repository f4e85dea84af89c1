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
