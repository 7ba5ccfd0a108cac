# Everything people and CI run. `make help` lists it.
#
# Variables:
#   PYTHON  interpreter that makes the environment (3.10 to 3.13)
#   TORCH   what pip is asked for as PyTorch. The default takes the build that your package index offers;
#           name another one with pip's own words: make demo TORCH="torch==2.13.0 --index-url ADDRESS"
#   VENV    where the environment is made
#   TESTS   what `make test` runs, such as TESTS=tests/client
#   JOBS    in how many processes

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.10 || command -v python3)
TORCH ?= torch==2.13.0
VENV ?= .venv
TESTS ?= tests
JOBS ?= 2
BIN := $(VENV)/bin
READY := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install build server serve demo test lint format bench bench-peers clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## make the environment, with the versions in constraints.txt

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no Python 3.10 to 3.13 found. Install one, or say make PYTHON=/path/to/python"; exit 1; }
	@test -x $(BIN)/python || { echo "making the environment $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing pip and $(TORCH)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt pip
	@$(BIN)/python -m pip install --quiet -c constraints.txt $(TORCH)
	@echo "installing engineroom and what it builds, measures and is tested with"
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[compile,rtx,perf,infer,mlflow,stores,models,dev]"
	@touch $@

build: install ## compile the models into model_repository/ (quick when nothing changed)
	@$(BIN)/engineroom build

server: install ## install the embedded Triton server (once for all projects)
	@$(BIN)/engineroom server install

serve: build server ## serve the models on 127.0.0.1 until Ctrl-C
	@$(BIN)/engineroom serve

demo: build server ## build, serve, classify photographs, measure, stop
	@$(BIN)/python client/demo.py

test: install server ## every test, with real servers, engines and load
	@$(BIN)/engineroom load install-perf-analyzer
	@# What tests talk to is installed while the first of them run.
	@mkdir -p .tools
	@$(BIN)/python tests/counterparts/counterparts.py >.tools/install.log 2>&1 & $(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(TESTS)

lint: install ## style, types, import directions, file and function walls
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@cd src/engineroom/scaffold/project && $(abspath $(BIN))/mypy --cache-dir $(CURDIR)/.mypy_cache/project build client perf
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/house

format: install ## put the code into the house's form
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: build server ## figures with their conditions; takes minutes, wants a quiet machine
	@$(BIN)/python perf/bench.py

bench-peers: build server ## our server beside seven others; 20 minutes, wants a quiet machine
	@$(BIN)/python perf/side_by_side.py

clean: ## remove the environment, work files and published versions (never recipes or configurations)
	rm -rf $(VENV) .engineroom out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find model_repository -mindepth 2 -maxdepth 2 -type d -name '[0-9]*' -exec rm -rf {} +
