# Each target does its own set-up on a bare machine with Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROBE := .venv-probe

# Where compiled modules are not kept, each interpreter that the tests start compiles all of them anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help quickstart test test-model test-attacks test-browser test-services test-probe test-clients fuzz verify perf docs clean
.DELETE_ON_ERROR:

help:
	@echo "make quickstart   watch the loop close on two real models (downloads 0.6 GB once)"
	@echo "make test         tests, ruff, strict types, architecture (EXAMPLES=long: properties on all their examples)"
	@echo "make test-model   the tests that need a real model"
	@echo "make test-attacks hostile clients, servers and files (ATTACKS=long: all of them, half an hour)"
	@echo "make test-browser the pages in a real browser (Debian's package chromium, or SELFOPT_CHROMIUM)"
	@echo "make test-services what needs PostgreSQL, Ray or another package that reads what selfopt writes"
	@echo "make test-probe   a public check of tool calling (canitoolcall) against the gateway, in an environment of its own"
	@echo "make test-clients the clients that people use, from PyPI and npm, against the gateway (a minute each model)"
	@echo "make fuzz         random replies against the readers (FUZZ_MINUTES=10 FUZZ_SEED=...)"
	@echo "make verify       the specification's final checklist"
	@echo "make perf         performance figures"
	@echo "make docs         generate docs/cli.md, docs/DIALECTS.md, docs/FORMATS.md and docs/DATA.md"

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "selfopt needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; call make PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "a virtual environment could not be made; on Debian and Ubuntu install the package python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { rm -rf $(VENV); echo "the virtual environment has no pip; install python3-venv or python3-pip and try again" >&2; exit 1; }
	@echo "installing selfopt into $(VENV) (once)"
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input --progress-bar on --only-binary :all: -r requirements/runtime.txt
	@echo "building selfopt"
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input -q --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input -q --only-binary :all: -r requirements/dev.txt
	@touch $@

quickstart: $(VENV)/.runtime
	@$(BIN)/selfopt quickstart

test: $(VENV)/.dev
	$(BIN)/ruff check src tests bench perf
	$(BIN)/ruff format --check src tests bench perf
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n 3 -m "not model and not attacks and not browser and not services" --ignore tests/browser --ignore tests/services

coverage: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n 2 -m "not attacks and not browser and not services" --ignore tests/browser --ignore tests/services --cov=selfopt --cov-report=term-missing:skip-covered --cov-fail-under=90

test-model: $(VENV)/.dev
	$(BIN)/selfopt models pull local/smollm2-135m local/qwen2.5-coder-0.5b
	$(BIN)/python -m pytest -q -m model --ignore tests/browser --ignore tests/services

# Alone on the machine, and on its disk: it times the gateway's answers. ATTACKS=long runs all of it.
test-attacks: $(VENV)/.dev
	TMPDIR=$${TMPDIR:-/tmp} $(BIN)/python -m pytest -q -n 0 -m "attacks or bytes" --durations=10 tests/attacks tests/cli/test_sealed_rules.py tests/ledger/test_commits.py

$(VENV)/.browser: $(VENV)/.dev requirements/browser.txt
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input -q --only-binary :all: -r requirements/browser.txt
	@touch $@

# Pictures of every page are kept in SELFOPT_SCREENSHOTS.
test-browser: $(VENV)/.browser
	SELFOPT_SCREENSHOTS="$${SELFOPT_SCREENSHOTS:-build/screenshots}" $(BIN)/python -m pytest -q -n 0 -m browser tests/browser

$(VENV)/.services: $(VENV)/.dev requirements/services.txt
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input -q --only-binary :all: -r requirements/services.txt
	@touch $@

# PostgreSQL's programs come from Debian's package postgresql, or from where SELFOPT_POSTGRES_BIN says.
test-services: $(VENV)/.services
	$(BIN)/python -m pytest -q -n 0 -m services tests/services

$(PROBE)/.done: requirements/probe.txt
	@test -x $(PROBE)/bin/python || $(PYTHON) -m venv $(PROBE) || { rm -rf $(PROBE); exit 1; }
	@$(PROBE)/bin/python -m pip install --disable-pip-version-check --no-input -q --only-binary :all: -r requirements/probe.txt
	@touch $@

# One minute. PROBE_FLAGS="--only 'no rule'" is a short form, and PROBE_FLAGS="--model NAME" asks a model of your own home.
test-probe: $(VENV)/.dev $(PROBE)/.done
	@$(BIN)/python -m tests.outside.probe --program $(PROBE)/bin/canitoolcall $(PROBE_FLAGS)

# Installs into a temporary folder. CLIENTS_FLAGS="--only 'no rule' --clients openai_node" asks less.
test-clients: $(VENV)/.dev
	@$(BIN)/python -m tests.outside.clients $(CLIENTS_FLAGS)

# A short form that has the same result every time, for a check of every change:
# make fuzz FUZZ_MINUTES=0.3 FUZZ_SEED=1 FUZZ_FLAGS=--untimed
FUZZ_MINUTES ?= 10
fuzz: $(VENV)/.dev
	@$(BIN)/python -m tests.fuzz --minutes $(FUZZ_MINUTES) $(if $(FUZZ_SEED),--seed $(FUZZ_SEED)) $(FUZZ_FLAGS)

verify: $(VENV)/.runtime
	@$(BIN)/python bench/verify.py

perf: $(VENV)/.runtime
	@for script in perf/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

docs: $(VENV)/.runtime
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_dialects.py
	$(BIN)/python docs/generate_formats.py
	$(BIN)/python docs/generate_data.py

clean:
	rm -rf $(VENV) $(PROBE) .mypy_cache .ruff_cache .hypothesis .coverage* src/*.egg-info
