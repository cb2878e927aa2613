.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
STAMP := $(VENV)/.installed
COMPILED := build/compiled
HEADERS = $(shell $(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h

.PHONY: help demo test check bench clean
help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed ($(PYTHON) is older): make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing; on Debian or Ubuntu: apt install python3-venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP) ## 52 hours of two trucks and two cold stores, then a page to look at
	@$(BIN)/coldchain demo

test: $(STAMP) ## the test suite, in two processes; WORKERS=0 in one
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder

# The distribution with its hot modules compiled, beside the one in development (docs/decisions/0016-compiled-by-mypyc.md).
$(COMPILED): $(STAMP) hatch_build.py $(shell find src ledger devices -name '*.py')
	@rm -rf $@
	@HATCH_BUILD_HOOKS_ENABLE=1 $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target $@ .
	@touch $@

test-compiled: $(COMPILED)
	@PYTHONPATH=$(abspath $<) $(BIN)/coldchain doctor --dir $(COMPILED) | grep "hot modules compiled"
	@PYTHONPATH=$(abspath $<) $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope tests/ledger tests/temperature tests/continuity tests/integration

check: $(STAMP) ## lint, types, import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(STAMP) ## measure, print one table, write bench/results.json
	@if command -v cc >/dev/null && test -e $(HEADERS); then $(MAKE) --no-print-directory $(COMPILED); \
	else echo "No C compiler, or no $(HEADERS): measuring without compiled modules"; rm -rf $(COMPILED); fi
	@PYTHONPATH=$(abspath $(COMPILED)) $(BIN)/python -m bench

clean: ## remove the virtual environment and caches; data directories stay
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
