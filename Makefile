# `make demo` and `make test` set themselves up: Python >= 3.11 with venv is all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROJECTS := pyproject.toml publisher/pyproject.toml

.PHONY: help demo test lint types format vectors pages check clean

help:
	@echo "make demo    publish, sync, match and tamper, in a temporary folder"
	@echo "make test    all tests; real servers that are missing are skipped and said so"
	@echo "make lint    ruff, format and rules"
	@echo "make types   mypy, strict"
	@echo "make check   lint, types and test: what CI runs"
	@echo "make format  ruff, rewriting"
	@echo "make vectors rebuild schemas/vectors from their builders"
	@echo "make pages   rebuild the pages that show what programs print"

$(VENV)/.runtime: $(PROJECTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed"; echo "hint: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "setting up $(VENV) (once, about half a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --editable publisher
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@

demo: $(VENV)/.runtime
	@$(BIN)/vallum-publisher demo

test: $(VENV)/.dev
	@$(BIN)/python -m pytest

lint: $(VENV)/.dev
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check .

types: $(VENV)/.dev
	@$(BIN)/mypy

format: $(VENV)/.dev
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix .

vectors: $(VENV)/.dev
	@$(BIN)/python schemas/build_vectors.py
	@$(BIN)/python schemas/build_canonicalization.py
	@echo "schemas/build_sealed_vectors.py is run by hand: encapsulation is random, so its vectors would all change"

pages: $(VENV)/.dev
	@$(BIN)/python docs/build_commands.py
	@$(BIN)/python -m tests.docs.scenes
	@$(BIN)/python -m tests.keys.runbooks

check: lint types test

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
