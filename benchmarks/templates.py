"""How far places miss that reach another template through its registration to ours.

Our template is moved, scaled and bent by a known map, written as TemplateFlow writes another one
(voxels of 2 mm, from right to left, as FSL has them), and found again as a run does.

    python benchmarks/templates.py

needs no data, and prints a table after about a minute on a core that does nothing else.
"""

import os

# Before any import that loads ANTs: registrations are reproducible with one thread.
os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from bids_anomaly.preprocessing.spaces import write_way
from bids_anomaly.preprocessing.template import Grid, template_brain, template_brain_mask
from bids_anomaly.preprocessing.templateflow import OtherTemplate, find_template
from bids_anomaly.preprocessing.transforms import Chain, move_points

NAME = "MNI152NLin6Asym"
GRID = Grid((91, 109, 91), nib.affines.from_matvec(np.diag([-2, 2, 2]), [90, -126, -72]))
TURN = Rotation.from_euler("xyz", (4, -2, 3), degrees=True).as_matrix()
SCALE = np.diag([1.03, 0.96, 1.05])
SHIFT_MM = (2, -4, 5)
BEND_MM = 3.0


def main() -> None:
    """Make the template, find the way to it, and print by how much it misses."""
    with TemporaryDirectory() as folder:
        template = _write_template(Path(folder))
        there, back = Path(folder) / "there.nii.gz", Path(folder) / "back.nii.gz"
        started = time.monotonic()
        write_way(there, back, template, seed=0)
        seconds = time.monotonic() - started
        brain = nib.load(template.brain)
        points = apply_affine(brain.affine, np.argwhere(np.asanyarray(brain.dataobj) > 0))
        ours = ours_from_other(points)
        print(f"{seconds:.0f} s\n\n| mm | mean | 95 % | largest |\n| --- | --- | --- | --- |")
        for name, moved, expected in (
            ("without a registration", points, ours),
            ("to our template", move_points(points, Chain.of(there)), ours),
            ("from our template", move_points(ours, Chain.of(back)), points),
        ):
            miss = np.linalg.norm(moved - expected, axis=1)
            print(
                f"| {name} | {miss.mean():.1f} | {np.percentile(miss, 95):.1f} | {miss.max():.1f} |"
            )


def ours_from_other(points: np.ndarray) -> np.ndarray:
    """Return where points of the made-up template lie in ours, (..., 3), in mm of RAS+."""
    x, y, z = np.moveaxis(points, -1, 0)
    bend = BEND_MM * np.stack([np.sin(y / 25), np.cos(z / 30), np.sin(x / 28 + 1)], axis=-1)
    return (points + bend) @ (TURN @ SCALE).T + SHIFT_MM


def _write_template(home: Path) -> OtherTemplate:
    stem = home / f"tpl-{NAME}" / f"tpl-{NAME}_res-02"
    stem.parent.mkdir()
    GRID.image(_pulled(template_brain(1))).to_filename(f"{stem}_T1w.nii.gz")
    brain = _pulled(template_brain_mask(1)) > 0.5
    GRID.image(brain.astype(np.uint8)).to_filename(f"{stem}_desc-brain_mask.nii.gz")
    return find_template(NAME, {2}, home)


def _pulled(image: nib.Nifti1Image) -> np.ndarray:
    """Return an image of our template in the grid of the made-up one."""
    places = apply_affine(GRID.affine, np.moveaxis(np.indices(GRID.shape), 0, -1))
    voxels = apply_affine(np.linalg.inv(image.affine), ours_from_other(places))
    values = image.get_fdata(dtype=np.float32)
    return map_coordinates(values, np.moveaxis(voxels, -1, 0), order=1)


if __name__ == "__main__":
    main()
