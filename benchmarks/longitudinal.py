"""Count what is called new, grown or gone in scans that were taken again without change.

    python benchmarks/longitudinal.py PREPROCESSED --modality FLAIR

PREPROCESSED is what ``bids-anomaly --stage preprocess`` wrote; if it is named as a dataset of
``splits.tsv``, the people of the split ``dev`` are taken. Of each person's scan in the model
grid, a second one is made: the head moved a little, with noise of 2 % of white matter, and for
every other person slices of 4 mm. Nothing has changed. A third has, besides, a new ball in white
matter. All three are reconstructed, scored and compared as the app does, with a registration that
is off by some tenths of a millimetre and degree. What is simulated here lacks what differs most
between real visits (scanner, sequence, brain mask, bias field), so it is a lower bound.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import nibabel as nib
import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation
from shared.people import people
from shared.scored import preset_mask, reconstructed, zscore
from shared.table import line

from bids_anomaly.preprocessing.midpoint import halfway, midpoint_grid
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import write_matrix
from bids_anomaly.reconstruction.bundle import Bundle, choose_bundles
from bids_anomaly.scoring.change import (
    VERDICTS,
    judge_lesions,
    label_together,
    measure_change,
    volumes_of,
)
from bids_anomaly.scoring.lesions import label_lesions
from bids_anomaly.scoring.timepoints import Timepoint, align
from bids_anomaly.settings import Settings
from bids_anomaly.training.people import load_people

RADIUS_MM = 6.0
# White matter = 1: what a lesion looks like, and the noise that is added.
LESION, NOISE = {"T1w": 0.6, "FLAIR": 1.5, "T2w": 1.7}, 0.02
# Standard deviations of head motion and of the error of a registration.
MOTION, ERROR = (3.0, 3.0), (0.2, 0.2)


class Scan(NamedTuple):
    """Values in the model grid, the brain, and the motion from the first scan's head to it."""

    values: np.ndarray
    brain: np.ndarray
    motion: np.ndarray


