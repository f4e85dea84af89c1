"""How far a model's word times are from the truth, with and without the correction that training measured.

The truth: strings that `recipes/connected_digits` pasted from single recordings for its dev split, whose plan says
where each word was put. Nobody annotated anything, and the speakers were not trained on. Words that were not heard
right are left out, and so are AN4's strings, of which no times are known.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from measure import Report, arguments

from audiornn.audio import load_audio
from audiornn.corpus.composition import Composition, Word, word_bounds
from audiornn.corpus.preparation import open_prepared
from audiornn.features import FeatureExtractor
from audiornn.listen.decoding import greedy_ctc
from audiornn.listen.recognizer import load_model
from audiornn.listen.words import join_words


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--model", type=Path, required=True, metavar="FILE", help="trained by recipes/connected_digits")
    parser.add_argument("--prepared", type=Path, required=True, metavar="DIR", help="data/connected_digits")
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR", help="what it was prepared from")
    options = parser.parse_args()
    report = Report("word_times", options.json)
    model = load_model(options.model)
    extract = FeatureExtractor(model.card.features)
    plain = replace(model.card, timing=(0.0, 0.0))
    errors: dict[str, list[tuple[float, float]]] = {"as CTC shows them": [], "corrected": []}
    n_strings = 0
    for utterance in open_prepared(options.prepared).utterances("dev"):
        index = next((f for p in utterance.audio.parents if (f := p / "corpus.jsonl").is_file()), None)
        if index is None:
            continue
        bounds = word_bounds(planned(index, utterance.audio, options.corpus))
        waveform = load_audio(utterance.audio, model.card.features.sample_rate)
        symbols = greedy_ctc(model.log_probs(extract(waveform)))
        duration = len(waveform) / model.card.features.sample_rate
        n_strings += 1
        for name, card in (("as CTC shows them", plain), ("corrected", model.card)):
            words = join_words(card, symbols, duration)
            if [word.label for word in words] == utterance.text.split():
                errors[name] += [(w.start - a, w.end - b) for w, (a, b) in zip(words, bounds, strict=True)]
    n_words = len(errors["corrected"])
    print(f"\n  {n_strings} strings, {n_words} words in those heard right; correction {model.card.timing} s")
    print(f"  {'':20}  {'start: bias':>12}  {'mean error':>10}  {'end: bias':>10}  {'mean error':>10}   ms")
    for name, found in errors.items():
        off = 1000 * np.array(found)
        bias, mean = np.median(off, axis=0), np.abs(off).mean(axis=0)
        print(f"  {name:20}  {bias[0]:12.0f}  {mean[0]:10.0f}  {bias[1]:10.0f}  {mean[1]:10.0f}")
        report.tables.append({"title": name, "bias": bias.tolist(), "mean_error": mean.tolist(), "words": len(off)})
    report.finish()


def planned(index: Path, audio: Path, corpus: Path) -> Composition:
    """What a string was made of, as the recipe wrote it down."""
    for line in index.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if audio == index.parent / entry["audio_filepath"]:
            words = tuple(
                Word(corpus / file, text, level, start, duration)
                for (file, _, level, start, duration), text in zip(entry["words"], entry["text"].split(), strict=True)
            )
            return Composition(
                audio,
                entry["speaker"],
                words,
                tuple(entry["gaps"]),
                entry["sample_rate"],
                entry["before"],
                entry["after"],
                voice=entry["voice"],
                slowness=entry["slowness"],
            )
    raise SystemExit(f"{index}: does not say what {audio.name} was made of; prepare connected_digits again")


if __name__ == "__main__":
    main()
