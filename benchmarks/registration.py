"""Whether SyN gains from the pseudo-healthy image, on scans with large inserted lesions.

A stroke and a mass are inserted, one at a time, into scans of healthy people of IXI in the model
grid, and SyN to the template is estimated from the healthy scan (the reference), from the scan
with the lesion, and from its pseudo-healthy image. Measured are

- the distance between where a voxel of the template goes and where it goes by the reference, which
  is moved along with the tissue that a mass pushes aside,
- the Dice of the regions of the atlas, carried to the person, with the person's own (automatic)
  DLMUSE labels, which move along too.

    python benchmarks/registration.py DATA --preprocessed PREPROCESSED --results FOLDER

takes the folders of ``benchmarks/atlas.py``, and about 1 minute a lesion on two cores; what was
registered is not registered again.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

# Imported before any that loads ANTs, as it sets the threads of ITK.
from atlas import (
    DATASET,
    dice_of_labels,
    own_labels,
    preprocessed,
    register,
    register_once,
)
from scipy.ndimage import distance_transform_edt, map_coordinates
from shared.data_folder import add_data_folder
from shared.large_lesions import CENTRES_MM, Lesioned, insert
from shared.people import Split
from shared.table import interval

from bids_anomaly.preprocessing.atlas import atlas_labels, atlas_regions
from bids_anomaly.preprocessing.registration import Warp
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import Grid, template_brain
from bids_anomaly.preprocessing.transforms import LPS, Chain
from bids_anomaly.reconstruction.bundle import Bundle, choose_bundles
from bids_anomaly.reconstruction.registry import reconstruct

NEAR_MM = 20.0
SOURCES = ("healthy scan", "scan with lesion", "pseudo-healthy image")
# Regions with fewer voxels (of 8 mm3) in a zone do not count there.
FEWEST = 25
VOLUME = ("volume (ml)", "")


def main() -> None:
    """Run and print the table."""
    arguments = _arguments()
    bundle = choose_bundles(arguments.model, ("T1w",))["T1w"]
    held_out = Split(arguments.split, arguments.at_most).people(DATASET)
    found: dict[str, list[Mapping]] = {kind: [] for kind in CENTRES_MM}
    for seed, person in enumerate(held_out):
        for kind, measured in _measure(arguments, bundle, person, seed).items():
            found[kind].append(measured)
        print(f"{person}: {seed + 1} of {len(held_out)}", flush=True)
    print(
        f"\n{DATASET}, split `{arguments.split}`, {len(held_out)} people, one lesion of each kind; "
        f"{bundle.name} {bundle.version}; mean over people (95 % bootstrap interval).\n"
    )
    print("| lesion | measure | where | " + " | ".join(SOURCES) + " | pseudo-healthy - scan |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind, rows in found.items():
        volumes = [row[VOLUME][0] for row in rows]
        named = f"{kind}, {min(volumes):.0f} to {max(volumes):.0f} ml"
        for measure, zone in (key for key in rows[0] if key != VOLUME):
            values = np.array([row[measure, zone] for row in rows]).T
            cells = [interval(row) for row in (*values, values[-1] - values[-2])]
            if measure != "Dice":
                cells[0] = "0, by definition"
            print(f"| {named} | {measure} | {zone} | " + " | ".join(cells) + " |")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data_folder(parser)
    parser.add_argument("--preprocessed", type=Path, required=True, help="output folder of the app")
    parser.add_argument("--results", type=Path, required=True, help="for deformations, kept")
    parser.add_argument("--split", default="dev", help="(default: %(default)s)")
    parser.add_argument("--at-most", type=int, help="people, for a quick look (default: all)")
    parser.add_argument("--model", default="restore", help="(default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="(default: %(default)s)")
    return parser.parse_args()


def _measure(
    arguments: argparse.Namespace, bundle: Bundle, person: str, seed: int
) -> dict[str, Mapping]:
    """Insert each kind of lesion into the scan of a person, and measure each registration."""
    image = preprocessed(arguments, person, "model_scan")
    brain = np.asanyarray(preprocessed(arguments, person, "model_brain").dataobj) > 0
    healthy = register(arguments, person)
    grid = Grid.of(image)
    labels = own_labels(arguments, person, grid)
    measured = {}
    for kind in CENTRES_MM:
        lesioned = insert(kind, image.get_fdata(dtype=np.float32), brain, grid.affine, seed=seed)
        folder = arguments.results / f"sub-{person}" / f"{kind}-{seed}"
        warps = [healthy, *_registered(arguments, bundle, lesioned.scan, brain, grid, folder)]
        zones = zones_around(lesioned.lesion, float(grid.spacing[0]))
        measured[kind] = {
            VOLUME: [lesioned.lesion.sum() * grid.voxel_volume / 1000],
            **displacement_errors(warps, lesioned, zones, grid),
            **overlaps(warps, lesioned, zones, labels),
        }
    return measured


def _registered(
    arguments: argparse.Namespace,
    bundle: Bundle,
    scan: np.ndarray,
    brain: np.ndarray,
    grid: Grid,
    folder: Path,
) -> list[Warp]:
    """Register the scan with the lesion, and its pseudo-healthy image; what is there is kept."""

    def pseudo_healthy() -> nib.Nifti1Image:
        restored = reconstruct(
            bundle, scan, brain, device=arguments.device, batch_size=None, steps=None, seed=0
        )
        return grid.image(restored.pseudo_healthy.astype(np.float32))

    return [
        register_once(lambda: grid.image(scan.astype(np.float32)), folder / "scan"),
        register_once(pseudo_healthy, folder / bundle.digest),
    ]


def displacement_errors(
    warps: Sequence[Warp], lesioned: Lesioned, zones: Mapping[str, np.ndarray], grid: Grid
) -> dict[tuple[str, str], list[float]]:
    """Return how far from the reference each registration sends the voxels of the template.

    The reference is the first; where it sends a voxel, once the tissue has moved, says in which
    zone the voxel counts. Means and 95th percentiles are in mm.
    """
    spacing = float(grid.spacing[0])
    in_template = np.array(np.nonzero(resample(template_brain(1), grid).get_fdata() > 0))
    reference, *others = [_targets(warp, in_template, spacing) for warp in warps]
    reference = lesioned.moved(reference)
    errors = [spacing * np.linalg.norm(t - reference, axis=0) for t in (reference, *others)]
    measured = {}
    for name, zone in zones.items():
        inside = map_coordinates(zone.astype(np.uint8), reference, order=0) > 0
        chosen = [error[inside] for error in errors]
        measured["mean error (mm)", name] = [error.mean() for error in chosen]
        measured["95th percentile (mm)", name] = [np.quantile(error, 0.95) for error in chosen]
    return measured


def overlaps(
    warps: Sequence[Warp],
    lesioned: Lesioned,
    zones: Mapping[str, np.ndarray],
    labels: nib.Nifti1Image,
) -> dict[tuple[str, str], list[float]]:
    """Return the mean Dice of the regions of the atlas with a person's own labels.

    What the first registration carried over from the atlas moves along with the tissue, as the
    person's own labels do.
    """
    grid = Grid.of(labels)
    carried = [atlas_labels(grid, Chain.of(warp.fixed_from_moving)) for warp in warps]
    origins = lesioned.origins()
    own = map_coordinates(np.asanyarray(labels.dataobj), origins, order=0)
    carried[0] = map_coordinates(carried[0], origins, order=0)
    measured = {}
    for name, zone in zones.items():
        counts = np.bincount(own[zone], minlength=1 + max(r.index for r in atlas_regions()))
        regions = [r.index for r in atlas_regions() if counts[r.index] >= FEWEST]
        measured["Dice", name] = [
            np.mean(list(dice_of_labels(own[zone], values[zone], regions).values()))
            for values in carried
        ]
    return measured


def zones_around(lesion: np.ndarray, spacing: float) -> dict[str, np.ndarray]:
    """Return masks of a lesion, of what is near it, and of the rest."""
    distance = distance_transform_edt(~lesion) * spacing
    return {
        "inside the lesion": lesion,
        f"up to {NEAR_MM:.0f} mm around it": ~lesion & (distance <= NEAR_MM),
        "beyond": distance > NEAR_MM,
    }


def _targets(warp: Warp, points: np.ndarray, spacing: float) -> np.ndarray:
    """Return where points of the template, (3, N) in voxels, go in the model grid."""
    field = np.asanyarray(nib.load(warp.moving_from_fixed).dataobj)[:, :, :, 0] * LPS
    return points + field[tuple(points)].T / spacing


if __name__ == "__main__":
    main()
