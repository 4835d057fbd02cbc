# Everything sets itself up in .venv; nothing needs to be prepared by hand.
.PHONY: help setup demo test lint bench docs clean
BIN := .venv/bin

help:
	@echo "make demo    run the jaguar corridor study on real land cover, then serve the application (ARGS=--once: do not stay)"
	@echo "make test    run the tests"
	@echo "make lint    ruff and mypy"
	@echo "make bench   the headline figures, ours beside the peers'"
	@echo "make docs    build the documentation into site/"
	@echo "make setup   only make .venv"

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt data-packages.txt scripts/setup
	@echo "Setting up .venv ..."
	@scripts/setup

demo: setup
	$(BIN)/linkways study run jaguar-corridor --out runs/jaguar-corridor
	$(BIN)/linkways serve --runs runs --open $(ARGS)

test: setup
	@scripts/system-packages chromium=chromium '/usr/share/postgresql/*/extension/postgis.control=postgresql-postgis'
	$(BIN)/pytest --cov $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	@scripts/system-packages grass=grass-core
	@for script in $(or $(SCRIPT),cost_distance circuits direct_solver omnidirectional networks patches planar_links protconn restoration rivers river_network movement catalogue web ranking planning annealing drift larval_networks populations); do \
		$(BIN)/python benchmarks/$$script.py $(ARGS) || exit 1; \
	done

docs: setup
	$(BIN)/python docs/build.py $(ARGS)

clean:
	rm -rf .venv runs site .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