def main() -> None:
    """Simulate, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preprocessed", metavar="PREPROCESSED", type=Path)
    parser.add_argument("--modality", default="FLAIR", choices=LESION)
    parser.add_argument("--people", type=int, default=4, help="at most (default: 4)")
    parser.add_argument("--kept", type=Path, default=Path("work/longitudinal"))
    options = parser.parse_args()
    bundle = choose_bundles("restore", (options.modality,))[options.modality]
    head = ["person", "slices", "pair", "noise", "shift (mm)", "limit", *VERDICTS, "ball"]
    print(line(head))
    print(line(["---"] * len(head)))
    chosen = {f"sub-{label}" for label in people(options.preprocessed.resolve().name, "dev")}
    scans = load_people(
        options.preprocessed, modality=options.modality, participants=chosen or None
    )
    for number, person in enumerate(scans[: options.people]):
        thick = number % 2 == 1
        grid = Grid.of(person.scan)
        brain = np.asanyarray(person.brain.dataobj) > 0
        values = person.scan.get_fdata(dtype=np.float32)
        random = np.random.default_rng((7, number))
        scans, centre = scans_of(values, brain, grid, LESION[options.modality], random, thick=thick)
        timepoints = [timepoint(bundle, scan, grid, options.kept) for scan in scans]
        for first, second in ((0, 1), (1, 2)):
            motion = scans[second].motion @ np.linalg.inv(scans[first].motion)
            judged, found = compare(
                timepoints[first],
                timepoints[second],
                _motion(random, *ERROR) @ motion,
                nib.affines.apply_affine(scans[first].motion, centre),
            )
            print(
                line(
                    [
                        person.participant,
                        "4 mm" if thick else "2 mm",
                        f"{first + 1}, {second + 1}",
                        *judged,
                        found if second == 2 else "",
                    ]
                ),
                flush=True,
            )


def scans_of(
    values: np.ndarray,
    brain: np.ndarray,
    grid: Grid,
    lesion: float,
    random: np.random.Generator,
    *,
    thick: bool,
) -> tuple[list[Scan], np.ndarray]:
    """Return the scan, the same again, the same with a ball, and the centre of the ball in mm."""
    white = brain & (np.abs(ndimage.gaussian_filter(values, 0.7) - 1) < 0.06)
    room = ndimage.distance_transform_edt(white, sampling=grid.spacing)
    deep = np.argwhere(room >= min(RADIUS_MM, 0.8 * room.max()))
    centre = nib.affines.apply_affine(grid.affine, random.choice(deep))
    where = nib.affines.apply_affine(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1))
    distance = np.linalg.norm(where - centre, axis=-1)
    ball = np.clip((RADIUS_MM - distance) / 2 + 0.5, 0, 1)
    with_ball = values + ball * (lesion - values)
    again = [_again(shown, brain, grid, random, thick=thick) for shown in (values, with_ball)]
    return [Scan(values, brain, np.eye(4)), *again], centre


def timepoint(bundle: Bundle, scan: Scan, grid: Grid, kept: Path) -> Timepoint:
    """Score a scan as the app does."""
    result = reconstructed(bundle, scan.values, scan.brain, kept).result
    z = zscore(bundle, scan.values, scan.brain, result)
    mask = preset_mask(z, scan.brain, voxel_volume=grid.voxel_volume)
    images = (z.astype(np.float32), scan.brain.astype(np.uint8), label_lesions(mask))
    return Timepoint(*map(grid.image, images))


def compare(
    first: Timepoint, second: Timepoint, motion: np.ndarray, centre: np.ndarray
) -> tuple[list[str], str]:
    """Return the cells of the table, and what the lesion at a place of the first scan is called."""
    midpoint = halfway(motion)
    with TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("first.mat", "second.mat")]
        for file, matrix in zip(files, midpoint, strict=True):
            write_matrix(file, matrix)
        grid = midpoint_grid(midpoint, first.brain, second.brain, spacing=1.0)
        together = align((first, second), midpoint, grid, files)
    changes = measure_change(together)
    labels = label_together(together)
    volumes = [
        volumes_of(labels, together.compared, grid, one.lesions, matrix)
        for one, matrix in zip((first, second), midpoint, strict=True)
    ]
    judged = judge_lesions(
        labels, together, changes, volumes, min_volume=Settings.min_lesion_volume
    )
    at = np.linalg.inv(midpoint[0] @ grid.affine) @ [*centre, 1]
    label = int(labels[tuple(np.rint(at[:3]).astype(int))])
    others = Counter(lesion.verdict for lesion in judged)
    floor = [f"{changes.floor.noise:.2f}", f"{changes.floor.shift:.2f}", f"{changes.limit:.1f}"]
    found = next(_named(judged, label), "not found")
    return [*floor, *(str(others[verdict]) for verdict in VERDICTS)], found


def _named(judged: list, label: int) -> Iterator[str]:
    for lesion in judged:
        if lesion.index == label:
            yield f"{lesion.verdict}, {lesion.volumes[0]:.0f} to {lesion.volumes[1]:.0f} mm³"


def _again(
    values: np.ndarray,
    brain: np.ndarray,
    grid: Grid,
    random: np.random.Generator,
    *,
    thick: bool,
) -> Scan:
    """Scan a head again that has moved; thick slices lie along the third axis of the scanner."""
    motion = _motion(random, *MOTION)
    to_voxel = (np.linalg.inv(grid.affine) @ np.linalg.inv(motion) @ grid.affine)[:3]
    moved = ndimage.affine_transform(values, to_voxel, order=3)
    inside = ndimage.affine_transform(brain.astype(np.float32), to_voxel, order=1) > 0.5
    if thick:
        slices = (moved[..., ::2] + moved[..., 1::2]) / 2
        moved = ndimage.zoom(slices, (1, 1, 2), order=1, grid_mode=True, mode="nearest")
    noisy = moved + random.normal(0, NOISE, moved.shape)
    return Scan((noisy * inside).astype(np.float32), inside, motion)


def _motion(random: np.random.Generator, degrees: float, mm: float) -> np.ndarray:
    matrix = np.eye(4)
    turn = random.normal(0, degrees, 3)
    matrix[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    matrix[:3, 3] = random.normal(0, mm, 3)
    return matrix


if __name__ == "__main__":
    main()
