# Each target sets up what it needs on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What is installed, each with a file that says when: what a run needs, the test tools, what builds the documentation.
RUN_READY := $(VENV)/.ready-run
TEST_READY := $(VENV)/.ready-test
DOCS_READY := $(VENV)/.ready-docs
# tests/conftest.py says which tests stay together in one of the processes.
TEST_PROCESSES ?= 2
PYTEST := $(BIN)/pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-slow lint docs clean

demo: $(RUN_READY)
	$(BIN)/bids-anomaly-demo demo

test: $(TEST_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(PYTEST) -m "not slow"

test-slow: $(TEST_READY)
	$(PYTEST) -m slow

lint: $(TEST_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --config setup.cfg
	$(BIN)/mypy

# Fails where a link or an anchor leads nowhere.
docs: $(DOCS_READY)
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs site
	@echo "Look at site/index.html."

clean:
	rm -rf $(VENV) demo work site build dist *.egg-info

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# setup.cfg or the pins changing sets up anew.
$(RUN_READY): setup.cfg constraints.txt | $(BIN)/python
	@echo "Installing what a run needs into $(VENV): 1.9 GB on disk, several GB more where the package index has torch"
	@echo "for CUDA; about three minutes with a fast connection, the last one or two of them without a word:"
	$(BIN)/pip install --constraint constraints.txt --editable .
	touch $@

$(TEST_READY): setup.cfg constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $@ $(RUN_READY)

# Without the package itself: pages are built from Markdown alone.
$(DOCS_READY): setup.cfg constraints.txt | $(BIN)/python
	$(BIN)/python -c "from configparser import ConfigParser as C; c = C(); c.read('setup.cfg'); \
	print(c['options.extras_require']['docs'])" > $(VENV)/docs.txt
	$(BIN)/pip install --constraint constraints.txt --requirement $(VENV)/docs.txt
	touch $@

# Container image, as docs/containers.md explains it. What your machine needs besides, such as mounts for a
# package mirror, limits or a CPU build of torch, comes in through the variables.
ENGINE ?= docker
IMAGE ?= bids-anomaly/bids-anomaly:0.2.0
BUILD_FLAGS ?=
RUN_FLAGS ?=
APPTAINER ?= apptainer
SIF ?= bids-anomaly.sif
export ENGINE IMAGE RUN_FLAGS

.PHONY: image image-sizes image-test cluster-test

image:
	$(ENGINE) build $(BUILD_FLAGS) --tag $(IMAGE) .

image-sizes:
	$(ENGINE) history --format "{{.Size}}  {{.CreatedBy}}" --no-trunc $(IMAGE)

image-test: image image-sizes
	tests/containers/image.sh

$(SIF):
	$(ENGINE) save --output image.tar $(IMAGE)
	$(APPTAINER) build --build-arg IMAGE=image.tar $@ singularity/bids-anomaly.def
	rm image.tar

cluster-test: $(SIF)
	SIF=$(SIF) tests/containers/cluster.sh
