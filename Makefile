# The daily actions; continuous integration calls only these.
# `make setup PYTHON=python3.12` chooses another interpreter, `make test WORKERS=4` runs more files at once.

PYTHON ?= python3
# Small models gain nothing from many threads, and tests share the machine.
export OMP_NUM_THREADS ?= 2
BIN := .venv/bin
SEGMENT := HF_HUB_OFFLINE=1 $(BIN)/pathsegmentor segment

.PHONY: help setup setup-gpu demo pathseg test test-all lint bench docs clean
.DEFAULT_GOAL := help

help:
	@echo "make setup      virtual environment in .venv with the CPU build of torch"
	@echo "make setup-gpu  the same, with the torch that pip chooses or the machine already has"
	@echo "make demo       segment four committed images, offline"
	@echo "make pathseg    build nano's training set into pathseg/ from the downloads in DATA=FOLDER"
	@echo "make test       quick tests;  make test-all  all of them"
	@echo "make lint       ruff and mypy"
	@echo "make bench      benchmarks that need no data"
	@echo "make docs       build the documentation into site/"
	@echo "make clean      remove what was made; .venv stays"

setup: .venv/.stamp

.venv/.stamp: pyproject.toml $(wildcard constraints/*.txt)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "pathsegmentor needs Python 3.11 or newer, and '$(PYTHON)' is not; try: make setup PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -U pip
	$(BIN)/python -m pip install -q -c constraints/cpu.txt -e '.[text,train,slide,dev]'
	@touch $@

# Uses a torch that the interpreter already has; without one, pip takes the newest release.
setup-gpu:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "pathsegmentor needs Python 3.11 or newer, and '$(PYTHON)' is not; try: make setup-gpu PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv --system-site-packages .venv
	$(BIN)/python -m pip install -q -U pip
	$(BIN)/python -m pip install -q -e '.[text,train,slide,dev]'
	@touch .venv/.stamp

demo: .venv/.stamp
	$(SEGMENT) examples/images/ebhi_normal.jpg "glands in colon" "malignant glands" --mpp 1.0 --out demo-out/glands
	$(SEGMENT) examples/images/ebhi_adenocarcinoma.jpg "glands in colon" "malignant glands" --mpp 1.0 --out demo-out/malignant
	$(SEGMENT) examples/images/monuseg_kidney.jpg "nuclei in kidney" --mpp 0.25 --out demo-out/nuclei
	$(SEGMENT) examples/images/monusac_breast.jpg "lymphocytes" --mpp 0.25 --out demo-out/lymphocytes
	@echo "pictures:"
	@find demo-out -name '*.png' | sort | sed 's/^/  /'

# The data set that nano is trained on: DATA holds one folder per source, named as below.
NANO_SOURCES := consep ebhi glas monusac monuseg rings segpath tnbc wsss4luad
pathseg: .venv/.stamp
	@test -d "$(DATA)" || { echo "give the folder of the sources: make pathseg DATA=FOLDER" >&2; exit 2; }
	$(BIN)/pathsegmentor data build $(foreach name,$(NANO_SOURCES),--source $(name)=$(DATA)/$(name)) \
	  --split consep=official --all-labels --out pathseg

# Files side by side, each with one thread: the machine is then as busy as one run can make it.
WORKERS ?= 2
test: .venv/.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope

.venv/.ray: .venv/.stamp
	$(BIN)/python -m pip install -q -c constraints/cpu.txt -e '.[ray]'
	@touch $@

test-all: .venv/.ray
	$(BIN)/python -m pytest -m ""

lint: .venv/.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Those that need no data; the first lines of each of the others say what to give it.
BENCHMARKS := build_pathseg busy_machine encode_once evaluate_scale nano_speed open_manifest
bench: .venv/.stamp
	@set -e; for name in $(BENCHMARKS); do echo "benchmarks/$$name.py"; $(BIN)/python "benchmarks/$$name.py"; done

.venv/.docs: .venv/.stamp
	$(BIN)/python -m pip install -q -c constraints/cpu.txt -e '.[docs]'
	@touch $@

docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf build dist site demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
