"""Results of a small study that does not exist."""

import importlib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

# In deep white matter of the left hemisphere.
PLANTED = ((-28.0, -24.0, 30.0), 9.0)


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """The benchmark's writer of results."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
        return importlib.import_module("synthetic_results")


@pytest.fixture(scope="session")
def study(synthetic, tmp_path_factory) -> SimpleNamespace:
    """Six controls and five patients, who all have one lesion in the same place.

    The site has nothing to do with anything, and one person alone has been to another hospital.
    Tests leave the folder as it is.
    """
    folder = tmp_path_factory.mktemp("study") / "out"
    rows, masks = [], {}
    for number in range(11):
        patient = number >= 6
        label = f"{number:02}"
        rows.append(
            {
                "participant_id": f"sub-{label}",
                "age": str(50 + 7 * number % 20),
                "sex": "FM"[number % 2],
                "group": "patient" if patient else "control",
                "site": "ab"[(number // 2) % 2],
                "hospital": "<i>x</i>" if number == 1 else "y",
            }
        )
        masks[label] = synthetic.write_result(
            folder,
            label,
            balls=[PLANTED] if patient else [((20.0, 10.0 * number - 60, 20.0), 3.0)],
            flagged=["noise"] if number == 3 else [],
            seed=number,
        )
    synthetic.write_dataset(folder, rows)
    (folder / "sub-03.html").write_text("a report")
    return SimpleNamespace(folder=folder, masks=masks, rows=rows)


@pytest.fixture(scope="session")
def patients(study) -> np.ndarray:
    """Where patients have their lesion, (X, Y, Z) bool."""
    return study.masks["06"]
