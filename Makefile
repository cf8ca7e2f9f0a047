# The two commands of the README, and their longer sisters. Everything is installed into .venv in this folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# On as many processes as there are cores, four at most: each compiles its own Numba kernels.
PYTEST := $(BIN)/python -m pytest --timeout=600 --numprocesses auto --maxprocesses 4 --dist worksteal
SOURCES := pyproject.toml setup.py $(wildcard kernels/cython_backend/*.pyx kernels/cython_backend/*.pxi kernels/cython_backend/*.h)

.PHONY: run studies test test-peers test-all lint clean

# Set up, and run the default suite on scikit-learn's embedded digits.
run: $(VENV)/.installed
	$(BIN)/depthbench run

# Answer all questions about learning on embedded data (six to ten minutes); the page is build/studies/index.html.
studies: $(VENV)/.installed
	$(BIN)/depthbench study all --preset S -o build/studies

# Set up, and run all tests but the long ones and the comparisons with PyTorch and ONNX Runtime.
test: $(VENV)/.installed-dev
	$(PYTEST) -m "not slow and not peers"

# Install PyTorch and ONNX Runtime too, and run the tests that compare with them.
test-peers: $(VENV)/.installed-peers
	$(PYTEST) -m "peers and not slow"

# Everything, the long ones included (random kills, large fuzzing, sanitizers).
test-all: $(VENV)/.installed-dev
	$(PYTEST)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "depthbench needs Python >= 3.11; $(PYTHON) is `$(PYTHON) --version`. Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,cluster]"
	@touch $@ $(VENV)/.installed

# depthbench is there already: this adds the extra's packages and builds nothing. PEERS names exact versions to take.
$(VENV)/.installed-peers: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PEERS) "depthbench[peers]"
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info kernels/cython_backend/*.c kernels/cython_backend/*.so
