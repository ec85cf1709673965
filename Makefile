# `make demo` and `make test` set everything up by themselves: nothing but Python (3.11 or newer) and pip is needed.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
export KEEL_HOME ?= $(CURDIR)/.keel

.PHONY: help setup demo demo-news demo-support demo-recommender test test-services check docs docs-test audit bench readme clean
.DEFAULT_GOAL := help

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(READY): pyproject.toml constraints.txt
	@echo "== setting up .venv (once, some minutes: mostly downloads)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev,docs,cpu,llm,multilingual]"
	@touch $@

setup: $(READY)  ## make .venv, which the others do by themselves

demo: demo-news demo-recommender demo-support  ## all three applications, each on its own data; what is missing is trained first
	@echo; echo "== all of it in one place, on one page: $(BIN)/keel serve"

# Of the 7,771 headlines about several companies the demo's models learn from $(HEADLINES); `finance-monitor train` takes all.
HEADLINES ?= 1500
demo-news: $(READY)  ## train the news models (first time only) and watch a month of news for surges
	@echo "== finance-monitor on data/finance/news.jsonl (models live in $(KEEL_HOME))"
	@$(BIN)/finance-monitor train --most $(HEADLINES)
	@$(BIN)/finance-monitor --feed data/finance/news.jsonl --alerts alerts.jsonl

# Of the 14,192 past dialogues the demo's bot learns from $(DIALOGUES), in a ninth of the time; `support-bot train` takes all.
DIALOGUES ?= 1500
demo-support: $(READY)  ## train the support bot on a part of the dialogues (first time only); three questions answered, one not
	@echo "== support-bot on data/support (models and database live in $(KEEL_HOME))"
	@$(BIN)/support-bot ingest data/support/articles/en
	@test -d $(KEEL_HOME)/models/support-bot || $(BIN)/support-bot train --most $(DIALOGUES)
	@for question in "how do I change my PIN?" "what does F-24 on my statement mean?" \
	  "I forgot my password, how do I get back into the app?" "do you sell home insurance?"; do \
	  echo; echo "> $$question"; $(BIN)/support-bot ask "$$question"; done

demo-recommender: $(READY)  ## train the recommender (first time only); a user's history, the list with reasons, what each part is worth
	@echo "== recommender on data/catalog and its simulated users (models live in $(KEEL_HOME))"
	@test -d $(KEEL_HOME)/models/recommender || $(BIN)/recommender train >/dev/null
	@$(BIN)/recommender rank --user u0007 --k 10 --diversity 0.3 --explain
	@$(BIN)/recommender evaluate

test: $(READY)  ## all tests
	@echo "== tests"
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test-services: $(READY)  ## the tests that need PostgreSQL, Redis and Chromium, which it installs on Debian (as root, or by sudo)
	@echo "== services"
	@test -x /usr/bin/chromedriver -a -d /usr/lib/postgresql -a -x /usr/bin/redis-server || { SUDO=$$(test $$(id -u) = 0 || echo sudo); \
	  $$SUDO apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$SUDO apt-get install -y -qq --no-install-recommends \
	  chromium chromium-driver postgresql redis-server >/dev/null; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "psycopg[binary]" redis confluent-kafka
	@KEEL_SCREENSHOTS=$(CURDIR)/.keel/screenshots $(BIN)/python -m pytest -m services \
	  --numprocesses auto --dist loadfile --no-loadscope-reorder

check: $(READY)  ## style, types, import walls, insecure code, the image, the data's originality, the examples in the docs
	@echo "== ruff";  $(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "== mypy";  $(BIN)/mypy
	@echo "== import-linter";  $(BIN)/lint-imports --no-cache --no-logo
	@echo "== bandit";  $(BIN)/bandit --quiet --recursive engine apps --configfile pyproject.toml
	@echo "== hadolint";  $(BIN)/hadolint Dockerfile
	@echo "== circles, data, docs, versions"; $(BIN)/python -m tests.checks

audit: $(READY)  ## known vulnerabilities of the pinned versions; asks the advisory database, so it needs a network
	@$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip

docs: $(READY)  ## build the documents strictly into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "site/index.html"

docs-test: $(READY)  ## every command of the documents, in order, as a reader gives them (half an hour); PAGES=retrain: of one page
	@$(BIN)/python -m pytest -m docs -k "$(PAGES)"

bench: $(READY)  ## list the benchmarks; make bench NAME=feed runs one
	@$(BIN)/python -m bench $(NAME)

readme: $(READY)  ## print the README's table from the last results
	@$(BIN)/python -m bench readme

clean:  ## remove the virtual environment and the models made here
	rm -rf .venv .keel
