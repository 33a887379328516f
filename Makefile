# make run and make test are all a newcomer needs; both are quick the second time.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet install --constraint requirements.lock

.PHONY: run test lint format bench bench-quick lock altcha clean install

run: $(VENV)/.run ## install what is missing, then serve
	$(BIN)/letterbox serve

# What one process of the tests has compiled is not compiled again by the many others, whatever the shell says.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.dev ## every test; what needs PostgreSQL, Redis or RabbitMQ skips where they are absent
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: $(VENV)/.dev ## format, lint, types, and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev ## the service beside its peers: emails per second, latency, CPU and memory; ten minutes
	$(BIN)/python -m bench

bench-quick: $(VENV)/.dev ## the service beside fastify, in two minutes
	$(BIN)/python -m bench --quick

install: $(VENV)/.run

lock: ## take the newest versions of everything
	rm -rf $(VENV)/lock && $(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip --quiet install --editable '.[dev,postgresql,redis,celery]'
	(head -2 requirements.lock; $(VENV)/lock/bin/python -m pip freeze --exclude-editable) > $(VENV)/requirements.lock
	mv $(VENV)/requirements.lock requirements.lock && rm -rf $(VENV)/lock

# Its package is made for a framework that is not needed; it carries the widget, which the npm package has, too.
altcha: $(VENV)/.run ## take the newest widget of ALTCHA
	$(BIN)/python -m pip --quiet install --no-deps --upgrade --target $(VENV)/altcha altcha-django
	cp $(VENV)/altcha/altcha_django/static/altcha_django/altcha.min.js app/intake/altcha/altcha.js
	cp $(VENV)/altcha/altcha_django/static/altcha_django/i18n/all.js app/intake/altcha/texts.js
	cp $(VENV)/altcha/altcha_django/static/altcha_django/altcha.min.js.VERSION app/intake/altcha/VERSION
	rm -rf $(VENV)/altcha

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage*

$(VENV)/.run: pyproject.toml requirements.lock
	@echo "Installing into $(VENV), once ..."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[postgresql,redis]'
	touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "Installing the tools for development into $(VENV), once ..."
	$(PIP) --editable '.[dev,postgresql,redis,celery]'
	touch $@
