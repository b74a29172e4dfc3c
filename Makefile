# Every habit of the project. `make run` and `make test` need Python 3.11 or later with its venv module, and nothing
# else: they set up .venv by themselves, and a second call finds it ready.
#
#   make run PYTHON=python3.12           another interpreter for .venv
#   make test ARGS='-k gradients -x'     arguments for the command behind the habit

PYTHON ?= python3
ARGS   ?=
OUT    ?= runs/gpu

VENV := .venv
BIN  := $(VENV)/bin

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test test-sim federated ptx lint type bench experiments fuzz gpu docs clean

help:  ## list the habits
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: $(VENV)/report.installed  ## the demonstration: gradients, training, transfer; writes runs/demo/report.html (four minutes)
	$(BIN)/rnn-core demo $(ARGS)

test: $(VENV)/test.installed test-sim  ## the whole test suite
	$(BIN)/python -m pytest -n auto --maxprocesses 4 $(ARGS)

# In a process of its own: kernels are either compiled or simulated.
test-sim: $(VENV)/test.installed  ## the CUDA kernels without a GPU, thread by thread in Python
	NUMBA_ENABLE_CUDASIM=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 tests/kernels/simulator

# Flower pins packages that others want newer, so it has an environment of its own.
federated:  ## Flower's engines and processes on local clients (12 minutes); ARGS='-m "not slow"' leaves its processes out
	@$(MAKE) --no-print-directory VENV=.venv-federated .venv-federated/federated-test.installed
	RNN_CORE_REQUIRE_PEERS=0 .venv-federated/bin/python -m pytest tests/transfer/federated $(ARGS)

ptx: $(VENV)/ptx.installed  ## every CUDA kernel compiled and assembled without a GPU: registers, shared memory, spills
	$(BIN)/python -m kernels.cuda.assembly $(ARGS)
	$(BIN)/python -m kernels.cuda.assembly rnn_core.variants --shape 256 32
	$(BIN)/python -m kernels.cuda.assembly tests.kernels.cuda.staged_cells --shape 256 32

lint: $(VENV)/lint.installed  ## style and likely bugs, by ruff (a second)
	$(BIN)/ruff check $(ARGS) .

type: $(VENV)/lint.installed $(VENV)/test.installed  ## types, by mypy (ten seconds the first time)
	$(BIN)/mypy $(ARGS)

bench: $(VENV)/bench.installed  ## side by side with torch on the CPU, whole training steps too (installs torch; 25 minutes)
	$(BIN)/python -m benchmarks cpu $(ARGS)

experiments: $(VENV)/data,report.installed  ## every experiment of the pages again (two to three hours); ARGS=NAME for one of them, ARGS=--help lists them
	$(BIN)/python -m benchmarks.experiments --keep runs/experiments $(ARGS)

fuzz: $(VENV)/test.installed  ## 100,000 damaged files for all that reads (a quarter of an hour); ARGS='--inputs 1000'
	$(BIN)/python -m tests.fuzz --inputs 100000 --workers 2 --save runs/fuzz $(ARGS)

# With the interpreter as it is: what this needs beside CUDA, a machine with a GPU has, and maybe no network.
gpu:  ## check and time backend="cuda" on a GPU, beside torch; writes gpu.json and gpu.md into OUT= (seven minutes)
	'$(PYTHON)' -m benchmarks gpu --out '$(OUT)' $(ARGS)

docs: $(VENV)/docs.installed $(VENV)/ptx.installed  ## the documentation as HTML in docs/_build/html; a warning is an error (two minutes)
	$(BIN)/python -m sphinx -W --keep-going --quiet -b html $(ARGS) docs docs/_build/html

clean:  ## remove .venv, built documents and caches; results in runs/ stay
	rm -rf $(VENV) .venv-federated docs/_build docs/_generated *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp for each group of extras in setup.cfg.
$(VENV)/%.installed: setup.cfg pyproject.toml | $(BIN)/pip
	@echo "Installing rnn_core[$*] into $(VENV) (once; a minute or so on a common line) ..."
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install --editable '.[$*]' || \
	    { echo "make: rnn_core[$*] was not installed; the lines above say why. The first set-up needs a network." >&2; exit 1; }
	@touch $@

# pip is the last thing that venv puts in place, so that a set-up cut short is begun again.
$(BIN)/pip:
	@command -v '$(PYTHON)' > /dev/null || \
	    { echo "make: there is no '$(PYTHON)'; name a Python of 3.11 or later: make $(MAKECMDGOALS) PYTHON=..." >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "make: rnn_core needs Python 3.11 or later, '$(PYTHON)' is $$('$(PYTHON)' --version 2>&1);" \
	           "name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@'$(PYTHON)' -c 'import venv, ensurepip' 2> /dev/null || \
	    { echo "make: '$(PYTHON)' lacks venv or ensurepip; install them (on Debian and Ubuntu: apt install python3-venv)," \
	           "or name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@'$(PYTHON)' -m venv $(VENV)
