.PHONY: help report test check bench soak docs neo4j
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TESTS := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4
SOURCES := $(shell find facade graphmodel loaders queries exporters -type f -not -path '*/__pycache__/*' -not -name '.*' | sort)

help: ## show this list
	@grep -hE '^[a-z0-9]+:.*##' Makefile | awk -F':.*## ' '{printf "make %-8s %s\n", $$1, $$2}'

# The strict editable install links file by file, so a new or removed file needs a new install; an edit does not.
$(READY): pyproject.toml $(VENV)/.files
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --config-settings editable_mode=strict -e '.[dev]'
	@touch $@

$(VENV)/.files: FORCE
	@mkdir -p $(VENV)
	@echo '$(SOURCES)' | cmp -s - $@ || echo '$(SOURCES)' > $@
FORCE:

report: $(READY) ## set up, then write report.html from the bundled data
	$(BIN)/chiptrail report --out report.html

neo4j: $(READY) ## serve the bundled networks in Neo4j until Ctrl-C
	$(BIN)/chiptrail neo4j serve --push bundled:firms --push bundled:countries

test: $(READY) ## set up, then run all tests
	$(TESTS)

check: $(READY) ## lint, import contracts, types, then all tests
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(TESTS)

bench: $(READY) ## compare speed with the pandas + networkx script a user would write
	$(BIN)/python benchmarks/run.py

soak: $(READY) ## run the long campaigns in full
	CHIPTRAIL_SOAK=1 $(BIN)/python -m pytest -m soak

docs: $(READY) ## write the data model page and the pictures
	$(BIN)/python docs/make_data_model.py
	$(BIN)/python docs/make_pictures.py
	$(BIN)/python docs/make_browser_pictures.py
