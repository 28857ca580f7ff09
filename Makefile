SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
RUNTIME := .venv/.runtime
DEV := .venv/.dev
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes
COMPILE := $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command 'make lock'
PACKAGES := wire changes access tenants pricing spend budgets alerts publishing gateway spendops

.PHONY: help setup setup-dev run demo smoke test check bench format lock tools

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{sub(/:.*/, "", $$1); printf "  make %-8s %s\n", $$1, $$2}'

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "SpendOps needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make run PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv \
	  || { rm -rf .venv; echo "Python's venv module is missing. On Debian: sudo apt-get install python3-venv"; exit 1; }

$(RUNTIME): requirements-embedded.txt | .venv/bin/python
	@echo "Installing packages into .venv (the first time only) …"
	@started=$$SECONDS; $(PIP) -r requirements-embedded.txt; echo $$((SECONDS - started)) > .venv/spendops-setup-seconds
	@touch $@

$(DEV): requirements-dev.txt $(RUNTIME)
	@$(PIP) -r requirements-dev.txt
	@touch $@ $(RUNTIME)

setup: $(RUNTIME) ## install what running needs into .venv

setup-dev: $(DEV)

run: setup ## set everything up on the embedded default and start the whole ring
	@exec $(BIN)/python -m spendops.ring.start

demo: setup ## the same with two tenants and 90 days of believable usage, in a data folder of its own
	@SPENDOPS_DATA=$${SPENDOPS_DATA:-data-demo} exec $(BIN)/python -m spendops.ring.start --demo

smoke: setup-dev ## bring the ring up on free ports and walk the main job once, a line a step
	@exec $(BIN)/python -m spendops.ring.smoke

tools: setup-dev ## what the tests need from Debian; names the line that installs what is missing
	@$(BIN)/python -m tests.tools

test: tools ## the whole test suite, on real engines and in a real browser
	@$(BIN)/python -m tests.postgres -- $(BIN)/python -m pytest -m postgres -p no:cacheprovider
	@$(BIN)/python -m pytest -n 2 --dist worksteal

check: setup-dev ## format, lint, types, import contracts, Django's checks, migrations, templates
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(addprefix -p ,$(PACKAGES))
	$(BIN)/lint-imports
	$(BIN)/python -m tests.checks
	$(BIN)/djlint templates --lint --quiet

bench: setup-dev ## the benchmarks (only=NAME for one); JSON lines
	@$(BIN)/python -m bench $(only)

format: setup-dev ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup-dev ## compile the locks anew from pyproject.toml (UPGRADE=--upgrade for newer releases)
	$(COMPILE) $(UPGRADE) pyproject.toml -o requirements.txt
	$(COMPILE) $(UPGRADE) --extra embedded -c requirements.txt pyproject.toml -o requirements-embedded.txt
	$(COMPILE) $(UPGRADE) --extra embedded --extra dev -c requirements-embedded.txt pyproject.toml -o requirements-dev.txt
	$(subst 3.11,3.12,$(COMPILE)) $(UPGRADE) tests/focus/requirements.in -o tests/focus/requirements.txt
