# What the README names and what continuous integration runs; each target sets up what it needs.

PYTHON ?= $(shell sh tools/python.sh)
BIN := .venv/bin
INSTALLED := .venv/.ready
NATIVE := .venv/.native
READY := $(INSTALLED) $(NATIVE)
CODE := src tests examples benchmarks chaos tools

# Bytecode is kept: a run of the tests starts hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup accelerator prepared kafka nginx prometheus chromium registry demo quick test test-memory test-sockets test-python test-kafka check lint format types contracts coverage simulate fuzz parity bench chaos broker lock docs pictures clean

help: ## Say what there is to make
	@sed -n 's/^\([a-z]*\):.*## /  \1|/p' Makefile | column -t -s '|'

setup: $(READY) ## Install hookstream and its tools into .venv

# Exactly the locked releases, each checked against its hash; then the package itself, editable.
$(INSTALLED): requirements.lock pyproject.toml
	@PYTHON=$(PYTHON) sh tools/prepare.sh python
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the locked dependencies into .venv"
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(INSTALLED)

# Where cargo or a crate is missing, one line says so and everything runs in Python. Folders are listed too: a file
# that is gone changes its folder. Time stamps only say when to look: a hash of the sources is in the binary.
$(NATIVE): $(INSTALLED) $(shell find native -name target -prune -o ! -name Cargo.lock -print)
	@$(BIN)/python -m tools.native
	@touch $(NATIVE)

accelerator: $(INSTALLED) ## Build the native accelerator, or fail where that is impossible
	@$(BIN)/python -m tools.native --required
	@touch $(NATIVE)

nginx: $(READY)
	@sh tools/prepare.sh nginx

prometheus: $(READY)
	@sh tools/prepare.sh prometheus

chromium: $(READY) ## Get the browser that tests look at the console's pages with
	@sh tools/prepare.sh chromium

define GET_KAFKA
@sh tools/prepare.sh java
@test -n "$$HOOKSTREAM_KAFKA__BOOTSTRAP_SERVERS" || $(BIN)/hookstream dev fetch
endef
kafka: $(READY) ## Get Apache Kafka for the development broker
	$(GET_KAFKA)

registry: $(READY) ## Get a schema registry for the tests that use a real one; they are skipped without it
	@sh tools/prepare.sh registry
	@$(BIN)/python -m tests.real_registry

demo: kafka ## Run the main job: six partners, a crash, and every delivery accounted for (KEEP=1: leave it running)
	@$(BIN)/python -m examples.demo $(if $(KEEP),--keep)

# One more than there are cores: some tests wait for processes and sockets.
SPREAD = --processes=$(shell expr $$(nproc) + 1)

quick: $(READY) ## Run the tests that need neither Kafka nor the simulator's thousands of stories
	@$(BIN)/python -m pytest -q -m "not kafka" --ignore=tests/simulation --ignore=tests/integration $(SPREAD)

# Tests in memory compute all the time; those on Kafka mostly wait, so six processes share one broker
# (tests/units.py says what stays together). Both run side by side, those in memory on what the others leave: what has
# deadlines is not late because of what has none.
GROUPS = test-kafka test-memory test-sockets test-python
LAST = nice -n 10
PROCESSES ?= 6
AT_ONCE = $(MAKE) --no-print-directory --jobs=6 --output-sync=target
test: $(READY) ## Run every test, real Kafka included
	@$(AT_ONCE) $(GROUPS)

# What the targets that fetch something get, one after another: apt-get runs once at a time.
prepared: $(READY)
	$(GET_KAFKA)
	@sh tools/prepare.sh nginx
	@sh tools/prepare.sh prometheus
	@sh tools/prepare.sh chromium
$(GROUPS): prepared

test-memory:
	@$(LAST) $(BIN)/python -m pytest -q -m "not kafka" --ignore=tests/integration $(SPREAD)

test-sockets:
	@$(BIN)/python -m pytest -q -m "not kafka" tests/integration

# What reads Avro, once more in Python: scenarios have a double in its place, but for these. Of the tests on Kafka, one
# worker in tests/e2e/test_starting.py runs so. Without the accelerator all others have run in Python already.
IN_PYTHON = tests/contracts tests/scenarios/test_mapped_records.py tests/unit/adapters/avro
test-python:
	@if $(BIN)/python -c "import hookstream_native" 2>/dev/null; then \
		HOOKSTREAM_NATIVE=0 $(BIN)/python -m pytest -q -m "not kafka" $(IN_PYTHON); \
	fi

test-kafka:
	@$(BIN)/python -m pytest -q -m kafka --processes=$(PROCESSES) tests/contracts tests/fuzz tests/e2e \
		tests/integration --ignore=tests/integration/http --ignore=tests/integration/pages

# Style before all else. Types take half a minute of one core: they are checked while Kafka is fetched and its tests begin.
check: lint ## Do what continuous integration does
	@$(AT_ONCE) contracts types $(GROUPS)

lint: $(READY) ## Check format and style
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)

format: $(READY) ## Format the code and mend what can be mended
	@$(BIN)/ruff check --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

types: $(READY) ## Check types
	@$(LAST) $(BIN)/mypy $(CODE)

contracts: $(READY) ## Check that layers point one way
	@$(LAST) $(BIN)/lint-imports

# Without what takes its time for its claim: the simulator's stories, and bounds on CPU seconds.
NOT_COVERED = --ignore=tests/simulation --ignore=tests/properties/test_hostile_lines.py
coverage: $(READY) ## Run the tests in memory and report which branches none of them takes
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q -m "not kafka" $(NOT_COVERED) $(SPREAD)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

SEEDS ?= 10000
simulate: $(READY) ## Run the worker through the stories of SEEDS=10000 seeds, or show that of one SEED
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

RECORDS ?= 1000000
fuzz: kafka ## Write RECORDS=1000000 records of strangers, and see what they end (SEED draws them again)
	@$(BIN)/python -m tests.fuzz --records $(RECORDS) $(if $(SEED),--seed $(SEED))

parity: accelerator ## Compare the native accelerator with Python on RECORDS=1000000 drawn records (SEED is the first)
	@$(BIN)/python -m tests.native_parity $(RECORDS) $(if $(SEED),--seed $(SEED))

bench: kafka nginx ## Measure one worker against nginx (BATCH=100 compares batches of 100, PAIRS=5 the bare libraries)
	@$(BIN)/python -m benchmarks $(if $(BATCH),--batch $(BATCH)) $(if $(PAIRS),--pairs $(PAIRS))

chaos: kafka ## Kill workers and broker at random under a million deliveries, and count what is lost
	@$(BIN)/python -m chaos

broker: kafka ## Run a development broker until Ctrl-C
	@$(BIN)/hookstream dev broker

# The locks name no index host: each machine asks the index that it is configured for.
COMPILE = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate
lock: $(READY) ## Write the locks again from pyproject.toml (UPGRADE=--upgrade for the newest releases)
	@$(BIN)/python -m pip install --quiet uv
	@$(COMPILE) $(UPGRADE) --group dev --output-file requirements.lock
	@$(COMPILE) --constraints requirements.lock --output-file requirements-runtime.lock

pictures: $(READY) kafka chromium ## Take the pictures of docs/console.md again, from a real console
	@HOOKSTREAM_TEST_PICTURES=1 $(BIN)/pytest -q tests/e2e/pages/test_incident.py

docs: $(READY) ## Write the reference pages again from the code
	@$(BIN)/python -m tools.reference

clean: ## Remove everything that was made, Kafka's jars included
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
