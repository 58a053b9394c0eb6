# make demo   from nothing to a trained, diagnosed and exported network
# make serve-demo   after make demo: export its network, serve it, ask it with a JPEG
# make test   from nothing to tested
# make claims   every claim of the course, measured anew, and the page of verdicts
# make docs   the pages of docs/, written to build/docs
# make test-backends   the layers on JAX and PyTorch, which it installs (large)
# make release-check   the wheel with its oldest and newest requirements, on each Python found
# make test-postgres   the search of several workers on Debian's PostgreSQL, which it installs
# Each sets up .venv by itself; a second run does not install again.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.10 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin

# Real Fashion-MNIST files, where they lie beside the checkout: tests and benchmarks use them.
FASHION := $(wildcard ../shared/data/fashion-mnist)
ifneq ($(FASHION),)
export KCNN_MANUAL_DIR ?= $(abspath $(FASHION))
endif
export TF_CPP_MIN_LOG_LEVEL ?= 3
# Each worker takes whole files, for the sake of the fixtures they share.
WORKERS ?= -n logical --maxprocesses 4 --dist loadfile

.PHONY: demo serve-demo test test-slow test-backends release-check lint types check causes claims docs format clean

demo: $(VENV)/.installed
	$(BIN)/kcnn recipe --data digits --out runs/digits --overwrite

serve-demo: $(VENV)/.serve
	@test -d runs/digits || { echo "runs/digits is missing; run make demo first."; exit 1; }
	$(BIN)/kcnn export runs/digits --out runs/served --name digits
	$(BIN)/python examples/06_serve.py runs/served/digits

test: $(VENV)/.test
	$(BIN)/python -m pytest $(WORKERS) -m "not slow"

test-slow: $(VENV)/.test
	$(BIN)/python -m pytest -m slow

test-backends: $(VENV)/.backends
	$(BIN)/python -m pytest -m slow tests/test_layers_backends.py

release-check: $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tests/release_check.py

test-postgres: $(VENV)/.test
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || apt-get install -y postgresql
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[postgres]"
	$(BIN)/python -m pytest tests/test_recipe_postgres.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

check: lint types

causes: $(VENV)/.installed
	$(BIN)/python docs/cause_pages.py docs/causes

claims: $(VENV)/.installed
	$(BIN)/python examples/claims

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -q docs build/docs
	@echo build/docs/index.html

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "kcnn needs Python 3.10 to 3.13; none found. Name one: make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.serve: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[serve]"
	@touch $@

$(VENV)/.test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test]"
	@touch $@

$(VENV)/.backends: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check jax torch
	@touch $@

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $@
