"""What segmentations give as brain masks, and how one that lies elsewhere is told.

FreeSurfer is not run: the labels of DLMUSE that come with the IXI scans stand for its label maps,
without the fluid around the brain (label 1), which those leave out.

    python benchmarks/segmentations.py DATA [--people N]

prints two tables in Markdown. The first has the Dice with the masks of deepbet, which models were
trained with, of the bare map and of the mask that ``segmented_mask`` makes of it. The second has
the correlation of details by which it tells whether scan and segmentation lie over one another: of
each scan with itself moved along each axis, with itself under a bias field along two axes or under
noise of a tenth of bright tissue, and with the scan of the next person, laid over it by the centre
of the brain. DATA holds the datasets `ixi-healthy`, and for the second table `elderly-wmh` and `ms`
too, with two people of the split `dev` each at most. It defaults to the environment variable
BIDS_ANOMALY_DATA.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator

import nibabel as nib
import numpy as np
from shared.data_folder import add_data_folder
from shared.people import people

from bids_anomaly import __version__
from bids_anomaly.evaluation.metrics import dice
from bids_anomaly.preprocessing.brain import extract_brain
from bids_anomaly.preprocessing.reorient import reorient, reorient_labels
from bids_anomaly.preprocessing.segmentation import correlation_within, segmented_mask
from bids_anomaly.preprocessing.template import Grid

DATASET = "ixi-healthy"
SPLITS = ("train", "dev")
OTHERS = ("elderly-wmh", "ms")
OF_OTHERS = 2
FLUID_AROUND = 1
SHIFTS_MM = (1, 2, 3, 4, 6, 8)
BIAS = 0.6
NOISE = 0.1


def main() -> None:
    arguments = _parser().parse_args()
    scans, masks, likeness = [], [], defaultdict(list)
    for dataset, person in _everybody(arguments.people):
        folder = arguments.data / dataset
        scan = reorient(sorted((folder / f"sub-{person}").glob("**/anat/*_T1w.nii.gz"))[0])
        found = extract_brain(scan, use_gpu=False)
        scans.append((scan, found))
        if dataset == DATASET:
            labels = f"derivatives/dlmuse/sub-{person}/anat/sub-{person}_desc-dlmuse_dseg.nii.gz"
            masks.append(_masks(scan, found, reorient_labels(folder / labels)))
        for name, picture in _pictures(scan, found):
            likeness[name].append(correlation_within(found, scan, picture))
    for (scan, found), (other, its_own) in zip(scans, [*scans[1:], scans[0]], strict=True):
        moved = _moved(other, _centre(found) - _centre(its_own))
        likeness["another person"].append(correlation_within(found, scan, moved))
    print(f"bids-anomaly {__version__}, {len(masks)} people of {DATASET}.\n")
    print("| brain | mean Dice with deepbet | lowest |\n| --- | --- | --- |")
    for name, values in zip(("bare map", "filled"), np.transpose(masks), strict=True):
        print(f"| {name} | {values.mean():.3f} | {values.min():.3f} |")
    print(f"\nThese and {len(scans) - len(masks)} of {' and '.join(OTHERS)}.\n")
    print("| the scan itself, but | lowest correlation | highest |\n| --- | --- | --- |")
    for name, values in likeness.items():
        print(f"| {name} | {min(values):.2f} | {max(values):.2f} |")


def _everybody(count: int) -> list[tuple[str, str]]:
    """Return the dataset and the label of each person."""
    others = [(name, person) for name in OTHERS for person in people(name, "dev")[:OF_OTHERS]]
    return [*((DATASET, person) for person in people(DATASET, *SPLITS)[:count]), *others]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_data_folder(parser)
    parser.add_argument("--people", type=int, default=10, help="how many (default: 10)")
    return parser


def _masks(
    scan: nib.Nifti1Image, found: nib.Nifti1Image, labels: nib.Nifti1Image
) -> tuple[float, float]:
    """Return the Dice with deepbet of a label map, and of what is made of it."""
    values = np.asanyarray(labels.dataobj)
    bare = (values > 0) & (values != FLUID_AROUND)
    segmentation = Grid.of(labels).image(bare.astype(np.uint8))
    filled = segmented_mask(scan, segmentation, None, above=0, pipeline="DLMUSE").mask
    brain = np.asanyarray(found.dataobj) > 0
    return dice(bare, brain), dice(np.asanyarray(filled.dataobj) > 0, brain)


def _pictures(
    scan: nib.Nifti1Image, found: nib.Nifti1Image
) -> Iterator[tuple[str, nib.Nifti1Image]]:
    """Yield what was done to a scan, and the scan moved, shaded or noisy."""
    for shift in SHIFTS_MM:
        for axis in range(3):
            yield f"{shift} mm apart", _moved(scan, shift * np.eye(3)[axis])
    values = scan.get_fdata(dtype=np.float32)
    y, z = (np.linspace(-1, 1, length) for length in scan.shape[1:])
    field = (1 + BIAS * y[:, None]) * (1 + BIAS * z)
    shaded = Grid.of(scan).image((values * field).astype(np.float32))
    yield f"a bias field of {100 * BIAS:.0f} % along two axes", shaded
    bright = np.percentile(values[np.asanyarray(found.dataobj) > 0], 80)
    noise = NOISE * bright * np.random.default_rng(0).standard_normal(values.shape)
    yield (
        f"noise of {100 * NOISE:.0f} % of bright tissue",
        Grid.of(scan).image((values + noise).astype(np.float32)),
    )


def _moved(image: nib.Nifti1Image, shift_mm: np.ndarray) -> nib.Nifti1Image:
    affine = image.affine.copy()
    affine[:3, 3] += shift_mm
    return Grid(image.shape, affine).image(image.get_fdata(dtype=np.float32))


def _centre(mask: nib.Nifti1Image) -> np.ndarray:
    return nib.affines.apply_affine(
        mask.affine, np.argwhere(np.asanyarray(mask.dataobj) > 0).mean(axis=0)
    )


if __name__ == "__main__":
    main()
