# Run `make` for the list of targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
IMAGE ?= mpc-agent:latest
# Extra arguments, e.g. make image IMAGE_ARGS="--network host" or make test PYTEST_ARGS="-k guard".
IMAGE_ARGS ?=
PYTEST_ARGS ?=

# One thread for each numerics library: the problems are small, and more threads only disturb.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1

.PHONY: help setup demo test test-services test-long bench bench-organisms bench-batches bench-optima bench-control bench-quality bench-robustness bench-filter bench-consistency format lock image clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ------------------------------------------------------------------ environment

setup: $(VENV)/.installed ## create or update .venv from the lock file (needs the network only when the lock changes)

# The locked packages, by hash.
$(VENV)/.locked: requirements.lock
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed, but '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1 | head -n 1 || true)." >&2; \
	  echo "Name another one: make setup PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "== creating $(VENV)"; "$(PYTHON)" -m venv --clear $(VENV); }
	@echo "== installing the locked packages"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

# The project itself, editable.
$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# ------------------------------------------------------------------ use

demo: setup ## a whole simulated batch, controlled
	$(BIN)/mpc-agent demo

bench: setup ## measure and print the figures of the documentation
	$(BIN)/python -m benchmarks.results

bench-organisms: setup ## every organism's demo against its recipe and its optimum (ten minutes)
	$(BIN)/python -m benchmarks.organisms --seeds 1 2

bench-batches: setup ## measure many batches at once against SciPy and CVODES
	$(BIN)/python -m benchmarks.batches

bench-consistency: setup ## the filter on batches from its own prior: NEES and NIS (five minutes)
	$(BIN)/python -m benchmarks.consistency

bench-control: setup ## the optimiser's speed beside do-mpc's (needs do-mpc: pip install --group benchmarks)
	$(BIN)/python -m benchmarks.control_speed

bench-quality: setup ## what estimation, adaptation and structure cost the demo's batches (an hour)
	$(BIN)/python -m benchmarks.control_quality --variants agent perfect nominal recipe --seeds 1 2 3 4

bench-robustness: setup ## what caution costs: plans followed by plants drawn from one belief (five minutes)
	$(BIN)/python -m benchmarks.robustness

bench-optima: setup ## optima of the literature, plans integrated again (one minute)
	$(BIN)/python -m benchmarks.literature

bench-filter: setup ## the filter's speed beside other people's, its accuracy, and its other forms
	$(BIN)/python -m benchmarks.filter_speed
	$(BIN)/python -m benchmarks.filter_accuracy
	$(BIN)/python -m benchmarks.filter_forms

# ------------------------------------------------------------------ checks

test: setup ## format, lint, types, import contracts, tests; stops at the first failure
	@echo "== format (ruff format --check)"
	@$(BIN)/ruff format --check .
	@echo "== lint (ruff check)"
	@$(BIN)/ruff check .
	@echo "== types (mypy --strict)"
	@$(BIN)/mypy
	@echo "== import contracts (lint-imports)"
	@$(BIN)/lint-imports --no-logo
	@echo "== tests (pytest)"
	@$(BIN)/pytest $(PYTEST_ARGS)

# pytest's code 5 means that no test was selected.
test-services: setup ## tests that need Prometheus and Chromium installed
	@echo "== tests with services (pytest -m services)"
	@$(BIN)/pytest -m services $(PYTEST_ARGS) || { code=$$?; [ $$code -eq 5 ] || exit $$code; }

test-long: setup ## campaigns of many batches
	@echo "== long tests (pytest -m long)"
	@$(BIN)/pytest -m long $(PYTEST_ARGS) || { code=$$?; [ $$code -eq 5 ] || exit $$code; }

format: setup ## format the sources and apply the safe lint fixes
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

# ------------------------------------------------------------------ release

UV_COMPILE = uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock"

lock: ## resolve the lock files anew (needs uv; make lock LOCK_ARGS=--upgrade for newer versions)
	@command -v uv >/dev/null || { echo "uv is needed: pip install uv" >&2; exit 1; }
	$(UV_COMPILE) --group dev $(LOCK_ARGS) -o requirements.lock
	$(UV_COMPILE) --constraints requirements.lock $(LOCK_ARGS) -o requirements-runtime.lock
	uv pip compile --group build --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" --constraints requirements.lock -o requirements-build.lock

image: ## build the container image (docker, or podman)
	@engine=$$(command -v docker || command -v podman) || { echo "docker or podman is needed" >&2; exit 1; }; \
	"$$engine" build --tag $(IMAGE) $(IMAGE_ARGS) .

clean: ## remove the environment, caches and reports
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache build dist reports
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
