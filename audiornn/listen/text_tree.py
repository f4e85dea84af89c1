"""The texts that a beam search weighs, as a tree: a text that is longer by a symbol is a child of the shorter one.

A node is made once and found again, so that two hypotheses are the same text exactly if they are the same node. Where
several words sound the same, each reading is a node of its own, with the same symbols.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["ROOT", "TextTree"]

ROOT = 1  # the text of nothing; 0 stands before it, so that no node is its own parent


class TextTree:
    """What is known of each text, in arrays that nodes index; they grow as texts do, and `prune` cuts them back.

    Attributes:
        parent: the text without its last symbol.
        symbol: the last symbol; the root's is one past the last.
        word: the word that the last symbol ends, -1 where it ends none or words are not told apart.
        born: the frame in which the node was made.
        place: in the lexicon.
        hot: state of the hot words' automaton.
        state: number of the language model's state, before the word that is not ended yet.
        gain: nats of language model, bonus and boosts so far.
        end_gain: nats if a word ended here; nan until asked for.
        end_state: number of the language model's state if a word ended here, once `end_gain` is known.
    """

    def __init__(self, n_symbols: int, n_words: int) -> None:
        self._n_symbols = n_symbols
        self._n_words = n_words
        self._size = 2
        self._children: dict[int, int] = {}
        capacity = 1024
        self.parent = np.zeros(capacity, np.int64)
        self.symbol = np.full(capacity, n_symbols)
        self.word = np.full(capacity, -1)
        self.born = np.full(capacity, -1)
        self.place = np.zeros(capacity, np.int64)
        self.hot = np.zeros(capacity, np.int64)
        self.state = np.zeros(capacity, np.int64)
        self.gain = np.zeros(capacity)
        self.end_gain = np.full(capacity, np.nan)
        self.end_state = np.zeros(capacity, np.int64)
        self._position = np.full(capacity, -1)  # among the nodes that `parents_among` was asked about

    def find(
        self, parents: NDArray[np.int64], symbols: NDArray[np.int64], words: NDArray[np.int64] | int, frame: int
    ) -> tuple[NDArray[np.int64], list[int]]:
        """Children by their symbol and word, made in this frame where there are none yet.

        Returns:
            The children's nodes, and which of them are new: of those the caller has to set all that `find` cannot know
            (place, hot, state, gain, end_gain).
        """
        children, size = self._children, self._size
        found, new = [], []
        for i, key in enumerate(self._keys(parents, symbols, words).tolist()):
            node = children.get(key)
            if node is None:
                children[key] = node = size
                size += 1
                new.append(i)
            found.append(node)
        nodes = np.array(found)
        if new:
            while size > len(self.parent):
                self._widen()
            made = slice(self._size, size)
            self._size = size
            self.parent[made], self.symbol[made], self.born[made] = parents[new], symbols[new], frame
            self.word[made] = words if isinstance(words, int) else words[new]
        return nodes, new

    def _keys(
        self, parents: NDArray[np.int64], symbols: NDArray[np.int64], words: NDArray[np.int64] | int
    ) -> NDArray[np.int64]:
        return (parents * self._n_symbols + symbols) * (self._n_words + 1) + words + 1

    def _widen(self) -> None:
        for name in _NODE_ARRAYS:
            array = getattr(self, name)
            setattr(self, name, np.concatenate((array, np.zeros_like(array))))
        self._position = np.full(len(self.parent), -1)

    def parents_among(self, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where among these nodes each one's parent is; -1 where it is not."""
        self._position[nodes] = np.arange(len(nodes))
        above = self._position[self.parent[nodes]]
        self._position[nodes] = -1
        return above

    def path(self, node: int) -> list[int]:
        """The nodes from below the root to a node."""
        path = []
        while node != ROOT:
            path.append(node)
            node = int(self.parent[node])
        return path[::-1]

    def living(self, nodes: Iterable[int]) -> NDArray[np.int64]:
        """These nodes and all that they stand on, in their order: the root first, each after its parent."""
        living = {ROOT}
        for node in nodes:
            while node not in living:
                living.add(node)
                node = int(self.parent[node])
        return np.array(sorted(living))

    def shared(self, nodes: Iterable[int], living: NDArray[np.int64]) -> int:
        """The longest text that all of these begin with; `living` is what they stand on."""
        above = self.parent[living[1:]]
        n_children = np.bincount(above, minlength=self._size)
        child = np.zeros(self._size, np.int64)
        child[above] = living[1:]
        node, ends = ROOT, set(nodes)
        while node not in ends and n_children[node] == 1:
            node = int(child[node])
        return node

    def prune(self, living: NDArray[np.int64]) -> NDArray[np.int64]:
        """Cut all but these nodes; the first becomes the root.

        Returns:
            Each old node's new number, in the same order; 0 for those that are gone.
        """
        size = 1 + len(living)
        new = np.zeros(self._size, np.int64)
        new[living] = np.arange(ROOT, size)
        for name in _NODE_ARRAYS:
            array = getattr(self, name)
            array[ROOT:size] = array[living]
        self.parent[ROOT:size] = new[self.parent[ROOT:size]]
        self._size = size
        below = slice(ROOT + 1, size)
        keys = self._keys(self.parent[below], self.symbol[below], self.word[below])
        self._children = dict(zip(keys.tolist(), range(ROOT + 1, size), strict=True))
        return new


_NODE_ARRAYS = ("parent", "symbol", "word", "born", "place", "hot", "state", "gain", "end_gain", "end_state")
