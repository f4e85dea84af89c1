"""CTC prefix beam search, a chunk of log-probabilities at a time.

Greedy decoding takes the best path; the best *text* may have many middling paths instead. A hypothesis is therefore a
text, and its probability the sum over all the paths that read it (Graves et al. 2006; Hannun et al. 2014). It is split
in two: the paths whose last frame is blank, and those whose last frame is the text's last symbol, because only after a
blank may the same symbol be read again as a new one.

A frame goes in one of four ways:

- **blank**: the text stays, and all its paths now end in a blank.
- **the last symbol again**: from paths that end in that symbol the text stays, the symbol has only gone on. From paths
  that end in a blank, it is read once more: a longer text.
- **another symbol**: a longer text, from all paths.
- **a space after a space**, or at the beginning: the text stays, for words are parted by one space, whatever was heard.

A longer text may be in the beam already, where it lives on from earlier frames: then the paths meet, and their
probabilities add up (`text_tree.py`).

Words come in where they end: the language model, the bonus and the lexicon's closed doors. Letters end a word by a
space or by the end of the recording. Phones have no space, and a word may end, or be the beginning of a longer one, or
be two words that sound the same: each reading is a text of its own, with the same symbols and the same paths.

What the search leaves out is in `DecodingSettings`: texts beyond `beam_size` or `beam_threshold`, and symbols below
`symbol_threshold`; and of a frame where the blank is so sure that no longer text could find a place in a full beam, all
but the blank. Without these it is exact. Memory does not grow with the recording: what all hypotheses share is given
out, dead branches are cut, and nothing remains undecided for much longer than `horizon_frames`.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiornn.errors import ModelFileError
from audiornn.listen.decoding import DecodedSymbol
from audiornn.listen.language_model import END
from audiornn.listen.search_graph import SearchGraph, WordGains
from audiornn.listen.text_tree import ROOT, TextTree
from audiornn.listen.viterbi import align_symbols

__all__ = ["BeamSearch", "Decoded", "DecodedWord", "Hypothesis", "beam_search"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TIDY_FRAMES = 64  # from one tidying to the next; counted from the recording's start, so that chunks do not matter
_NEVER = np.float64(-np.inf)
_LEAST = float(np.finfo(np.float64).min)  # below every score that is not −∞


@dataclass(frozen=True)
class DecodedWord:
    """A word, the output frames `first` to `last` (inclusive) it was read from, and its symbols' mean posterior.

    `id` is its place among the search graph's words; -1 where it was spelled letter by letter.
    """

    word: str
    id: int
    first: int
    last: int
    posterior: float


@dataclass(frozen=True)
class Hypothesis:
    """A text that the recording may hold.

    Attributes:
        symbols: with their frames, as the text's best path has them; no space at either end.
        words: of the text; a symbol each where symbols are words, empty for phones without a lexicon.
        score: nats: the log-probability of all the text's paths, the weighted language model, bonuses and boosts.
    """

    symbols: tuple[DecodedSymbol, ...]
    words: tuple[DecodedWord, ...]
    score: float


@dataclass(frozen=True)
class Decoded:
    """The end of a search.

    Attributes:
        symbols: of the best hypothesis, those that `push` has not given out before.
        words: likewise.
        score: of the best hypothesis, from the beginning.
        n_best: the best hypotheses, best first, no text twice; what all of them share and was given out is left off.
    """

    symbols: tuple[DecodedSymbol, ...]
    words: tuple[DecodedWord, ...]
    score: float
    n_best: tuple[Hypothesis, ...]


def beam_search(log_probs: NDArray[np.floating], graph: SearchGraph, *, n_best: int = 1) -> Decoded:
    """Search a whole recording at once.

    Args:
        log_probs: (frames, symbols), real frames only.
        graph: what the search knows.
        n_best: hypotheses to return, at most.
    """
    search = BeamSearch(graph)
    symbols = tuple(search.push(log_probs))
    words = tuple(search.take_words())
    rest = search.finish(n_best)
    hypotheses = tuple(
        dataclasses.replace(h, symbols=_stripped((*symbols, *h.symbols), graph.space), words=(*words, *h.words))
        for h in rest.n_best
    )
    return Decoded(hypotheses[0].symbols, hypotheses[0].words, rest.score, hypotheses)


class BeamSearch:
    """A search in progress: `push` chunks of log-probabilities, then `finish`.

    The result is the same however the frames are cut into chunks.
    """

    def __init__(self, graph: SearchGraph) -> None:
        self._graph = graph
        self._n_symbols = len(graph.vocabulary)
        self._weighs_words = bool(graph.language_model or graph.settings.word_bonus)
        self._start = 0  # the frame that the window begins with
        self._time = 0  # frames heard
        self._tidied = 0
        self._window: list[NDArray[np.float32]] = []
        self._given: int = -1  # the last symbol given out
        self._open_word: list[DecodedSymbol] = []
        self._words: list[DecodedWord] = []
        self._word_gains = WordGains(graph)
        self._tree = tree = TextTree(self._n_symbols, len(graph.words) if graph.ends_in_arcs else 0)
        if graph.space >= 0:
            tree.symbol[ROOT] = graph.space  # a space at the beginning is a space after a space
            tree.end_gain[ROOT] = 0.0
        tree.hot[ROOT] = graph.hot.start if graph.hot else 0
        tree.state[ROOT] = self._word_gains.start

        # The beam: its nodes, and the log-probability of their paths that end in a blank, and in a symbol.
        self._nodes = np.array([ROOT])
        self._blank = np.zeros(1)
        self._last = np.full(1, _NEVER)
        self._column = np.full(self._n_symbols + 1, -1)  # of each symbol among a frame's active ones
        self._numbers = np.arange(max(self._n_symbols, graph.settings.beam_size))
        self._spread = math.inf  # nats from the best to the worst of a full beam
        self._scale = 0.0  # nats that all hypotheses have in common: blanks that nothing else competed with

    @property
    def settled(self) -> int:
        """Frames whose symbols are all given out; no later symbol begins before."""
        return self._start

    @property
    def settled_words(self) -> int:
        """Frames whose words are all given out; no later word begins before."""
        return self._open_word[0].first if self._open_word else self._start

    # --- frames ---

    def push(self, log_probs: NDArray[np.floating]) -> list[DecodedSymbol]:
        """Read further frames.

        Args:
            log_probs: (frames, symbols), real frames only, which follow those of the last call.

        Returns:
            Symbols that are now decided, with absolute frame numbers.

        Raises:
            ModelFileError: another number of symbols than the vocabulary has.
        """
        if log_probs.ndim != 2 or log_probs.shape[1] != self._n_symbols:
            raise ModelFileError(
                f"log_probs have shape {log_probs.shape}, the vocabulary wants (frames, {self._n_symbols})"
            )
        if not len(log_probs):
            return []
        self._window.append(np.array(log_probs, np.float32))
        if not self._graph.readable.all():
            log_probs = np.where(self._graph.readable, log_probs, _NEVER)
        floor = np.minimum(self._graph.settings.symbol_threshold, log_probs.max(axis=1, keepdims=True))
        rows = np.full((len(log_probs), self._n_symbols + 1), _NEVER)
        rows[:, :-1] = np.where(log_probs >= floor, log_probs, _NEVER)
        rows[:, 0] = np.where(np.isnan(log_probs[:, 0]), _NEVER, log_probs[:, 0])
        frames, symbols = np.nonzero(rows[:, 1:-1] > _NEVER)
        symbols = symbols + 1
        busy, firsts = np.unique(frames, return_index=True)
        bounds = [*firsts.tolist(), len(frames)]
        decided: list[DecodedSymbol] = []
        begun, done = self._time, 0
        gained = rows[busy, 1:-1] + self._graph.most_gain[1:]
        rivals = (gained.max(axis=1, initial=_NEVER) - rows[busy, 0]).tolist()
        for i, frame in enumerate(busy.tolist()):
            if (begun + frame) // _TIDY_FRAMES > self._tidied:
                self._rest(rows[done:frame, 0])
                done = frame
                self._time = begun + frame
                self._tidied = self._time // _TIDY_FRAMES
                decided += self._tidy()
            if rivals[i] + self._spread < 0:
                continue  # nothing that this frame's symbols make of the best can push the worst out of a full beam
            self._rest(rows[done:frame, 0])
            self._time = begun + frame
            self._step(rows[frame], symbols[bounds[i] : bounds[i + 1]])
            done = frame + 1
        self._rest(rows[done:, 0])
        self._time = begun + len(rows)
        return decided

    def _rest(self, blanks: Floats) -> None:
        """Frames where only the blank counts: every path goes on in it, and the ranks stay as they are."""
        if len(blanks):
            self._blank = np.logaddexp(self._blank, self._last)
            self._last = np.full(len(self._nodes), _NEVER)
            blanks = np.where(blanks > _NEVER, blanks, 0.0)  # a frame that says nothing at all is passed over
            self._scale = float(np.cumsum([self._scale, *blanks])[-1])  # one after the other, however they are cut

    def _step(self, row: Floats, active: Ints) -> None:
        """One frame: every hypothesis stays, and grows by each active symbol; the best of all that are the next beam.

        Args:
            row: (symbols + 1,) log-probabilities, −∞ for symbols that are not looked at, and for "no symbol".
            active: the symbols that are, without the blank.
        """
        graph, tree, nodes = self._graph, self._tree, self._nodes
        stay_blank, stay_last, grown, repeated, space = self._read(row, active)
        # What a text gains beside its paths, and what a longer one does.
        own_gain = stay_gain = tree.gain[nodes]
        places = None
        if graph.arcs is not None:
            own_places = tree.place[nodes]
            places = graph.arcs[own_places[:, None], active]
            stay_gain = own_gain + graph.outlook[own_places]
            if not graph.open:
                grown[places < 0] = _NEVER
        gain = self._gains(active, grown, space)
        weights = grown + (own_gain[:, None] if gain is None else gain)
        ends = _NO_ENDS
        if places is not None:
            weights += graph.outlook[places]  # where places are −1, grown is −∞
            if graph.ends_in_arcs:  # a node for each word that a phone may end, beside the one for a longer word
                ends = self._ends(grown, places)
                weights[~graph.branches[places]] = _NEVER
        self._meet(stay_last, grown, weights, ends, repeated)

        stay = np.logaddexp(stay_blank, stay_last) + stay_gain
        chosen = self._chosen(stay, weights.reshape(-1), ends.scores)
        if chosen is None:
            return  # no hypothesis can read this frame: it is passed over
        stays, longer, ended = chosen
        if len(stays) == len(nodes) and not len(longer) and not len(ended):
            self._blank, self._last = stay_blank, stay_last
            return
        beam, lasts = [nodes[stays]], [stay_last[stays]]
        if len(longer):
            source, by = np.divmod(longer, len(active))
            place = None if places is None else places.reshape(-1)[longer]
            gained = own_gain[source] if gain is None else gain.reshape(-1)[longer]
            beam.append(self._grow(nodes[source], active[by], gained, place))
            lasts.append(grown.reshape(-1)[longer])
        if len(ended):
            beam.append(self._grow_words(ends, ended, active))
            lasts.append(ends.paths[ended])
        self._nodes, self._last = np.concatenate(beam), np.concatenate(lasts)
        self._blank = np.full(len(self._nodes), _NEVER)
        self._blank[: len(stays)] = stay_blank[stays]

    def _read(self, row: Floats, active: Ints) -> tuple[Floats, Floats, Floats, Ints, int]:
        """The paths of each hypothesis that stays, and of each that grows; arguments as of `_step`.

        Returns:
            Log-probabilities of those that stay and end in a blank, and in a symbol, (hypotheses,), and of longer ones,
            (hypotheses, active); the column of each hypothesis' last symbol, and of the space, −1 where it is not
            active.
        """
        last = self._tree.symbol[self._nodes]
        both = np.logaddexp(self._blank, self._last)
        column = self._column
        column[active] = self._numbers[: len(active)]
        repeated = column[last]
        space = int(column[self._graph.space]) if self._graph.space >= 0 else -1
        column[active] = -1

        stay_blank = both + row[0]
        stay_last = self._last + row[last]
        grown = both[:, None] + row[active]
        again = (repeated >= 0).nonzero()[0]
        if len(again):
            grown[again, repeated[again]] = self._blank[again] + row[last[again]]
        if space >= 0:
            parted = (last == self._graph.space).nonzero()[0]
            stay_last[parted] = both[parted] + row[self._graph.space]
            grown[parted, space] = _NEVER
        return stay_blank, stay_last, grown, repeated, space

    def _gains(self, active: Ints, grown: Floats, space: int) -> Floats | None:
        """What longer texts have gained by hot words and words, (hypotheses, active); None is what the shorter have."""
        graph, tree, nodes = self._graph, self._tree, self._nodes
        own_gain = tree.gain[nodes]
        gain: Floats | None = None
        if graph.hot is not None and not graph.ends_in_arcs:
            gain = own_gain[:, None] + graph.hot.gain[tree.hot[nodes][:, None], active]
        if self._weighs_words and (graph.unit == "word" or space >= 0):
            if gain is None:
                gain = np.repeat(own_gain, len(active)).reshape(grown.shape)
            if graph.unit == "word":
                gain += self._word_gains.of_symbols(tree.state[nodes].tolist(), active)
            else:
                ending = (grown[:, space] > _NEVER).nonzero()[0]
                gain[ending, space] += self._end_gains(nodes[ending])
        return gain

    def _meet(
        self,
        stay_last: Floats,
        grown: Floats,
        weights: Floats,
        ends: _Ends,
        repeated: Ints,
    ) -> None:
        """Add the paths of longer texts that are in the beam already to what stays there, and leave those out."""
        met = (repeated >= 0).nonzero()[0]
        if not len(met):
            return
        above = self._tree.parents_among(self._nodes)
        met = met[above[met] >= 0]
        if not len(met):
            return
        from_above, by = above[met], repeated[met]
        if not self._graph.ends_in_arcs:
            weights[from_above, by] = _NEVER
        else:
            words = self._tree.word[self._nodes[met]]
            unended = words < 0
            weights[from_above[unended], by[unended]] = _NEVER
            ends.drop(from_above, by, words)
        stay_last[met] = np.logaddexp(stay_last[met], grown[from_above, by])

    def _chosen(self, stay: Floats, longer: Floats, ended: Floats) -> tuple[Ints, Ints, Ints] | None:
        """The places of the best by the scores of those that stay, are longer, or end a word; None if none is left."""
        worst, top = stay.min(), longer.max()
        if len(ended):
            top = max(top, ended.max())
        best = max(stay.max(), top)
        if not best > _NEVER:
            return None
        beam_size = self._graph.settings.beam_size
        least = max(best - self._graph.settings.beam_threshold, _LEAST)
        # Where the beam is full already, only what beats the worst in it can have a place.
        bar = max(least, worst) if len(stay) == beam_size else least
        if worst >= least and top < bar:
            self._spread = best - worst if len(stay) == beam_size else math.inf
            return self._numbers[: len(stay)], _NONE, _NONE
        stays = self._numbers[: len(stay)] if worst >= least else (stay >= least).nonzero()[0]
        grows, ends = (longer >= bar).nonzero()[0], (ended >= bar).nonzero()[0]
        n_stays, n_grows = len(stays), len(grows)
        self._spread = math.inf
        if n_stays + n_grows + len(ends) > beam_size:
            scores = np.concatenate((stay[stays], longer[grows], ended[ends]))
            kept = np.argpartition(scores, -beam_size)[-beam_size:]
            kept.sort()
            self._spread = float(best - scores[kept].min())
            first, second = int(kept.searchsorted(n_stays)), int(kept.searchsorted(n_stays + n_grows))
            stays = stays[kept[:first]]
            grows, ends = grows[kept[first:second] - n_stays], ends[kept[second:] - n_stays - n_grows]
        return stays, grows, ends

    # --- longer texts ---

    def _grow(
        self,
        parents: Ints,
        symbols: Ints,
        gain: Floats,
        places: NDArray[np.int32] | None,
    ) -> Ints:
        """The nodes of texts that are longer by a symbol; made where there is none yet."""
        graph, tree = self._graph, self._tree
        nodes, new = tree.find(parents, symbols, -1, self._time)
        if len(new):
            made, parents, symbols = nodes[new], parents[new], symbols[new]
            tree.gain[made] = gain[new]
            if places is not None:
                tree.place[made] = places[new]
            if graph.hot is not None and not graph.ends_in_arcs:
                tree.hot[made] = graph.hot.next[tree.hot[parents], symbols]
            else:
                tree.hot[made] = tree.hot[parents]
            tree.state[made] = tree.state[parents]
            tree.end_gain[made] = np.nan
            if graph.space >= 0:
                spaces = symbols == graph.space
                tree.end_gain[made[spaces]] = 0.0
                tree.state[made[spaces]] = tree.end_state[parents[spaces]]
            elif graph.unit == "word" and graph.language_model is not None:
                keys = zip(tree.state[parents].tolist(), symbols.tolist(), strict=True)
                tree.state[made] = [self._word_gains.after(state, symbol)[1] for state, symbol in keys]
        return nodes

    def _grow_words(self, ends: _Ends, which: Ints, active: Ints) -> Ints:
        """The nodes of texts whose last phone ends a word."""
        parents, symbols, words = self._nodes[ends.source[which]], active[ends.by[which]], ends.word[which]
        tree = self._tree
        nodes, new = tree.find(parents, symbols, words, self._time)
        made = nodes[new]
        tree.gain[made] = ends.gain[which][new]
        tree.place[made] = 0
        tree.state[made] = ends.state[which][new]
        if self._graph.hot is not None:
            tree.hot[made] = self._graph.hot.next[tree.hot[parents[new]], words[new]]
        return nodes

    # --- words ---

    def _end_gains(self, nodes: Ints) -> Floats:
        """What texts gain if their last word, in letters, ends here."""
        tree = self._tree
        gains = tree.end_gain[nodes]
        unknown = np.isnan(gains).nonzero()[0]
        if len(unknown):
            asked = nodes[unknown]
            states = tree.state[asked].tolist()
            words = [[-1]] * len(asked)
            if self._graph.arcs is not None:
                words = [row[: max(1, (row >= 0).sum())] for row in self._graph.endings[tree.place[asked]]]
            # Of words that are spelled alike the likeliest: a language model that knows capitals may have two.
            found = [
                max((self._word_gains.after(state, int(word)) for word in alike), key=operator.itemgetter(0))
                for state, alike in zip(states, words, strict=True)
            ]
            gains[unknown] = tree.end_gain[asked] = [gain for gain, _ in found]
            tree.end_state[asked] = [after for _, after in found]
        return gains

    def _ends(self, grown: Floats, places: NDArray[np.int32]) -> _Ends:
        """Every word that some hypothesis ends by some active phone."""
        graph, tree = self._graph, self._tree
        source, by = np.nonzero((grown > _NEVER) & (graph.endings[places, 0] >= 0))
        candidates = graph.endings[places[source, by]]
        which, slot = np.nonzero(candidates >= 0)
        source, by, word = source[which], by[which], candidates[which, slot].astype(np.int64)
        gain = tree.gain[self._nodes[source]]
        state = tree.state[self._nodes[source]]
        if self._weighs_words:
            for i, key in enumerate(zip(state.tolist(), word.tolist(), strict=True)):
                more, state[i] = self._word_gains.after(*key)
                gain[i] += more
        if graph.hot is not None:
            gain = gain + graph.hot.gain[tree.hot[self._nodes[source]], word]
        paths = grown[source, by]
        return _Ends(source, by, word, paths, gain, state, paths + gain + graph.outlook[0])

    # --- what is decided ---

    def _tidy(self) -> list[DecodedSymbol]:
        """Give out what all hypotheses share, and cut the branches that none of them stands on."""
        self._word_gains.forget_some()
        tree = self._tree
        limit = self._time - self._graph.settings.horizon_frames
        if limit > self._start:
            decided = self._nodes.copy()
            while len(young := np.flatnonzero((tree.born[decided] >= limit) & (decided != ROOT))):
                decided[young] = tree.parent[decided[young]]
            agrees = decided == decided[self._best()]
            self._nodes, self._blank, self._last = self._nodes[agrees], self._blank[agrees], self._last[agrees]
            if len(agrees) > len(self._nodes):
                self._spread = math.inf
        beam = self._nodes.tolist()
        living = tree.living(beam)
        root = tree.shared(beam, living)
        best = int(self._nodes[self._best()])
        window = self._frames()
        path = tree.path(best)
        shared = tree.path(root)
        symbols: list[DecodedSymbol] = []
        if 2 * len(shared) < len(path) and shared:
            root = ROOT  # wait: the whole path is laid along its frames each time, so let it be worth it
        else:
            if shared:
                symbols = self._timed(path, window)[: len(shared)]
                self._close(symbols, [int(tree.word[node]) for node in shared])
                self._given = symbols[-1].id
                self._cut_window(window, symbols[-1].last + 1)
            if limit > self._start:
                self._cut_window(self._frames(), limit)  # no hypothesis has an undecided symbol that is older
        self._nodes = tree.prune(living[living >= root])[self._nodes]  # below the root stands only the way to it
        return symbols

    def _best(self) -> int:
        """The best hypothesis' place in the beam."""
        return int((np.logaddexp(self._blank, self._last) + self._tree.gain[self._nodes]).argmax())

    def _frames(self) -> NDArray[np.float32]:
        """Log-probabilities from the window's start to now; later frames of the same chunk are there too."""
        if len(self._window) > 1:
            self._window = [np.concatenate(self._window)]
        return self._window[0] if self._window else np.zeros((0, self._n_symbols), np.float32)

    def _cut_window(self, window: NDArray[np.float32], start: int) -> None:
        self._window = [window[start - self._start :].copy()]
        self._start = start

    def _timed(self, path: Sequence[int], window: NDArray[np.float32]) -> list[DecodedSymbol]:
        """The symbols of a text with the frames that its best path reads them from."""
        ids = [int(self._tree.symbol[node]) for node in path]
        heard = window[: self._time - self._start]
        # Of a run of frames that the search read nothing but the blank from, one is enough to part two symbols.
        kept: NDArray[np.bool_] = np.any(heard[:, 1:] >= self._graph.settings.symbol_threshold, axis=1)
        kept[1:] |= kept[:-1].copy()
        kept[:1] = True
        frames = kept.nonzero()[0]
        spans = align_symbols(heard[frames], ids, space=self._graph.space, before=self._given)
        spans = [(int(frames[first]), int(frames[last])) for first, last in spans]
        return [
            DecodedSymbol(
                symbol,
                self._start + first,
                self._start + last,
                float(np.exp(heard[first : last + 1, symbol], dtype=np.float64).max()),
            )
            for symbol, (first, last) in zip(ids, spans, strict=True)
        ]

    def _close(self, symbols: Sequence[DecodedSymbol], words: Sequence[int]) -> None:
        """Take note of symbols given out: whole words go to `take_words`, letters of an open one are kept."""
        closed, self._open_word = self._worded(symbols, words, self._open_word)
        self._words += closed

    def _worded(
        self, symbols: Sequence[DecodedSymbol], words: Sequence[int], begun: Sequence[DecodedSymbol]
    ) -> tuple[list[DecodedWord], list[DecodedSymbol]]:
        """The words that symbols spell, after the symbols of one that has begun; and what is left of an open one."""
        graph, closed, current = self._graph, [], list(begun)
        names = graph.vocabulary.symbols
        for symbol, word in zip(symbols, words, strict=True):
            if symbol.id != graph.space:
                current.append(symbol)
            if graph.unit == "word" or word >= 0:
                number = symbol.id if graph.unit == "word" else word
                closed.append(_word_of(graph.words[number], current, number))
                current = []
            elif symbol.id == graph.space and current:
                closed.append(_word_of("".join(names[letter.id] for letter in current), current))
                current = []
        return closed, current

    def take_words(self) -> list[DecodedWord]:
        """The words that `push` has decided since the last call."""
        words, self._words = self._words, []
        return words

    def hypothesis(self) -> Hypothesis:
        """The best hypothesis so far, of what is not decided; its last word may be a beginning. It changes nothing."""
        place = self._best()
        score = self._scale + float(np.logaddexp(self._blank, self._last)[place] + self._tree.gain[self._nodes[place]])
        return self._told(self._tree.path(int(self._nodes[place])), score)

    def finish(self, n_best: int = 1) -> Decoded:
        """End the search.

        Where no hypothesis ends with a whole word of a closed vocabulary, the beginning of one is left out.

        Args:
            n_best: hypotheses to return, at most.
        """
        scores: dict[int, float] = {}  # by node: with and without a space at its end it is the same text
        paths = np.logaddexp(self._blank, self._last) + self._scale
        for whole in (True, False):
            for node, score in zip(self._nodes.tolist(), paths.tolist(), strict=True):
                end = self._end(node) if whole else (self._last_whole(node), float(self._tree.gain[node]))
                if end is None or score == _NEVER:
                    continue
                text, score = end[0], score + end[1]
                if whole:
                    scores[text] = float(np.logaddexp(scores.get(text, _NEVER), score))
                else:
                    scores[text] = max(scores.get(text, _NEVER), score)
            if scores:
                break
        ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        told: list[Hypothesis] = []
        texts = set()
        for node, score in ranked:
            hypothesis = self._told(self._tree.path(node), score)
            said = tuple(word.word for word in hypothesis.words) if self._graph.ends_in_arcs else (str(node),)
            if said not in texts:  # the same words pronounced otherwise are the same text
                texts.add(said)
                told.append(hypothesis)
            if len(told) == n_best:
                break
        return Decoded(told[0].symbols, told[0].words, told[0].score, tuple(told))

    def _end(self, node: int) -> tuple[int, float] | None:
        """The text, without a space, and what it gains if it ends here; None inside a word of a closed vocabulary."""
        graph, tree = self._graph, self._tree
        gain, state = float(tree.gain[node]), int(tree.state[node])
        place = int(tree.place[node])
        spaced = graph.space >= 0 and tree.symbol[node] == graph.space
        if graph.unit == "character" and not spaced and (node != ROOT or self._open_word):
            if graph.arcs is not None and not graph.open and graph.endings[place, 0] < 0:
                return None
            if self._weighs_words:
                gain += float(self._end_gains(np.array([node]))[0])
                state = int(tree.end_state[node])
        elif graph.ends_in_arcs and place:
            return None
        if graph.language_model is not None and (END,) in graph.language_model.ngrams[0]:
            gain += graph.settings.lm_weight * graph.language_model.score(self._word_gains.states[state], END)[0]
        if graph.hot is not None:
            closed = spaced or graph.space < 0
            gain += float((graph.hot.final if closed else graph.hot.final_unclosed)[tree.hot[node]])
        return (int(tree.parent[node]) if spaced and node != ROOT else node), gain

    def _last_whole(self, node: int) -> int:
        """The text without the word that has only begun."""
        tree = self._tree
        while node != ROOT and tree.place[node]:
            node = int(tree.parent[node])
        if node != ROOT and tree.symbol[node] == self._graph.space:
            node = int(tree.parent[node])
        return node

    def _told(self, path: Sequence[int], score: float) -> Hypothesis:
        symbols = self._timed(path, self._frames())
        words, rest = self._worded(symbols, [int(self._tree.word[node]) for node in path], self._open_word)
        if rest and self._graph.unit == "character":
            words.append(_word_of("".join(self._graph.vocabulary.symbols[letter.id] for letter in rest), rest))
        return Hypothesis(tuple(symbols), tuple(words), score)


