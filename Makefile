# Every target does its own set-up in .venv.
PYTHON ?= python3
BIN := .venv/bin
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder --durations=15

.PHONY: demo test test-all check results format clean

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt "torch==$$(sed -n 's/^torch==//p' constraints.txt)"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

demo: .venv/.ready  ## the composition experiment, with a page to read
	$(BIN)/hyperfactor reproduce composition

test: .venv/.ready  ## the quick tests, in two processes of one thread each
	$(BIN)/python -m pytest $(PARALLEL)

test-all: .venv/.ready  ## these and the slow ones
	$(BIN)/python -m pytest $(PARALLEL) -m "slow or not slow"

check: .venv/.ready  ## style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

REPORT := hyperfactor-report
results: .venv/.ready  ## docs/results.md and the committed figures: all experiments with three seeds (about four hours on two cores)
	$(BIN)/hyperfactor reproduce --seeds 3 --out $(REPORT)
	cp $(REPORT)/results.md $(REPORT)/figures/composition-figure-4.svg $(REPORT)/figures/hyperfactorization-figure-noise.svg docs/

format: .venv/.ready
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv .pytest_cache .ruff_cache
