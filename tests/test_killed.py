"""`prep`, killed without warning at any point and run again, ends as if nothing had happened."""

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from tests.conftest import write_recipe

RECIPE = 'task = "classify"\n[features]\nsample_rate = 8000\nn_fft = 256\nwin_length = 200\nhop_length = 80\n'
PREPARE = """\
from audiornn.corpus.manifest import Utterance


def prepare(corpus_dir):
    files = sorted(corpus_dir.glob("*.wav"))
    parts = {"train": files[:-40], "dev": files[-40:-20], "test": files[-20:]}
    return {split: [Utterance(f.stem, f, f.stem[0], f"{split}{f.stem[1]}") for f in of] for split, of in parts.items()}
"""


def prep(root, name, **options):
    command = [sys.executable, "-m", "audiornn", "prep", "recipe", "--corpus", "corpus", "--data", name, "--jobs", "2"]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("killed")
    write_recipe(root / "recipe", prepare=PREPARE, toml=RECIPE)
    (root / "corpus").mkdir()
    rng = np.random.default_rng(3)
    for i in range(450):  # enough for worker processes and two shards
        soundfile.write(root / "corpus" / f"{i % 5}{i % 9}{i:03d}.wav", 0.1 * rng.standard_normal(3200), 8000)
    begin = time.perf_counter()
    straight = prep(root, "straight")
    output, _ = straight.communicate(timeout=120)
    assert straight.returncode == 0, output.decode()
    return root, time.perf_counter() - begin


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 15))])
def test_killed_and_run_again_equals_uninterrupted_byte_for_byte(root, seed):
    root, seconds = root
    rng = random.Random(seed)
    for _ in range(3):
        running = prep(root, f"killed{seed}", start_new_session=True)
        time.sleep(rng.uniform(0.3, 1.0) * seconds)
        running.send_signal(signal.SIGKILL)  # the workers notice by themselves
        running.communicate()
    finished = prep(root, f"killed{seed}")
    output, _ = finished.communicate(timeout=120)
    assert finished.returncode == 0, output.decode()
    assert contents(root / f"killed{seed}") == contents(root / "straight")
