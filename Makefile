# make tour    see what Lanterna does: train, read a page, classify a photograph, look at the gallery
# make studio  do it by hand, in your browser
# make docs    the site: build/docs/index.html
# make test    all tests          make quick   those that take no time, before every commit
# make check   ruff and mypy      make bench   the figures; QUICK=--quick for small ones
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
	@OMP_WAIT_POLICY=passive $(BIN)/python tests/shared/trained.py  # with all cores, before the tests share them
	$(PYTEST) --dist loadfile --no-loadscope-reorder

quick: .venv/installed-dev
	$(PYTEST) --dist worksteal -m "not slow"

check: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

BENCHES = train classify teach look paths motion dream feature style instant instant_start paint studio \
	parallel render render_plan gpu

bench: .venv/installed-dev
	@failed=; for name in $(BENCHES); do \
		echo "$$name" >&2; $(BIN)/python benchmarks/$$name.py $(QUICK) || failed="$$failed $$name"; \
	done; test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

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
