# make demo    from nothing to out/report.html
# make test    lint, types and the whole test suite
# make lint | docs | bench | clean
#
# Variables:
#   PYTHON=python3.12          the interpreter that makes .venv (3.11 or newer)
#   TORCH=torch==2.9.1         another torch than the default
#   PIP_FLAGS="--extra-index-url ..."   options for every `pip install`, such as an index that
#                              has CPU-only wheels of torch (PyTorch's installation page names it)
#   JOBS=4                     how many processes run the tests

PYTHON ?= python3
TORCH ?= torch
PIP_FLAGS ?=
JOBS ?= 2
BENCH ?= subspaces

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install $(PIP_FLAGS)

# The pins were made under Python 3.11 and may have no wheels elsewhere.
PINS = $$($(BIN)/python -c 'import sys; print("-c constraints/ci.txt" * (sys.version_info[:2] == (3, 11)))')

.PHONY: demo test lint docs bench clean
.DELETE_ON_ERROR:

demo: $(VENV)/.compiled
	$(BIN)/lowdim demo --output out

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.installed-demo $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/$(BENCH).py

clean:
	rm -rf out build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# --- Installation ------------------------------------------------------------------------------
# Each step leaves a stamp and runs again only when pyproject.toml or the pins change, so that
# everything works without network once installed.

$(VENV)/.created:
	@python=$(PYTHON); if test -x $(BIN)/python; then python=$(BIN)/python; fi; \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "lowdim needs Python 3.11 or newer, and $$python is not that." >&2; \
	  echo "Name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) could not make $(VENV); on Debian and Ubuntu install python3-venv." >&2; exit 1; }
	@touch $@

$(VENV)/.installed-torch: $(VENV)/.created constraints/cpu.txt
	@if $(BIN)/python -W ignore -c 'import torch' 2>/dev/null; then \
	  echo "Using the torch that is already in $(VENV)."; \
	else \
	  echo "Installing torch, the CPU-only build where there is one ..."; \
	  $(PIP) -c constraints/cpu.txt $(PINS) $(TORCH) || { \
	    echo "No CPU-only build found: installing the default one. On Linux that is several"; \
	    echo "gigabytes with CUDA; stop and pass PIP_FLAGS (see the Makefile) for the small one."; \
	    $(PIP) $(PINS) $(TORCH); }; \
	fi
	@$(BIN)/python -W ignore -c 'import torch; v = torch.version; print(f"torch {torch.__version__}" + \
	  ("" if not (v.cuda or v.hip) else ": a build for GPUs, several gigabytes with its libraries."))'
	@touch $@

# A first fit compiles what it calls, once per installation; here, so that the demo does not wait.
$(VENV)/.compiled: $(VENV)/.installed-demo $(wildcard src/lowdim/*.py src/lowdim/*/*.py src/lowdim/*/*/*.py)
	@echo "Compiling, once ..."
	@$(BIN)/python -W ignore -c 'import numpy as np; import lowdim as ld; \
	  rows = np.random.default_rng(0).normal(size=(300, 100)); \
	  model = ld.SubspaceMixture(dims=[2, 1], tol=1e-3, random_state=0); \
	  [model.fit(rows[:, :d].astype(t)) for d in (10, 100) for t in ("float32", "float64")]; \
	  ld.GaussianMixture(2, random_state=0).fit(rows[:, :10]); \
	  ld.TSNE(max_iter=9, random_state=0).fit(rows[:, :10]); \
	  ld.NegativeBinomialMixture(2, n_init=1, random_state=0).fit(np.abs(rows).round())'
	@touch $@

# [dev] contains [demo].
$(VENV)/.installed-test: $(VENV)/.installed-torch pyproject.toml constraints/ci.txt
	@echo "Installing lowdim for development ..."
	@$(PIP) -q $(PINS) -e '.[dev]'
	@touch $(VENV)/.installed-demo $@

$(VENV)/.installed-%: $(VENV)/.installed-torch pyproject.toml constraints/ci.txt
	@echo "Installing lowdim with [$*] ..."
	@$(PIP) -q $(PINS) -e '.[$*]'
	@touch $@
