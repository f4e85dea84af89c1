"""What listening gives: frozen results with times in seconds; writers only format them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "AlignedWord",
    "Alignment",
    "Alternative",
    "Classification",
    "KeywordSpot",
    "Labelling",
    "Recognition",
    "Result",
    "TimedLabel",
    "TrackPoint",
    "Tracks",
    "Transcript",
]


@dataclass(frozen=True)
class TimedLabel:
    """A word, a symbol or a label with its place in the recording.

    Attributes:
        label: the word, the symbol, or the label.
        start: seconds.
        end: seconds.
        confidence: how probable it is that the label is right, 0…1; of a word, calibrated on the recipe's dev split.
    """

    label: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Alternative:
    """A text that a recording may hold: the text, its score in nats, and its words in time."""

    text: str
    score: float
    words: tuple[TimedLabel, ...]


@dataclass(frozen=True)
class Transcript:
    """What was said.

    Attributes:
        text: of it.
        words: in time.
        duration: the recording's length in seconds.
        alternatives: an n-best list where one was asked for, best first, the text itself the first.
    """

    text: str
    words: tuple[TimedLabel, ...]
    duration: float
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True)
class Classification:
    """What kind of recording it is.

    Attributes:
        label: the most probable.
        probability: of that label.
        probabilities: of every label; they sum to 1, except where labels are independent of each other.
        duration: the recording's length in seconds.
        labels: where labels are independent of each other, those that reach their threshold, the most probable first;
            None where they are not, and the one above holds.
    """

    label: str
    probability: float
    probabilities: dict[str, float]
    duration: float
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Labelling:
    """Which label holds when.

    Attributes:
        segments: in order of start; between them none of the labels holds. Labels that are independent may overlap.
        duration: the recording's length in seconds.
    """

    segments: tuple[TimedLabel, ...]
    duration: float


@dataclass(frozen=True)
class TrackPoint:
    """The values of all tracks at a time in seconds, in their order."""

    time: float
    values: tuple[float, ...]


@dataclass(frozen=True)
class Tracks:
    """Values over time.

    Attributes:
        names: of the tracks.
        points: their values, a point an output frame.
        duration: the recording's length in seconds.
    """

    names: tuple[str, ...]
    points: tuple[TrackPoint, ...]
    duration: float


@dataclass(frozen=True)
class AlignedWord(TimedLabel):
    """A word of a given text where it is said in the recording.

    Its `confidence` says how well the audio fits the word, 0.5 at the border; it is not calibrated.

    Attributes:
        symbols: the word's symbols, one beginning where the other ends, half-way between where CTC shows them.
        fits: whether the audio there can be this word.
        heard: what the model hears in that stretch without knowing the text.
    """

    symbols: tuple[TimedLabel, ...]
    fits: bool
    heard: str


@dataclass(frozen=True)
class Alignment:
    """A given text laid along a recording.

    Attributes:
        text: as it was aligned, by the vocabulary's rules.
        words: in order.
        extra: what is heard where the text has nothing.
        duration: the recording's length in seconds.
    """

    text: str
    words: tuple[AlignedWord, ...]
    extra: tuple[TimedLabel, ...]
    duration: float


@dataclass(frozen=True)
class KeywordSpot:
    """A hit: a keyword that was heard, and where.

    Attributes:
        keyword: as the model's vocabulary writes it.
        start: seconds.
        end: seconds; of a model that labels frames, how far the keyword had gone when the hit was most sure.
        score: what the threshold was compared with, 0…1; not a calibrated probability.
    """

    keyword: str
    start: float
    end: float
    score: float


#: What a recording is heard as, by the model's task.
Recognition = Transcript | Classification | Labelling | Tracks
#: Whatever a writer can be given.
Result = Recognition | Alignment
