"""The examples in docstrings give what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

import bids_anomaly

PACKAGE = Path(bids_anomaly.__file__).parent
WITH_EXAMPLES = sorted(
    ".".join(["bids_anomaly", *path.relative_to(PACKAGE).with_suffix("").parts])
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_of(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted
    assert not result.failed


def test_what_others_build_on_has_examples():
    wanted = {
        "preprocessing.template", "preprocessing.transforms", "reconstruction.bundle",
        "scoring.findings", "scoring.score", "modalities", "bids.outputs",
    }  # fmt: skip
    assert {f"bids_anomaly.{name}" for name in wanted} <= set(WITH_EXAMPLES)
