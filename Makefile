# `make play` is the whole way from a fresh machine with Python 3.11 to a window; CONTRIBUTING.md has the rest.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: play client test check docs format clean

play: $(VENV)/host.stamp
	$(BIN)/longtake play

# Everything for watching and steering, nothing for hosting: no torch.
client: $(VENV)/client.stamp
	@echo "ready: $(BIN)/longtake join tcp://127.0.0.1:5570"

# Two processes, each with whole files in the order of the tree: fixtures of a file are made once.
test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	BIN=$(BIN) .ci/typecheck

# The pages and the API reference, in build/docs. Fetches nothing; fails on a dead link.
docs: $(VENV)/docs.stamp
	.ci/link
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "ready: build/docs/index.html"

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Longtake needs Python 3.11 or newer: make PYTHON=/path/to/it")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/client.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -e .
	touch $@

# Takes torch's small build where there is no GPU, and says what is missing before it downloads anything.
$(VENV)/host.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python .ci/install-host $(VENV)
	touch $@

$(VENV)/dev.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -e '.[host,longlive,dev,agents]'
	touch $@

$(VENV)/docs.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -e '.[docs]'
	touch $@
