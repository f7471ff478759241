# run · test · check · demo · acceptance · acceptance-autoinvite · chaos · tamper · bench · screenshots · lock
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run demo test check acceptance acceptance-autoinvite chaos tamper bench screenshots translations lock venv dev debian clean

## the product on its embedded default: SQLite, the demo mailbox, no other service
run: venv translations
	$(BIN)/python -m outreach run

## the same on fictional data, so that every page has something to show
demo: venv translations
	OUTREACH_INSTANCE=$${OUTREACH_INSTANCE:-instance/demo} $(BIN)/python -m outreach demo

## everything that must hold before a change lands; what comes from Debian and from PyPI comes side by side
test:
	$(MAKE) -j2 debian check translations
	tests/run

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.guards.migrations_lint

acceptance: dev debian translations
	$(BIN)/python -m tests.acceptance

## the link of 2007, hostile sites and a scanner against the running product
acceptance-autoinvite: dev debian translations
	$(BIN)/python -m tests.acceptance.autoinvite

## a hundred kills of workers, scheduler, broker and database amid sending: nobody twice, nobody lost
chaos: dev debian translations
	$(BIN)/python -m tests.chaos

## everything somebody with the database and the log's key could do to it: all of it must be found
tamper: dev debian translations
	$(BIN)/python -m tests.tamper

## every measurement of docs/performance.md, one after another; `make bench-send` and its like run one
BENCHES := same_answer compose wire plan imports send backlog peers memory audit web
bench: dev debian translations
	set -e; for name in $(BENCHES); do $(BIN)/python -m bench.$$name; done

bench-%: dev debian translations
	$(BIN)/python -m bench.$*

screenshots: dev debian translations
	$(BIN)/python -m tests.screenshots

translations: venv
	@$(BIN)/python -m outreach.translations

venv: $(VENV)/.runtime
dev: $(VENV)/.dev

$(VENV)/.runtime: requirements.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  echo "outreach: Python's venv is missing, installing python3-venv"; apt-get -o DPkg::Lock::Timeout=600 install -y -q python3-venv && $(PYTHON) -m venv $(VENV); }
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

## PostgreSQL, Chromium and Postfix's smtp-sink for the tests, from Debian, when missing
debian:
	@tests/debian-packages

lock: dev
	$(BIN)/uv pip compile -q --no-header --python-version 3.11 --universal --generate-hashes requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --no-header --python-version 3.11 --universal --generate-hashes -c requirements.txt requirements-dev.in -o requirements-dev.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
