# make demo, make test: the only set-up on a fresh machine. PYTHON picks the interpreter that .venv is made from.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test slow lint bench clean

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

demo: .venv/installed
	$(BIN)/lwyolo demo

test: .venv/installed-dev
	$(BIN)/python -m pytest -n 2

slow: .venv/installed-dev
	$(BIN)/python -m pytest -m slow

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python scripts/check_large_files.py

bench: .venv/installed-dev
	for name in cost hooks data speed agreement estimate roofline; do $(BIN)/python scripts/benchmark.py $$name; done

clean:
	rm -rf .venv
