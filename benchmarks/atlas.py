"""Make the brain atlas of the package, and measure how well it fits people who had no part in it.

Each healthy adult of IXI has a map of DLMUSE labels. It goes to the template through the affine of
the app and SyN of the preprocessed scan, each label interpolated linearly; the voxels of the
template then take the label that most people of the splits `train` and `calibration` have there.
Labels without a name (cerebrospinal fluid between brain and skull) count as no region.

    bids-anomaly DATA/ixi-healthy PREPROCESSED participant --stage preprocess
    python benchmarks/atlas.py DATA --preprocessed PREPROCESSED --results FOLDER --make

writes the atlas into the package; without ``--make`` the packaged one is only measured: carried to
other people in the model grid, Dice with their own DLMUSE labels. DATA defaults to the environment
variable BIDS_ANOMALY_DATA. FOLDER keeps the deformations, about 10 s a person on one core.
"""

import argparse
import csv
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

# Registrations are reproducible with one thread, which ITK looks up once in a process.
os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

from scipy.ndimage import distance_transform_edt, find_objects
from shared.data_folder import add_data_folder
from shared.people import people
from shared.table import interval
from skimage.measure import label as label_pieces

from bids_anomaly.bids.naming import output_path, transform_path
from bids_anomaly.bids.outputs import OUTPUTS
from bids_anomaly.bids.writing import write_json
from bids_anomaly.preprocessing.atlas import (
    ATLAS_FOLDER,
    ATLAS_NAME,
    Region,
    atlas_image,
    atlas_labels,
    atlas_regions,
)
from bids_anomaly.preprocessing.labels import resample_labels
from bids_anomaly.preprocessing.registration import Warp, register_deformable
from bids_anomaly.preprocessing.reorient import reorient_labels
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import TEMPLATE, Grid, template_brain
from bids_anomaly.preprocessing.transforms import SAME_SPACE, Chain

DATASET = "ixi-healthy"
VOTERS = ("train", "calibration")
# Pieces of one to three voxels (mm3) are chance; the temporal horns are hardly larger.
SMALLEST_PIECE = 4
# Which names of DLMUSE belong to which tissue; the first that fits decides, the rest is cortex.
TISSUES = {
    "ventricle": ("Ventricle",),
    "cerebellum": ("Cerebell",),
    "white matter": ("_WM", "Fornix", "InternalCapsule", "CorpusCallosum"),
    "deep grey": (
        "Accumbens", "Amygdala", "Caudate", "Hippocampus", "Pallidum", "Putamen", "Thalamus",
        "BasalForebrain",
    ),
    "brain stem": ("BrainStem", "VentralDC"),
}  # fmt: skip
HEMISPHERES = {"L": "left", "R": "right"}


def main() -> None:
    """Make the atlas if asked to, and print how well it fits."""
    arguments = _arguments()
    if arguments.make:
        _make(arguments, people(DATASET, *VOTERS))
    _print_fit(arguments, people(DATASET, arguments.split))


def register(arguments: argparse.Namespace, person: str) -> Warp:
    """Register the preprocessed scan of a person to the template."""
    return register_once(
        lambda: preprocessed(arguments, person, "model_scan"), arguments.results / f"sub-{person}"
    )


