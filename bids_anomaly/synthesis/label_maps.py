"""Read label maps of people as tissues in a model grid."""

from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
from scipy import ndimage

from bids_anomaly.exceptions import BadScanError
from bids_anomaly.preprocessing.labels import resample_labels
from bids_anomaly.preprocessing.registration import register_linear
from bids_anomaly.preprocessing.reorient import reorient_labels
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import Grid, template_brain
from bids_anomaly.preprocessing.transforms import Chain
from bids_anomaly.synthesis.tissues import CONTRASTS, LABELS, LATERAL_VENTRICLES, TISSUES, VALUES

# Voxels of tissue maps are this much smaller than those of scans, so that borders show partial
# volume.
FINER = 2
# Periventricular white matter reaches this far from a lateral ventricle.
CAP_MM = 2.0
# Fluid around the brain is looked for this far from it.
FLUID_MARGIN_MM = 15.0
# Thin sheets of fluid outside the dura are cut off by an opening of this radius, and sinuses and
# the tentorium are closed in, as brain extraction does.
OPENING_MM, CLOSING_MM = 2.0, 4.0


def tissues_in_grid(path: Path, grid: Grid, *, seed: int) -> np.ndarray:
    """Bring a label map into a model grid, as tissues in voxels of half the size.

    A T1w-like picture of the brain is registered to the template (affine). What counts as brain
    is what brain extraction takes for it: fluid belongs to it, and meninges between its parts.

    Parameters
    ----------
    path : Path
        NIfTI file with labels of FreeSurfer or SynthSeg, at about 1 mm; labels outside the brain
        may be there or not.
    grid : Grid
        Model grid in the space of the template.
    seed : int
        For the registration.

    Returns
    -------
    (2X, 2Y, 2Z) uint8 array
        Values of tissues, 0 outside the brain.

    Raises
    ------
    BadScanError
        If the map has unknown labels, lacks white matter, or cannot be read.
    """
    tissues = _read_tissues(path)
    picture = np.append(0, [np.mean(CONTRASTS["T1w"][name]) for name in TISSUES])
    image = Grid.of(tissues).image(picture[np.asanyarray(tissues.dataobj)].astype(np.float32))
    with TemporaryDirectory(prefix="bids-anomaly-") as scratch:
        affine = register_linear(
            image,
            resample(template_brain(1), grid),
            kind="Affine",
            seed=seed,
            folder=Path(scratch),
        )
        moved = resample_labels(tissues, _finer(grid), Chain.of(affine))
    return np.asanyarray(moved.dataobj).astype(np.uint8)


def _read_tissues(path: Path) -> nib.Nifti1Image:
    """Read a label map as tissues, with 0 outside the brain."""
    image = reorient_labels(path)
    spacing = Grid.of(image).spacing
    labels = np.rint(image.get_fdata(dtype=np.float32)).astype(int)
    known = {label: VALUES[name] for name in TISSUES for label in LABELS[name]}
    found = np.unique(labels[labels != 0]).tolist()
    unknown = [label for label in found if label not in known]
    if unknown:
        raise BadScanError(
            f"The label map {path.name} has labels that are not those of FreeSurfer or SynthSeg: "
            f"{', '.join(map(str, unknown[:10]))}. Renumber them, or leave the map out."
        )
    if not np.isin(LABELS["white matter"], found).any():
        raise BadScanError(
            f"The label map {path.name} has no white matter (labels 2 and 41), to which "
            "intensities are relative. Leave it out."
        )
    table = np.zeros(max(known) + 1, np.uint8)
    table[list(known)] = list(known.values())
    box = _brain_box(table[labels], spacing)
    labels, image = labels[box], image.slicer[box]
    tissues = table[labels]

    white = tissues == VALUES["white matter"]
    off_ventricle = ~np.isin(labels, LATERAL_VENTRICLES)
    if not off_ventricle.all():
        near = ndimage.distance_transform_edt(off_ventricle, sampling=spacing) <= CAP_MM
        tissues[white & near] = VALUES["periventricular white matter"]
    brain = _brain(tissues, spacing)
    # Segmentations of the brain alone leave sulci without label.
    tissues[brain & (tissues == 0)] = VALUES["sulcal fluid"]
    return Grid.of(image).image(tissues * brain)


def _parenchyma(tissues: np.ndarray) -> np.ndarray:
    return (tissues > 0) & ~np.isin(tissues, [VALUES["sulcal fluid"], VALUES["other"]])


def _brain_box(tissues: np.ndarray, spacing: np.ndarray) -> tuple[slice, ...]:
    """Return the box of the brain and of the fluid around it, but for the spinal canal."""
    box = ndimage.find_objects(_parenchyma(tissues).astype(np.uint8))[0]
    margins = np.ceil(FLUID_MARGIN_MM / spacing).astype(int)
    lower = [max(0, extent.start - n) for extent, n in zip(box, margins, strict=True)]
    # The canal is full of fluid and ends wherever the field of view does.
    lower[2] = box[2].start
    return tuple(
        slice(start, int(extent.stop + n))
        for start, extent, n in zip(lower, box, margins, strict=True)
    )


def _brain(tissues: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Return what brain extraction takes for the brain: parenchyma, fluid, and gaps in it."""
    parenchyma = _parenchyma(tissues)
    brain = parenchyma | (tissues == VALUES["sulcal fluid"])

    def distance(mask: np.ndarray) -> np.ndarray:
        return ndimage.distance_transform_edt(mask, sampling=spacing)

    core, _ = ndimage.label(distance(brain) > OPENING_MM)
    core = core == np.bincount(core.ravel())[1:].argmax() + 1
    opened = brain & (parenchyma | (distance(~core) <= OPENING_MM))
    closed = distance(distance(~opened) <= CLOSING_MM) > CLOSING_MM
    return opened | closed


def _finer(grid: Grid) -> Grid:
    """Return the grid whose voxels, FINER along each axis, make one voxel of `grid`."""
    affine = grid.affine.copy()
    affine[:3, :3] /= FINER
    affine[:3, 3] -= affine[:3, :3] @ np.full(3, (FINER - 1) / 2)
    return Grid(tuple(FINER * length for length in grid.shape), affine)
