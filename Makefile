# make tour    a demonstration: train, read a page, classify a photograph, create a gallery
# make studio  the studio, in your browser
# make docs    the site: build/docs/index.html
# make test    all tests           make quick   the fast tests, before every commit
# make check   lint and types      make bench   the benchmarks; QUICK=--quick for small ones
# make browsers  the main job of every room of the studio in Firefox and WebKit
# make lock    update locked/ to the newest compatible versions
# make newest  run the tests with the newest versions, unlocked
# make networks-of-others  try networks of torchvision and timm; writes docs/others.md
PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# On all cores, where pip takes one; some packages have files for other versions of Python.
COMPILE = @$(BIN)/python -m compileall -qq --workers 0 $(VENV)/lib || true
LOCKED = $(INSTALL) --require-hashes --no-deps --requirement
ITSELF = $(INSTALL) --constraint constraints.txt --no-build-isolation --editable

unexport PYTHONDONTWRITEBYTECODE  # tests start Python a hundred times: cache the bytecode

.PHONY: tour studio docs test quick check browsers bench lock newest networks-of-others
tour: $(VENV)/installed
	@$(BIN)/lanterna tour

studio: $(VENV)/installed
	@$(BIN)/lanterna studio

docs: $(VENV)/installed-dev
	$(BIN)/python -m sphinx --fail-on-warning --keep-going -d build/doctrees docs build/docs
	@echo "$(CURDIR)/build/docs/index.html"

PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto

test: $(VENV)/installed-dev
	@$(BIN)/python tests/shared/browsers.py
	@GOMP_SPINCOUNT=10000 $(BIN)/python tests/shared/trained.py  # on all cores, before the tests share them
	$(PYTEST) --dist loadfile --no-loadscope-reorder

quick: $(VENV)/installed-dev
	$(PYTEST) --dist worksteal -m "not slow"

browsers: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m browsers tests/studio/test_browsers.py

check: $(VENV)/installed-dev
	@! git grep -nE '^(<{7}|>{7}) ' -- ':!*.js'  # left by a merge
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/oxfmt --check
	@! LC_ALL=C.UTF-8 grep -rnE --include='*.js' --exclude-dir=vendor '.{111}' $(SCRIPTS)  # in texts and comments
	$(DENO) lint --quiet
	$(DENO) check --quiet --no-remote $(SCRIPTS)

SCRIPTS = src/lanterna/surfaces/web src/lanterna/techniques
DENO = DENO_NO_UPDATE_CHECK=1 $(BIN)/deno

BENCHES = train classify read teach look paths motion dream feature style instant instant_start paint imagine grow \
	studio class parallel render render_plan gpu

bench: $(VENV)/installed-dev
	@failed=; for name in $(BENCHES); do \
		echo "$$name" >&2; $(BIN)/python benchmarks/$$name.py $(QUICK) || failed="$$failed $$name"; \
	done; test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

lock: $(VENV)/installed
	$(INSTALL) uv
	for set in core dev; do \
		$(BIN)/uv pip compile pyproject.toml --group build $$(test $$set = core || echo --extra dev) \
			--constraint constraints.txt --universal --upgrade --generate-hashes --no-emit-package torch \
			--no-emit-index-url --no-annotate --custom-compile-command "make lock" --quiet \
			--output-file locked/$$set.txt || exit 1; \
	done

newest:
	$(PYTHON) -m venv --clear build/newest
	$(MAKE) VENV=build/newest INSTALL="build/newest/bin/python -m pip install --quiet --upgrade" \
		LOCKED=true ITSELF='$$(INSTALL) --editable' test  # no `check`: types are checked with locked versions

OTHERS = build/others
networks-of-others:
	$(PYTHON) -m venv $(OTHERS)
	$(OTHERS)/bin/python -m pip install --quiet --editable . torchvision timm
	OMP_NUM_THREADS=1 $(OTHERS)/bin/python scripts/networks_of_others.py

$(VENV)/installed: pyproject.toml constraints.txt locked/core.txt
	@echo "installing Lanterna into $(VENV) (torch is large: this takes some minutes)"
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(not (3, 11) <= v < (3, 14) and f"Lanterna needs Python 3.11 to 3.13, this is {v.major}.{v.minor}: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)
	@$(LOCKED) locked/core.txt
	@$(ITSELF) .  # and torch
	$(COMPILE)
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed locked/dev.txt
	@$(LOCKED) locked/dev.txt
	@$(ITSELF) ".[dev]"
	@touch $@
