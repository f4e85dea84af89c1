# Every target sets up its own .venv on a machine that has only Python ≥ 3.10.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check slow benchmarks clean

demo: .venv/installed  ## prep → train → evaluate → transcribe, on speech it synthesises itself
	$(BIN)/audiornn demo

test: .venv/installed  ## the test suite, on all cores
	$(BIN)/python -m pytest -n auto --dist loadfile

check: .venv/installed  ## formatting, linting, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

slow: .venv/installed  ## the proofs too slow for `make test`
	$(BIN)/python -m pytest -m slow

benchmarks: .venv/installed  ## side by side with the peers
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/features.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/decoding.py
	$(BIN)/python benchmarks/long_recordings.py --minutes 0
	$(BIN)/python benchmarks/streaming.py

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
