# make run    set up .venv with exact pins, run the quick plan, write the report
# make test   the same set-up, then every test
# make bench  pytest-benchmark, grouped by cell and pass
# make faults the long form of the fault suite: 100 kill points; writes docs/faults.md
# make selftest  the self-test, on a machine that does nothing else; writes docs/selftest.md
# make lint   style, types, import rules

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: run test bench faults selftest lint setup clean
.DEFAULT_GOAL := run

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed, got " + sys.version.split()[0] + "; call make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

run: setup
	$(BIN)/python run_all.py

test: setup
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

bench: setup
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-columns=min,median,iqr,rounds

faults: setup
	$(BIN)/python -m pytest tests/faults tests/meta/test_guards.py --numprocesses 0 --kill-points 100 --write-faults

selftest: setup
	$(BIN)/python -m harness selftest --markdown docs/selftest.md --json results/selftest.json

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build *.egg-info
