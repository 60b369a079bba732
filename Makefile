# Fairseat. `make run` starts everything, `make test` tests everything; both need only Python 3.11 and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
RUN = .venv/bin/python
export DEBUG ?= 1
TESTS ?= tests
JOBS ?= 2

.PHONY: help run test lint format types check install install-dev shell clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

run: install ## start the whole site (PORT, HOST and DATA_DIR choose where); Ctrl-C stops it
	@exec $(RUN) manage.py up --with-parent

test: ## run every test against a PostgreSQL and Redis of its own (TESTS=tests/bookings for a part)
	@$(PYTHON) tools/install.py dev browser
	@$(RUN) -m pytest -n $(JOBS) --create-db $(TESTS)

lint: install-dev ## style, format and types
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy

format: install-dev ## format the code
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

install: ## make .venv and install what the site needs
	@$(PYTHON) tools/install.py

install-dev: ## make .venv and install what developing needs
	@$(PYTHON) tools/install.py dev

shell: install ## a Django shell beside a running site
	@exec $(RUN) manage.py shell

clean: ## stop the embedded servers, remove .venv and all local data
	@if [ -x $(RUN) ]; then \
		$(RUN) manage.py embedded erase; DATA_DIR=$(CURDIR)/.data/test $(RUN) manage.py embedded erase; fi
	@rm -rf .venv .venv.lock .data .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
