"""A manifest of a million lines: how long it takes to open for training, and how much memory.

    python benchmarks/million.py [--lines 1000000]

The manifest, its index and its targets are written as `prep` writes them; their frames are never read here.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

OPENED = """
import resource, sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from audiornn.corpus.preparation import open_prepared
from audiornn.train.dataset import Dataset, batch_order
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begin = time.perf_counter()
prepared = open_prepared(Path({folder!r}))
dataset = Dataset(prepared, "train", prepared.recipe, prepared.vocabulary)
spare = dataset.frames_to_spare()
order = batch_order(dataset.lengths, 64, seed=1, epoch=0)
targets = [dataset.target(int(i)) for i in order[0]]
ids = [dataset.utterances[int(i)].id for i in order[0]]
seconds = time.perf_counter() - begin
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(dataset), f"{{seconds:.2f}}", after // 1024, (after - before) // 1024)
"""


def write_prepared(folder, n_lines):
    """A prepared corpus of `n_lines` utterances of some fifteen words, without its audio."""
    from audiornn.corpus.feature_store import FeatureStore, StoredUtterance
    from audiornn.recipe import Recipe
    from audiornn.vocabulary import BLANK, Vocabulary

    rng = np.random.default_rng(0)
    symbols = (BLANK, *" abcdefghijklmnopqrstuvwxyz'")
    vocabulary = Vocabulary(symbols, "character")
    texts = ["".join(symbols[1 + i] for i in rng.integers(0, 28, 60)) for _ in range(1000)]
    targets = [vocabulary.encode(text) for text in texts]
    (folder / "features").mkdir(parents=True)
    with open(folder / "train.jsonl", "w", encoding="utf-8") as out:
        for i in range(n_lines):
            line = {
                "id": f"speaker{i % 999}/chapter{i % 77}/{i:07d}",
                "audio_filepath": f"../../corpus/speaker{i % 999}/{i:07d}.flac",
                "duration": 5.0,
                "text": texts[i % 1000],
                "speaker": f"speaker{i % 999}",
            }
            out.write(json.dumps(line) + "\n")
    entries = [StoredUtterance(f"{i // 256:020x}.npy", i % 256, 500 * (i % 256), 500, 5.0) for i in range(n_lines)]
    FeatureStore.save(folder / "train.npz", entries, [targets[i % 1000] for i in range(n_lines)])
    for split in ("dev", "test"):
        (folder / f"{split}.jsonl").write_text("", encoding="utf-8")
        FeatureStore.save(folder / f"{split}.npz", [], [])
    entry = {
        "recipe": Recipe("million").to_json(),
        "recipe_folder": "",
        "overrides": [],
        "vocabulary": {"symbols": symbols, "unit": "character"},
        "summary": [],
        "skipped": 0,
        "text_changes": {},
        "audit": "",
        "digests": {},
    }
    (folder / "prepared.json").write_text(json.dumps(entry), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    n_lines = parser.parse_args().lines
    root = str(Path(__file__).resolve().parent.parent)
    sys.path.insert(0, root)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "million"
        begin = time.perf_counter()
        write_prepared(folder, n_lines)
        print(f"written in {time.perf_counter() - begin:.0f} s: {(folder / 'train.jsonl').stat().st_size / 1e6:.0f} MB")
        code = OPENED.format(root=root, folder=str(folder))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        n, seconds, memory, more = done.stdout.split()
        print(f"{int(n):,} lines opened for training in {seconds} s; {memory} MiB in all, {more} MiB above the imports")


if __name__ == "__main__":
    main()
