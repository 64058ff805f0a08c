# make tour    see what Lanterna does: train, read a page, classify a photograph, look at the gallery
# make studio  do it by hand, in your browser
# make docs    the site: build/docs/index.html
# make test    all tests          make quick   those that take no time, before every commit
# make check   ruff and mypy      make bench   the figures
PYTHON ?= python3
BIN = .venv/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: tour studio docs test quick check bench
tour: .venv/installed
	@$(BIN)/lanterna tour

studio: .venv/installed
	@$(BIN)/lanterna studio

docs: .venv/installed-docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -d build/doctrees docs build/docs
	@echo "$(CURDIR)/build/docs/index.html"

PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4

test: .venv/installed-dev
	@$(BIN)/python tests/shared/browsers.py
	$(PYTEST) --dist loadfile --no-loadscope-reorder

quick: .venv/installed-dev
	$(PYTEST) --dist worksteal -m "not slow"

check: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/installed-dev
	$(BIN)/python benchmarks/train.py
	$(BIN)/python benchmarks/classify.py
	$(BIN)/python benchmarks/teach.py
	$(BIN)/python benchmarks/look.py
	$(BIN)/python benchmarks/paths.py
	$(BIN)/python benchmarks/motion.py
	$(BIN)/python benchmarks/dream.py
	$(BIN)/python benchmarks/style.py
	$(BIN)/python benchmarks/instant.py
	$(BIN)/python benchmarks/paint.py
	$(BIN)/python benchmarks/studio.py
	$(BIN)/python benchmarks/parallel.py
	$(BIN)/python benchmarks/render.py
	$(BIN)/python benchmarks/render_plan.py
	$(BIN)/python benchmarks/gpu.py

.venv/installed: pyproject.toml constraints.txt
	@echo "installing Lanterna into .venv (torch is large: some minutes the first time)"
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(not (3, 11) <= v < (3, 14) and f"Lanterna wants Python 3.11 to 3.13, this is {v.major}.{v.minor}: make PYTHON=python3.12")'
	@$(PYTHON) -m venv .venv
	@$(INSTALL) --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	@$(INSTALL) --editable ".[dev]"
	@touch $@

.venv/installed-docs: .venv/installed
	@$(INSTALL) --editable ".[docs]"
	@touch $@