@dataclass
class _Ends:
    """Words that end in a frame: the hypothesis' place, the phone's column, the word, and what comes of it."""

    source: Ints
    by: Ints
    word: Ints
    paths: Floats
    gain: Floats
    state: Ints
    scores: Floats

    def drop(self, source: Ints, by: Ints, word: Ints) -> None:
        """Leave out the words whose text is in the beam already."""
        there = set(zip(source.tolist(), by.tolist(), word.tolist(), strict=True))
        for i, key in enumerate(zip(self.source.tolist(), self.by.tolist(), self.word.tolist(), strict=True)):
            if key in there:
                self.scores[i] = _NEVER


_NONE = np.zeros(0, np.int64)
_NO_ENDS = _Ends(*(np.zeros(0, kind) for kind in (int, int, int, float, float, int, float)))


def _word_of(word: str, symbols: Sequence[DecodedSymbol], number: int = -1) -> DecodedWord:
    posterior = sum(symbol.posterior for symbol in symbols) / len(symbols)
    return DecodedWord(word, number, symbols[0].first, symbols[-1].last, posterior)


def _stripped(symbols: tuple[DecodedSymbol, ...], space: int) -> tuple[DecodedSymbol, ...]:
    """Without a space at the end, which was decided before the recording ended there."""
    return symbols[:-1] if symbols and symbols[-1].id == space else symbols
