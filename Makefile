# The commands of the project; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help run reset test check check-project openapi format lock bench load bench-api bench-import bench-pages chaos screenshots clean bench-analytics docs translations

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Stands for a complete production environment in `manage.py check --deploy`; nothing connects with it.
PRODUCTION_LIKE := LOCAL=false ALLOWED_HOSTS=crm.example.com CSRF_TRUSTED_ORIGINS=https://crm.example.com \
	SECRET_KEY=check-only-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOP \
	FIELD_ENCRYPTION_SALT=check-only CLOUDWATCH_NAMESPACE=Huntaze \
	MESSAGING_GATEWAY=onlyfans.gateway.OnlyFansGateway
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-annotate --generate-hashes --custom-compile-command "make lock"

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Huntaze needs Python 3.11 or later; name one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.local-stamp: requirements-local.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-local.txt
	@touch $@

$(VENV)/.dev-stamp: requirements-dev.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ $(VENV)/.local-stamp

$(VENV)/.bench-stamp: requirements-bench.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@touch $@ $(VENV)/.local-stamp

.venv-load/.stamp: requirements-load.txt | $(BIN)/python
	$(BIN)/python -m venv .venv-load
	.venv-load/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-load.txt
	@touch $@

run: $(VENV)/.local-stamp ## Start everything on this machine and print where it is
	@$(BIN)/python -m huntaze.local up

reset: $(VENV)/.local-stamp ## Delete the local data (asks first; YES=1 does not ask)
	@$(BIN)/python -m huntaze.local reset $(if $(YES),--yes)

test: $(VENV)/.dev-stamp ## Run every test on real PostgreSQL, Valkey and SQS
	$(BIN)/python -m pytest

check: $(VENV)/.dev-stamp ## Format, lint, types, import contracts, migrations, translations, system checks, OpenAPI
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	env HUNTAZE_ENV_FILES=false DATABASE_URL=postgres://unused SECRET_KEY=unused $(BIN)/mypy huntaze crm messaging onlyfans analytics chaos manage.py
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m huntaze.local exec -- $(MAKE) --no-print-directory check-project

# The part of `check` that needs a database; it gets a throwaway one.
check-project:
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check_migrations
	$(BIN)/python manage.py translations --check
	env $(PRODUCTION_LIKE) $(BIN)/python manage.py check --deploy --fail-level WARNING
	generated=$$(mktemp); trap 'rm -f "$$generated"' EXIT; \
		$(BIN)/python manage.py spectacular --validate --fail-on-warn --file "$$generated" || exit 1; \
		diff -u openapi.yaml "$$generated" || { echo "openapi.yaml is not what the code says; run make openapi"; exit 1; }

bench: $(VENV)/.bench-stamp ## Measure the limiter, the producer and the worker, each beside a peer or the limit
	$(BIN)/python -m bench.limiter
	$(BIN)/python -m bench.producer
	$(BIN)/python -m bench.utilisation
	$(BIN)/python -m bench.fairness
	$(BIN)/python -m bench.throughput

bench-analytics: $(VENV)/.bench-stamp ## Measure kept sums beside a covering index and DuckDB (SIZE=full: ten million rows, KEEP=folder)
	env $(if $(SIZE),SIZE=$(SIZE)) $(BIN)/python -m bench.analytics

bench-api: $(VENV)/.bench-stamp ## Measure the hot lists beside a bare view and DRF's defaults (SIZE=full, CREATORS=20)
	env $(if $(SIZE),SIZE=$(SIZE)) $(if $(CREATORS),CREATORS=$(CREATORS)) $(BIN)/python -m bench.api

chaos: $(VENV)/.dev-stamp ## Send through faults and kills, then count what was lost or doubled (SEED=, MINUTES=2)
	$(BIN)/python -m chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))

bench-import: $(VENV)/.bench-stamp ## Measure the import of 100,000 and 1,000,000 fans beside \copy and others (20 minutes)
	$(BIN)/python -m bench.csv_import

load: $(VENV)/.local-stamp .venv-load/.stamp ## Let many users use all of it at once: answers, errors, memory, deliveries (USERS=500, MINUTES=10)
	env $(if $(USERS),USERS=$(USERS)) $(if $(MINUTES),MINUTES=$(MINUTES)) $(BIN)/python -m bench.traffic

bench-pages: $(VENV)/.dev-stamp ## Measure the first paint, the bytes and the layout shift of the inbox in Chromium
	$(BIN)/python -m bench.pages

openapi: $(VENV)/.dev-stamp ## Write openapi.yaml anew
	$(BIN)/python -m huntaze.local exec -- $(BIN)/python manage.py spectacular --validate --fail-on-warn --file openapi.yaml

docs: $(VENV)/.dev-stamp ## Write docs/reference/ anew from .env.example and the code
	env HUNTAZE_ENV_FILES=false DATABASE_URL=postgres://unused SECRET_KEY=unused $(BIN)/python -m docs.reference

translations: $(VENV)/.dev-stamp ## Bring locale/ in step with what the pages say, and name what has no French
	env HUNTAZE_ENV_FILES=false DATABASE_URL=postgres://unused SECRET_KEY=unused $(BIN)/python manage.py translations

format: $(VENV)/.dev-stamp ## Put the code into the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

screenshots: $(VENV)/.dev-stamp ## Take the README's pictures anew from the running demo (URL=http://127.0.0.1:8000)
	$(BIN)/python -m docs.screenshots $(URL)

lock: $(BIN)/python ## Pin the requirements anew
	$(BIN)/python -m pip install --quiet uv
	$(COMPILE) requirements-dev.in -o requirements-dev.txt
	$(COMPILE) requirements-local.in -c requirements-dev.txt -o requirements-local.txt
	$(COMPILE) requirements-bench.in -c requirements-dev.txt -o requirements-bench.txt
	$(COMPILE) requirements-load.in -c requirements-dev.txt -o requirements-load.txt
	$(COMPILE) requirements.in -c requirements-dev.txt -o requirements.txt
	$(COMPILE) requirements-lambda.in -c requirements-dev.txt -o requirements-lambda.txt

clean: ## Delete the environment and caches (the local data stays)
	rm -rf $(VENV) .venv-load .mypy_cache .pytest_cache .ruff_cache .import_linter_cache staticfiles
