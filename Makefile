# Each target sets up what it needs on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# tests/conftest.py says which tests stay together in one of the processes.
TEST_PROCESSES ?= 2
PYTEST := $(BIN)/pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-slow lint clean

demo: $(READY)
	$(BIN)/bids-anomaly-demo demo

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(PYTEST) -m "not slow"

test-slow: $(READY)
	$(PYTEST) -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --config setup.cfg

clean:
	rm -rf $(VENV) demo work build dist *.egg-info

# setup.cfg or the pins changing sets up anew.
$(READY): setup.cfg constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $(READY)

# Container image, as docs/containers.md explains it. What your machine needs besides, such as mounts for a
# package mirror, limits or a CPU build of torch, comes in through the variables.
ENGINE ?= docker
IMAGE ?= bids-anomaly/bids-anomaly:0.1.0
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
