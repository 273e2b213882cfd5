# Everything installs itself into .venv the first time and is quick the second.
PYTHON ?= python3
BIN := .venv/bin
TORCH_CONSTRAINT ?= -c constraints/cpu.txt
# Small models gain nothing from many threads, and tests share the machine.
export OMP_NUM_THREADS ?= 2

.PHONY: setup setup-gpu demo test test-all lint bench docs clean

setup: .venv/.stamp

.venv/.stamp: pyproject.toml constraints/cpu.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; try: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -U pip
	$(BIN)/python -m pip install -q $(TORCH_CONSTRAINT) -e '.[text,train,dev]'
	@touch $@

# The torch build of your choice: install it into .venv first, or let pip take the newest.
setup-gpu:
	$(MAKE) setup TORCH_CONSTRAINT=

demo: setup
	$(BIN)/pathsegmentor segment examples/images/kidney_nuclei.jpg "nuclei in kidney" --mpp 0.25 --out demo-out/kidney_nuclei
	$(BIN)/pathsegmentor segment examples/images/kidney_lymphocytes.jpg "lymphocytes" "epithelial cells" --mpp 0.25 --out demo-out/kidney_lymphocytes
	$(BIN)/pathsegmentor segment examples/images/colon_normal.jpg "glands in colon" "malignant glands" --mpp 1.0 --out demo-out/colon_normal
	$(BIN)/pathsegmentor segment examples/images/colon_cancer.jpg "glands in colon" "malignant glands" --mpp 1.0 --out demo-out/colon_cancer
	@echo "Look at demo-out/*/overlay.png; drag demo-out/*/result.geojson onto the image in QuPath."

test: setup
	$(BIN)/python -m pytest

test-all: setup
	$(BIN)/python -m pytest -m ""

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python benchmarks/encode_once.py

docs: setup
	$(BIN)/python -m pip install -q $(TORCH_CONSTRAINT) -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf .venv site demo-out .mypy_cache .ruff_cache .pytest_cache .hypothesis
