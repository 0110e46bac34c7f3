# `make` sets up and runs everything, `make test` sets up and tests, `make help` lists the rest.
#
# Variables:  ARGS="--only table01 --jobs 2"   passed on to the command behind a target
#             PYTHON=/path/to/python           another Python (3.11 or newer) to make .venv from
#             TORCH_INDEX=https://download.pytorch.org/whl/cpu   torch without CUDA: gigabytes less on Linux
#             ENV=conda                        use the active conda environment instead of .venv

VENV ?= .venv
ifeq ($(ENV),conda)
  VENV := $(or $(CONDA_PREFIX),$(error ENV=conda, but no conda environment is active))
endif
PYTHON ?= $(shell for p in python3.11 python3; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.cross4d-installed
PIP_INSTALL = $(PY) -m pip install --disable-pip-version-check $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

# a kernel named python3 is this environment's, whatever else the user has installed
export JUPYTER_PREFER_ENV_PATH = 1

.PHONY: reproduce setup lint check test notebooks lab report bench doctor clean help

reproduce: $(INSTALLED)  ## (default) run every notebook on embedded data: pages in build/html, tables in results/quick
	$(PY) -m cross4d_lib.cli reproduce $(ARGS)

setup: $(INSTALLED)  ## only install

lint: $(INSTALLED)  ## format, lint and types
	$(PY) -m ruff format --check . && $(PY) -m ruff check . && $(PY) -m mypy

check: lint  ## lint, and the tests that take seconds
	$(PY) -m pytest -q -p no:nbval -m "not slow" tests $(ARGS)

test: lint  ## lint, and all tests, the notebooks among them
	$(PY) -m pytest -q -rs --nbval-lax --nbval-current-env $(ARGS)

notebooks: $(INSTALLED)  ## run the notebooks in place, so that their stored outputs are fresh
	TQDM_DISABLE=1 $(PY) -m nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False notebooks/*.ipynb

lab: $(INSTALLED)  ## open the notebooks in JupyterLab
	$(PY) -m jupyterlab --notebook-dir=notebooks $(ARGS)

report: $(INSTALLED)  ## write tables from the result rows at hand
	$(PY) -m cross4d_lib.cli report $(ARGS)

bench: $(INSTALLED)  ## time the hot operators beside their peers
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(PY) $$file $(ARGS) || exit 1; done

doctor: $(INSTALLED)  ## what is here, and what each missing thing blocks
	$(PY) -m cross4d_lib.cli doctor

clean:  ## remove what was built (not .venv, not the cached targets, not the results)
	rm -rf build .pytest_cache .hypothesis .mypy_cache .ruff_cache cross4d.egg-info
	find cross4d_lib tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 12

$(PY):
	$(if $(PYTHON),,$(error No Python 3.11 or newer found as python3.11 or python3. Install one, or say where: make PYTHON=/path/to/python))
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, $(PYTHON) is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

# torch goes first and alone, so that the wheel chosen for it (CPU or CUDA) is the one the rest is resolved against
$(INSTALLED): requirements.txt requirements-test.txt pyproject.toml | $(PY)
	$(PIP_INSTALL) $(shell grep '^torch==' requirements.txt)
	$(PIP_INSTALL) -r requirements.txt -r requirements-test.txt
	$(PIP_INSTALL) --no-deps -e .
	touch $@
