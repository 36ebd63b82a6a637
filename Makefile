# Two commands matter: `make demo` and `make test`. Both do all the set-up they need, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
CONTRACTS := $(shell find contracts -name '*.vy' 2>/dev/null)
BENCHMARKS := first-result latency gas cli demo market indexer throughput dispatch bot

# What a person exports for other projects must not change ours.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup contracts apps demo test differential fuzz sim trust lint format wheel lock clean $(BENCHMARKS:%=bench-%)

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

$(STAMPS)/python: requirements/runtime.lock pyproject.toml | $(BIN)/python
	@mkdir -p $(STAMPS)
	$(PIP_INSTALL) --require-hashes -r requirements/runtime.lock
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(STAMPS)/development: requirements/development.lock $(STAMPS)/python
	$(PIP_INSTALL) --require-hashes -r requirements/development.lock
	@touch $@

$(STAMPS)/contracts: $(STAMPS)/python $(CONTRACTS) contracts/compile.py
	$(BIN)/python contracts/compile.py
	@touch $@

$(STAMPS)/anvil: $(STAMPS)/python src/pyiexec/chain/anvil.py
	$(BIN)/python -c 'from pyiexec.chain.anvil import install; print("anvil:", install())'
	@touch $@

setup: $(STAMPS)/python $(STAMPS)/contracts $(STAMPS)/anvil ## Install everything into .venv

contracts: $(STAMPS)/contracts ## Compile the contracts

demo: setup ## Run the main job: buy a picture, get it proved, paid and drawn
	$(BIN)/pyiexec demo $(DEMO)

apps: $(STAMPS)/development ## Rebuild the sample applications
	$(BIN)/python apps/build.py

lint: $(STAMPS)/development ## Check style, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The longest first, in this order: whole networks mostly wait for deadlines, and the rest fills the gaps.
test: setup lint ## Run all tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(or $(TESTS),\
	  tests/e2e tests/docs tests/services tests/contracts tests/simulation tests/unit)

differential: setup $(STAMPS)/development ## Play the same stories to our hub and the published one
	$(BIN)/python -m tests.contracts.differential $(HISTORIES)

fuzz: setup $(STAMPS)/development ## Play 100,000 random steps to contracts and model; goes on where it was stopped
	PYIEXEC_FUZZ_STEPS=$(or $(STEPS),100000) $(BIN)/python -m pytest -q $(if $(SEED),--hypothesis-seed=$(SEED)) \
	  tests/contracts/model

sim: setup ## Run 10,000 tasks of a simulated network with a faulty fifth; SEED=, TASKS=
	$(BIN)/python benchmarks/sim.py $(if $(SEED),--seed $(SEED)) $(if $(TASKS),--tasks $(TASKS))

trust: $(STAMPS)/development ## Measure anew what trust means, and write it into docs/trust.md; SEED=
	$(BIN)/python -m studies.trust $(if $(SEED),--seed $(SEED))

format: $(STAMPS)/development ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

wheel: setup $(STAMPS)/development ## Build the wheel, compiled contracts included
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

# Gas is worth comparing between hubs that do the same.
bench-gas: differential

$(BENCHMARKS:%=bench-%): bench-%: setup ## (each) print a figure and its bar
	$(BIN)/python benchmarks/$(subst -,_,$*).py

LOCK := $(BIN)/uv pip compile pyproject.toml --generate-hashes --no-header --no-emit-index-url --python-version 3.11 \
  --universal --quiet

lock: $(STAMPS)/python ## Pin what pyproject.toml allows, with hashes
	$(PIP_INSTALL) uv
	$(LOCK) --group build --output-file requirements/runtime.lock
	$(LOCK) --group development --constraints requirements/runtime.lock --output-file requirements/development.lock

clean: ## Delete what was built
	rm -rf $(VENV) dist build demo-out src/pyiexec/chain/artifacts/*.json
