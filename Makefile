# Every target does its own set-up in .venv.
PYTHON ?= python3
BIN := .venv/bin
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder --durations=15

.PHONY: demo explore test test-all check docs results architectures bench growth format clean

# Python compiles what it imports, and keeps that even where the environment says not to: each process of the tests would
# take seconds to compile torch again.
unexport PYTHONDONTWRITEBYTECODE

# Compiling all that is installed would take longer than installing it.
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) "torch==$$(sed -n 's/^torch==//p' constraints.txt)"
	$(INSTALL) -e .
	touch $@

.venv/.dev: .venv/.ready
	$(INSTALL) -e ".[dev]"
	touch $@

# denoising-diffusion-pytorch asks for a torchvision that would bring another torch; the benchmarks use no part of it.
.venv/.bench: .venv/.ready
	$(INSTALL) -e ".[bench]"
	$(INSTALL) --no-deps denoising-diffusion-pytorch
	touch $@

demo: .venv/.ready  ## the composition experiment, with a page to read
	$(BIN)/hyperfactor reproduce composition

.venv/.explore: .venv/.ready
	$(INSTALL) -e ".[explore]"
	touch $@

explore: .venv/.explore  ## runs, representations and claims in a browser
	$(BIN)/hyperfactor explore

test: .venv/.dev  ## the quick tests, in two processes of one thread each
	$(BIN)/python -m pytest $(PARALLEL)

test-all: .venv/.dev  ## these and the slow ones
	$(BIN)/python -m pytest $(PARALLEL) -m "slow or not slow"

check: .venv/.dev  ## style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

docs: .venv/.dev  ## hyperfactor-docs/index.html: the documentation; fails for a warning, a dead link, or a page that needs another host
	rm -rf docs/built hyperfactor-docs
	$(BIN)/python -m sphinx -j auto --fail-on-warning --keep-going docs hyperfactor-docs

REPORT := hyperfactor-report
EVERY := torus hyperfactorization composition data_efficiency percolation_onset interpolation exterior ancestral many_factors richer_pictures percolation_families emergence
results: .venv/.ready  ## docs/results.md and the committed figures: all experiments but architectures and recipes, three seeds (more than five hours on two cores)
	$(BIN)/hyperfactor reproduce $(EVERY) --seeds 3 --out $(REPORT)
	cd $(REPORT)/figures && cp ../results.md ancestral-figure-ancestral.svg composition-figure-4.svg hyperfactorization-figure-noise.svg many_factors-figure-many_factors.svg percolation_families-figure-percolation_families.svg richer_pictures-figure-richer_pictures.svg $(CURDIR)/docs/

architectures: .venv/.ready  ## the figure of docs/architectures.md: every kind of model, three seeds (four hours on two cores)
	$(BIN)/hyperfactor reproduce architectures --seeds 3 --out $(REPORT)
	cp $(REPORT)/figures/architectures-figure-architectures.svg $(CURDIR)/docs/

BENCH := hyperfactor-bench
bench: .venv/.bench  ## ratios to other packages, and whether one is worse than accepted; NAMES chooses pairs
	$(BIN)/python -m benchmarks $(NAMES) --out $(BENCH)

growth: .venv/.ready  ## docs/growth.md: how time and memory grow, and where a training step goes (five minutes)
	$(BIN)/python -m benchmarks.growth --out $(BENCH)
	$(BIN)/python -m benchmarks.operators --out $(BENCH)
	cp $(BENCH)/growth.md $(BENCH)/growth.svg $(BENCH)/operators.md docs/

format: .venv/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv .pytest_cache .ruff_cache docs/built hyperfactor-docs
