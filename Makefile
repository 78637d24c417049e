# Everything a checkout can do. Needs Python 3.11 or newer and make; the rest installs itself.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
T ?= tests
# How many processes test at once; by themselves as many as there are cores, and at most four.
TESTERS ?= logical
# Python compiles each module once, whatever the caller has set: the tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test check format bench prove lock clean

help: ## what can be done here
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## build .venv from requirements.lock (idempotent; the others call it)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Bayon needs Python 3.11 or newer: make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: setup ## start the sandbox: PostgreSQL, HTTP on 8000, HTTPS on 8443, everything seeded (ARGS="--http-port 0")
	$(BIN)/bayon dev $(ARGS)

test: setup ## run the whole suite (T=tests/ledger for a part)
	$(BIN)/python -m pytest -n $(TESTERS) --maxprocesses 4 --dist loadfile $(T)

check: setup ## format, lint, types, walls
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/basedpyright

format: setup ## format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## measure, both sides in one run
	$(BIN)/python -m bench

prove: setup ## the slow proofs: long fuzzing, kill tests, many examples (T= for a part)
	BAYON_TEST_EXAMPLES=long $(BIN)/python -m pytest $(T) -m "" --durations=10

lock: setup ## write requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --quiet --output-file requirements.lock

clean: ## remove what setup and run made
	rm -rf .venv .bayon build dist
