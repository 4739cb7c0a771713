import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bids_anomaly.exceptions import BadScanError
from bids_anomaly.group.maps import Sums, load_maps
from bids_anomaly.group.people import Member, find_members
from bids_anomaly.preprocessing.template import OUTPUT_GRID, TEMPLATE, Grid


def person(seed: int) -> tuple[np.ndarray, dict[str, np.ndarray], str]:
    random = np.random.default_rng(seed)
    z = random.normal(size=OUTPUT_GRID.shape).astype(np.float32)
    z[: random.integers(5, 40)] = 0  # outside the brain
    return random.random(OUTPUT_GRID.shape) < 0.1, {"T1w": z}, ("FLAIR", "T1w")[seed % 2]


@settings(max_examples=3)
@given(st.permutations(range(4)))
def test_people_add_up_in_any_order(order):
    everybody = [person(seed) for seed in range(4)]
    sums = Sums()
    for index in order:
        sums.add(*everybody[index])
    masks = np.array([mask for mask, *_ in everybody])
    z = np.array([scores["T1w"] for _, scores, _ in everybody])
    assert sums.primaries == {"FLAIR": 2, "T1w": 2}
    np.testing.assert_allclose(sums.frequency(), masks.mean(axis=0), atol=1e-6)
    scanned = (z != 0).sum(axis=0)
    expected = np.where(scanned >= 2, z.sum(axis=0) / np.maximum(scanned, 1), 0)
    np.testing.assert_allclose(sums.mean_z("T1w"), expected, atol=1e-5)


def test_memory_does_not_grow_with_people():
    sums = Sums()
    mask, scores, primary = person(0)
    sums.add(mask, scores, primary)
    tracemalloc.start()
    for _ in range(20):
        # Of their own, as they are read: an array that is kept would count.
        sums.add(mask.copy(), {modality: z.copy() for modality, z in scores.items()}, primary)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < mask.nbytes
    assert sums.people == 21


@pytest.fixture
def member(tmp_path, synthetic) -> Member:
    synthetic.write_result(tmp_path, "01")
    return find_members(tmp_path)[0]


def test_maps_of_a_person_are_read(member):
    mask, scores = load_maps(member)
    assert mask.shape == OUTPUT_GRID.shape
    assert list(scores) == ["T1w"]


@pytest.mark.parametrize("damage", ["cut", "grid", "nan", "gone"])
def test_a_broken_map_is_named_with_what_to_do(member, damage):
    path = member.file("zscore", "T1w")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "grid":
        Grid.isotropic((9, 9, 9), (0, 0, 0), 2.0).image(np.zeros((9, 9, 9))).to_filename(path)
    elif damage == "nan":
        OUTPUT_GRID.image(np.full(OUTPUT_GRID.shape, np.nan)).to_filename(path)
    else:
        path.unlink()
    with pytest.raises(BadScanError, match=f"sub-01_space-{TEMPLATE}_desc-zscore_T1w.*run the par"):
        load_maps(member)
