import nibabel as nib
import numpy as np
import pytest

from bids_anomaly.preprocessing.head import head_box
from bids_anomaly.preprocessing.template import Grid

GRID = Grid.isotropic((60, 70, 90), (-90.0, -105.0, -180.0), 3.0)


@pytest.fixture(scope="module")
def head():
    """A head from 30 mm below its top on a neck that reaches down to the end of the scan."""
    position = nib.affines.apply_affine(GRID.affine, np.moveaxis(np.indices(GRID.shape), 0, -1))
    skull = np.linalg.norm(position / (78, 94, 80), axis=-1) < 1
    neck = (np.hypot(position[..., 0], position[..., 1]) < 55) & (position[..., 2] < 0)
    return np.where(skull | neck, 500, 0).astype(np.float32)


def in_mm(scan, box):
    ends = [[extent.start, extent.stop - 1] for extent in box]
    return nib.affines.apply_affine(scan.affine, np.array(ends).T)


def test_the_box_ends_below_the_vertex_and_beside_the_skull(head):
    scan = GRID.image(head)
    (left, back, bottom), (right, front, top) = in_mm(scan, head_box(scan, height_mm=150))
    np.testing.assert_allclose([-left, right], 78 + 10, atol=5)
    np.testing.assert_allclose([-back, front], 94 + 10, atol=5)
    np.testing.assert_allclose([top, bottom], [80 + 10, 80 - 150], atol=5)


@pytest.mark.parametrize(
    "change",
    [
        lambda values, _: 257 * values - 4000,
        lambda values, _: values + (values == 0) * 1e-3,
        lambda values, random: np.abs(values + random.normal(scale=40, size=values.shape)),
        lambda values, random: np.where(random.random(values.shape) < 1e-5, 1e6, values),
    ],
    ids=["other range", "other background", "noise", "spikes"],
)
def test_neither_range_nor_noise_nor_a_larger_field_of_view_moves_the_box(head, change):
    scan = GRID.image(head)
    expected = in_mm(scan, head_box(scan, height_mm=150))
    margins = ((70, 0), (0, 60), (0, 50))
    grid_affine = GRID.affine.copy()
    grid_affine[0, 3] -= 70 * 3.0
    larger = Grid(tuple(n + sum(m) for n, m in zip(GRID.shape, margins, strict=True)), grid_affine)
    values = change(np.pad(head, margins), np.random.default_rng(0)).astype(np.float32)
    found = larger.image(values)
    box = in_mm(found, head_box(found, height_mm=150))
    # Where the original field of view ends, the larger one leaves room for more margin.
    np.testing.assert_allclose(box, expected, atol=15)
