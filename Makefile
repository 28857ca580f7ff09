SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
COMPILE := $(BIN)/uv pip compile -q --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command 'make lock'

.PHONY: help lock
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

lock: ## compile the locks anew from pyproject.toml (add UPGRADE=--upgrade for newer releases)
	$(COMPILE) $(UPGRADE) pyproject.toml -o requirements.txt
	$(COMPILE) $(UPGRADE) --extra embedded -c requirements.txt pyproject.toml -o requirements-embedded.txt
	$(COMPILE) $(UPGRADE) --extra embedded --extra dev -c requirements-embedded.txt pyproject.toml -o requirements-dev.txt