def register_once(scan: Callable[[], nib.Nifti1Image], folder: Path) -> Warp:
    """Register a scan in the model grid as the app does; what is there is not done again."""
    warp = Warp(folder / "warp.nii.gz", folder / "inverse_warp.nii.gz")
    if not (warp.moving_from_fixed.exists() and warp.fixed_from_moving.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        moving = scan()
        template = resample(template_brain(1), Grid.of(moving))
        warp = register_deformable(moving, template, seed=0, folder=folder)
    return warp


def preprocessed(arguments: argparse.Namespace, person: str, output: str) -> nib.Nifti1Image:
    """Read the scan or the brain of a person in the model grid."""
    entities = {"sub": person}
    space = {"modality": "T1w", "space": TEMPLATE}
    return nib.load(output_path(arguments.preprocessed, output, entities, **space))


def own_labels(
    arguments: argparse.Namespace, person: str, onto: Grid, chain: Chain = SAME_SPACE
) -> nib.Nifti1Image:
    """Return the DLMUSE labels of a person, in the model grid or carried on from there."""
    folder = arguments.data / DATASET / "derivatives" / "dlmuse" / f"sub-{person}" / "anat"
    labels = reorient_labels(folder / f"sub-{person}_desc-dlmuse_dseg.nii.gz")
    entities = {"sub": person, "desc": OUTPUTS["model_scan"].entities["desc"]}
    to_model_grid = transform_path(
        arguments.preprocessed, entities, origin="T1w", target=TEMPLATE, extension=".h5"
    )
    return resample_labels(labels, onto, chain + Chain.of(to_model_grid))


def vote(maps: Sequence[np.ndarray], labels: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the most frequent label of each voxel, and its share of the maps.

    A label that is not in `labels` counts as 0; of several that are equally frequent the first
    wins, and 0 before all.
    """
    known = np.array([0, *labels])
    position = np.zeros(max(int(known.max()), max(int(m.max()) for m in maps)) + 1, np.uint16)
    position[known] = np.arange(known.size)
    counts = np.zeros((known.size, maps[0].size), np.uint16)
    voxels = np.arange(maps[0].size)
    for one in maps:
        # Each pair of label and voxel comes once in a map, so that adding by index is safe.
        counts[position[one.ravel()], voxels] += 1
    winner = counts.argmax(axis=0)
    share = counts[winner, voxels] / len(maps)
    return known[winner].reshape(maps[0].shape), share.reshape(maps[0].shape)


def without_islands(labels: np.ndarray, *, smallest: int) -> np.ndarray:
    """Give pieces of fewer than `smallest` voxels the label of the nearest voxel around them."""
    pieces = label_pieces(labels, background=-1, connectivity=labels.ndim)
    island = np.bincount(pieces.ravel())[pieces] < smallest
    nearest = distance_transform_edt(island, return_distances=False, return_indices=True)
    return labels[tuple(nearest)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data_folder(parser)
    parser.add_argument("--preprocessed", type=Path, required=True, help="output folder of the app")
    parser.add_argument("--results", type=Path, required=True, help="for deformations, kept")
    parser.add_argument("--make", action="store_true", help="make the atlas anew")
    parser.add_argument("--split", default="dev", help="who it is measured on (default: dev)")
    return parser.parse_args()


def _make(arguments: argparse.Namespace, voters: Sequence[str]) -> None:
    """Carry the labels of the voters to the template, let them vote, and write the atlas."""
    template = template_brain(1)
    brain = np.asanyarray(template.dataobj) > 0
    # Nothing outside the box of the brain is looked at, which saves half of the time.
    (box,) = find_objects(brain.astype(np.uint8))
    onto, inside = Grid.of(template.slicer[box]), brain[box]
    regions = _named_regions(arguments)
    maps = []
    for number, person in enumerate(voters, start=1):
        maps.append(np.asanyarray(_carried_labels(arguments, person, onto).dataobj)[inside])
        print(f"{person}: {number} of {len(voters)}", flush=True)
    winner, share = vote(maps, [region.index for region in regions])
    labels, agreement = np.zeros(template.shape, np.int16), np.zeros(template.shape)
    labels[brain], agreement[brain] = winner, share
    labels = np.where(brain, without_islands(labels, smallest=SMALLEST_PIECE), 0)
    Grid.of(template).image(labels).to_filename(ATLAS_FOLDER / f"{ATLAS_NAME}.nii.gz")
    _write_table(regions, labels, agreement)
    _write_description(voters, float(agreement[labels > 0].mean()))
    atlas_image.cache_clear()
    atlas_regions.cache_clear()


def _carried_labels(arguments: argparse.Namespace, person: str, onto: Grid) -> nib.Nifti1Image:
    """Return the labels of a person in the template; what is there is not done again."""
    path = arguments.results / f"sub-{person}" / "labels.nii.gz"
    if not path.exists():
        warp = register(arguments, person)
        own_labels(arguments, person, onto, Chain.of(warp.moving_from_fixed)).to_filename(path)
    return nib.load(path)


def _named_regions(arguments: argparse.Namespace) -> list[Region]:
    table = arguments.data / DATASET / "derivatives" / "dlmuse" / "dseg.tsv"
    with table.open(newline="") as file:
        rows = [
            (int(row["index"]), row["name"])
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]
    return [
        Region(index, name, HEMISPHERES.get(name.rpartition("_")[2], "n/a"), _tissue(name))
        for index, name in sorted(rows)
    ]


def _tissue(name: str) -> str:
    for tissue, parts in TISSUES.items():
        if any(part in name for part in parts):
            return tissue
    return "cortex"


def _write_table(regions: Sequence[Region], labels: np.ndarray, agreement: np.ndarray) -> None:
    counts = np.bincount(labels.ravel(), minlength=labels.max() + 1)
    sums = np.bincount(labels.ravel(), agreement.ravel(), minlength=labels.max() + 1)
    with (ATLAS_FOLDER / f"{ATLAS_NAME}.tsv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow([*Region._fields, "volume", "agreement"])
        for region in regions:
            count = counts[region.index]
            writer.writerow([*region, count, f"{sums[region.index] / count:.3f}"])


def _write_description(voters: Sequence[str], agreement: float) -> None:
    write_json(
        ATLAS_FOLDER / f"{ATLAS_NAME}.json",
        {
            "Name": f"DLMUSE regions in {TEMPLATE}",
            "Description": (
                "Regions of healthy adults by majority vote. Each person's labels were carried to "
                "the template by an affine and SyN of the T1w scan, each label interpolated "
                "linearly. Made by benchmarks/atlas.py."
            ),
            "Resolution": "1 mm isotropic",
            "SpatialReference": TEMPLATE,
            "SampleSize": len(voters),
            "Participants": [f"sub-{person}" for person in voters],
            "MeanAgreement": round(agreement, 3),
            "Columns": {
                "index": "label in the map",
                "name": "as DLMUSE calls the region",
                "hemisphere": "left, right, or n/a at the midline",
                "tissue": "coarse class of the region",
                "volume": "mm3 in the template",
                "agreement": "share of the people with this label, mean over the region's voxels",
            },
            "Authors": ["The bids-anomaly developers"],
            "Sources": [
                "T1w scans: IXI, https://brain-development.org/ixi-dataset/, CC BY-SA 3.0",
                "Labels: NiChart DLMUSE, https://github.com/CBICA/NiChart_DLMUSE",
                "Template: Fonov et al. 2011, doi 10.1016/j.neuroimage.2010.07.033",
            ],
            "License": "CC BY-SA 4.0",
        },
    )


def _print_fit(arguments: argparse.Namespace, held_out: Sequence[str]) -> None:
    """Print the Dice of the atlas, carried to each person, with the person's own labels."""
    fits = [_fit(arguments, person) for person in held_out]
    dice = {index: np.array([fit[index] for fit in fits]) for index in fits[0]}
    print(
        f"Atlas against automatic DLMUSE labels, {DATASET}, split `{arguments.split}`, "
        f"{len(held_out)} people, model grid (2 mm); mean over people.\n"
    )
    print("| tissue | regions | mean Dice of a region (95 % interval over people) |")
    print("| --- | --- | --- |")
    for tissue in ("all", *dict.fromkeys(region.tissue for region in atlas_regions())):
        chosen = [r.index for r in atlas_regions() if tissue in ("all", r.tissue)]
        means = np.nanmean([dice[index] for index in chosen], axis=0)
        print(f"| {tissue} | {len(chosen)} | {interval(means)} |")
    print("\n| region | left | right | midline |")
    print("| --- | --- | --- | --- |")
    for name, sides in _pairs().items():
        cells = [
            f"{np.nanmean(dice[sides[side]]):.2f}" if side in sides else ""
            for side in ("left", "right", "n/a")
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")


def _fit(arguments: argparse.Namespace, person: str) -> Mapping[int, float]:
    """Return the Dice of each region in the model grid of a person; NaN where there is none."""
    grid = Grid.of(preprocessed(arguments, person, "model_scan"))
    own = np.asanyarray(own_labels(arguments, person, grid).dataobj)
    carried = atlas_labels(grid, Chain.of(register(arguments, person).fixed_from_moving))
    return dice_of_labels(own, carried, [region.index for region in atlas_regions()])


def dice_of_labels(
    one: np.ndarray, other: np.ndarray, labels: Sequence[int]
) -> Mapping[int, float]:
    """Return the Dice of two label maps for each label; NaN where neither has it."""
    size = int(max(one.max(), other.max(), *labels)) + 1
    both = np.bincount(one[one == other], minlength=size)
    total = np.bincount(one.ravel(), minlength=size) + np.bincount(other.ravel(), minlength=size)
    with np.errstate(invalid="ignore"):
        return {label: float(2 * both[label] / np.float64(total[label])) for label in labels}


def _pairs() -> dict[str, dict[str, int]]:
    """Return the indices of regions by hemisphere, for each name without its side."""
    pairs: dict[str, dict[str, int]] = {}
    for region in atlas_regions():
        name = region.name if region.hemisphere == "n/a" else region.name[:-2]
        pairs.setdefault(name, {})[region.hemisphere] = region.index
    return pairs


if __name__ == "__main__":
    main()
