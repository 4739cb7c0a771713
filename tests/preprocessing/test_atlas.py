import json

import nibabel as nib
import numpy as np
import pytest
from nilearn.datasets import load_mni152_gm_template

from bids_anomaly.preprocessing.atlas import (
    ATLAS_FOLDER,
    ATLAS_NAME,
    atlas_image,
    atlas_labels,
    atlas_regions,
)
from bids_anomaly.preprocessing.template import (
    MODEL_GRID_2MM,
    Grid,
    template_brain,
    template_white_matter,
)


@pytest.fixture(scope="module")
def labels():
    return np.asanyarray(atlas_image().dataobj)


def indices(**wanted):
    return [r.index for r in atlas_regions() if all(getattr(r, k) == v for k, v in wanted.items())]


def test_the_atlas_lies_in_the_grid_of_the_template(labels):
    template = template_brain(1)
    assert labels.shape == template.shape
    np.testing.assert_array_equal(atlas_image().affine, template.affine)
    assert atlas_image().get_data_dtype() == np.int16
    assert not labels[template.get_fdata() == 0].any()


def test_every_region_of_the_table_is_in_the_map_and_the_other_way_round(labels):
    assert sorted(indices()) == sorted(set(np.unique(labels)) - {0})
    names = [region.name for region in atlas_regions()]
    assert len(names) == len(set(names)) == 145


def test_every_region_of_a_hemisphere_has_its_counterpart():
    sides = {side: indices(hemisphere=side) for side in ("left", "right")}
    names = {
        side: {r.name[:-2] for r in atlas_regions() if r.index in found}
        for side, found in sides.items()
    }
    assert names["left"] == names["right"]
    assert len(sides["left"]) + len(sides["right"]) + len(indices(hemisphere="n/a")) == 145


def test_left_is_left_and_right_is_right(labels):
    x = nib.affines.apply_affine(
        atlas_image().affine, np.moveaxis(np.indices(labels.shape), 0, -1)
    )[..., 0]
    for side, sign in (("left", -1), ("right", 1)):
        for index in indices(hemisphere=side):
            assert sign * np.median(x[labels == index]) > 0, index
        inside = np.isin(labels, indices(hemisphere=side))
        assert (sign * x[inside] > -4).all()


def test_tissues_are_those_of_the_template(labels):
    white = template_white_matter(1).get_fdata()
    grey = load_mni152_gm_template(resolution=1).get_fdata()
    in_white = np.isin(labels, indices(tissue="white matter"))
    in_grey = np.isin(labels, indices(tissue="cortex"))
    # DLMUSE draws white matter wider than the template does.
    assert white[in_white].mean() > 2 * grey[in_white].mean()
    assert grey[in_grey].mean() > 5 * white[in_grey].mean()


def test_known_places_have_their_names():
    grid = Grid.isotropic((1, 1, 1), (0.0, 0.0, 0.0), 1.0)
    for place, name in {
        (-26, 0, 0): "Putamen_L",
        (26, 0, 0): "Putamen_R",
        (-11, -19, 8): "ThalamusProper_L",
        (28, -20, -14): "Hippocampus_R",
        (0, -28, -36): "BrainStem",
        (-38, -22, 58): "PrecentralGyrus_L",
    }.items():
        affine = grid.affine.copy()
        affine[:3, 3] = place
        (found,) = atlas_labels(Grid(grid.shape, affine)).ravel()
        assert {r.index: r.name for r in atlas_regions()}.get(found) == name


def test_any_grid_of_the_template_can_be_filled(labels):
    found = atlas_labels(MODEL_GRID_2MM)
    assert found.shape == MODEL_GRID_2MM.shape
    # Voxels of 8 mm3; the whole atlas lies in the model grid.
    assert (found > 0).sum() * 8 == pytest.approx((labels > 0).sum(), rel=0.01)


def test_the_atlas_is_small_and_says_who_made_it_from_what():
    assert sum(path.stat().st_size for path in ATLAS_FOLDER.iterdir()) < 1_000_000
    described = json.loads((ATLAS_FOLDER / f"{ATLAS_NAME}.json").read_text())
    assert described["License"] == "CC BY-SA 4.0"
    assert described["SampleSize"] == len(described["Participants"])
    licence = (ATLAS_FOLDER / "LICENSE").read_text()
    for name in ("CC BY-SA 4.0", "IXI", "DLMUSE"):
        assert name in licence
