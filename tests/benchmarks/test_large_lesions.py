import importlib
from pathlib import Path

import numpy as np
import pytest

from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import MODEL_GRID_2MM, template_brain

KINDS = ("stroke", "mass")


@pytest.fixture(scope="module")
def insert():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
        return importlib.import_module("shared.large_lesions").insert


@pytest.fixture(scope="module")
def healthy():
    scan = resample(template_brain(1), MODEL_GRID_2MM).get_fdata(dtype=np.float32)
    return scan, scan > 0.1


@pytest.fixture(scope="module", params=KINDS)
def lesioned(request, insert, healthy):
    return request.param, insert(request.param, *healthy, MODEL_GRID_2MM.affine, seed=3)


def test_lesions_are_large_and_lie_in_one_hemisphere(lesioned):
    _, made = lesioned
    assert 15 < made.lesion.sum() * 8 / 1000 < 200
    left, right = np.split(made.lesion, 2)
    assert min(left.sum(), right.sum()) < 0.1 * made.lesion.sum()


def test_the_scan_changes_in_the_lesion(lesioned, healthy):
    kind, made = lesioned
    scan, brain = healthy
    change = np.abs(made.scan - scan)
    assert change[made.lesion].mean() > 0.1
    assert not made.scan[~brain].any()
    if kind == "stroke":
        assert change[~made.lesion].mean() < 0.002


def test_only_a_mass_moves_tissue_and_never_the_border_of_the_brain(lesioned, healthy):
    kind, made = lesioned
    moved_mm = 2 * np.linalg.norm(made.push, axis=0)
    assert moved_mm[~healthy[1]].max() < 1
    assert (3 < moved_mm.max() < 12) if kind == "mass" else not moved_mm.any()


def test_tissue_goes_where_it_came_from(lesioned):
    _, made = lesioned
    np.testing.assert_allclose(made.moved(made.origins()), np.indices(made.lesion.shape), atol=1e-3)


def test_a_seed_gives_the_same_lesion_and_another_seed_another(insert, healthy):
    one, same, other = (
        insert("stroke", *healthy, MODEL_GRID_2MM.affine, seed=seed).lesion for seed in (1, 1, 2)
    )
    assert (one == same).all()
    assert (one != other).any()
