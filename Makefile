# Everything goes through here. Each target sets up what it needs: a virtual environment in .venv,
# made with plain Python and pip.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Each process loads TensorFlow (2 GB of memory); what a file's tests share is made once.
PYTEST_OPTIONS ?= --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo check test lint format coverage models samples reference bench clean

help:  ## Show this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

setup: $(INSTALLED)  ## Make .venv and install activity with its development tools

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("activity needs Python 3.11 or newer; this is %d.%d. Name another: make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV) (once; about 700 MB are downloaded)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(INSTALLED)

demo: $(INSTALLED)  ## Prepare, train, evaluate and predict on sample_videos/
	@$(BIN)/activity demo

check: lint  ## Lint, check types and imports, and run the fast tests (about two minutes)
	$(BIN)/python -m pytest $(PYTEST_OPTIONS) -m "not slow"

test: lint  ## Lint, check types and imports, and run all tests (some ten minutes)
	$(BIN)/python -m pytest $(PYTEST_OPTIONS)

coverage: $(INSTALLED)  ## Run all tests and report which lines they reach
	$(BIN)/python -m pytest $(PYTEST_OPTIONS) --cov --cov-report=term

lint: $(INSTALLED)  ## Check style, types and imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)  ## Put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

models: $(INSTALLED)  ## Train the sample model in models/ anew
	$(BIN)/python tools/train_sample_model.py

samples: $(INSTALLED)  ## Draw sample_videos/ anew
	$(BIN)/python tools/sample_videos/generate.py
	$(BIN)/python tools/sample_videos/generate.py --overview

reference: $(INSTALLED)  ## Write docs/commands.md and docs/settings.md
	$(BIN)/python tools/write_reference.py

bench: $(INSTALLED)  ## Measure speed and accuracy (minutes)
	$(BIN)/python benchmarks/predict.py
	$(BIN)/python benchmarks/prepare.py
	$(BIN)/python benchmarks/train.py
	$(BIN)/python benchmarks/accuracy.py

clean:  ## Remove what make made
	rm -rf $(VENV) demo build dist .coverage* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
