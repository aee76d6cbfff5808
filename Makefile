# Needs only Python >= 3.11, pip and make: every target sets up .venv by itself.
PYTHON ?= python3
BIN := .venv/bin
LENSPINN := $(BIN)/lenspinn

# The demo's size and place; `make demo NUM=3000 OUT=/tmp/x` runs a shorter one elsewhere.
NUM ?= 36000
OUT ?= demo

.PHONY: demo test test-all browser lint docs notebooks clean

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

demo: .venv/.installed
	$(LENSPINN) simulate configs/simulate/deeplense_model_3.yaml --num $(NUM) --out $(OUT)/data.zarr
	$(LENSPINN) inspect $(OUT)/data.zarr
	$(LENSPINN) train configs/train/lenspinn_small_demo.yaml --data $(OUT)/data.zarr --out $(OUT)/run
	$(LENSPINN) evaluate $(OUT)/run
	$(LENSPINN) explain $(OUT)/run
	@echo
	@echo "A short run on noise-free Model III images: what the tool does, not how well it can do it."
	@echo "Dataset:     $(OUT)/data.png"
	@echo "Report:      $(OUT)/run/evaluation/report.md"
	@echo "Where it looks: $(OUT)/run/explanation"

test: lint docs browser
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not slow and not gpu"

test-all: lint docs browser
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not gpu"

# Tests of the page look at it with chromium; where it cannot be had they are skipped, and say so.
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } \
		>/dev/null 2>&1 || echo "There is no chromium: tests in a browser will be skipped."

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell src tests docs benchmarks configs README.md CHANGELOG.md CONTRIBUTING.md
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site, without a network: warnings are errors, and every link inside it must lead somewhere.
docs: .venv/.installed
	PYTHONPATH=src $(BIN)/sphinx-build -j 2 -W --keep-going -q -b html docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html

# Runs the notebooks anew and keeps their outputs, which the site shows.
notebooks: .venv/.installed
	PYTHONWARNINGS="ignore:IProgress not found" $(BIN)/jupyter execute --inplace examples/*.ipynb

clean:
	rm -rf .venv demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
		docs/_build docs/api/generated docs/examples/*.ipynb docs/examples/*.png
