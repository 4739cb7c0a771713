"""The way between our own template and another one: what TemplateFlow has, or else a registration.

It is made once and kept, as two displacement fields of 2 mm, so that the scans of everybody reach
the other template by the same one.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine

from bids_anomaly.exceptions import BadTemplateError
from bids_anomaly.preprocessing.composite import write_displacement_field
from bids_anomaly.preprocessing.images import load_nifti
from bids_anomaly.preprocessing.registration import (
    masked,
    register_deformable,
    register_linear,
    require_whole,
)
from bids_anomaly.preprocessing.resample import resample
from bids_anomaly.preprocessing.template import (
    OUTPUT_GRID,
    Grid,
    template_brain,
    template_brain_mask,
)
from bids_anomaly.preprocessing.templateflow import OtherTemplate, load_template
from bids_anomaly.preprocessing.transforms import Chain, move_points

# By how much points of the brain may miss where they were after the way there and back.
LARGEST_MISS_MM = 2.0
# Exact in binary, so that files compress.
STEPS_A_MM = 1024


def write_way(there: Path, back: Path, template: OtherTemplate, *, seed: int) -> None:
    """Write how places in another template correspond to places in ours.

    Parameters
    ----------
    there : Path
        Gets the displacement field that takes points of the other template to points of ours, and
        so pulls our template onto the other; in the grid of the other.
    back : Path
        Gets the field that takes points of our template to points of the other.
    template : OtherTemplate
    seed : int
        For the registration.

    Raises
    ------
    BadTemplateError
        If an image of the template cannot be read, or transforms that TemplateFlow has do not lead
        back to where they came from.
    CannotWriteError
        If a field is cut off.
    """
    grid = Grid.of(load_template(template.image))
    with TemporaryDirectory(prefix="bids-anomaly-") as scratch:
        chains = (
            _kept(template, Path(scratch))
            if template.transforms
            else _registered(template, Path(scratch), seed)
        )
        for path, chain, onto in zip((there, back), chains, (grid, OUTPUT_GRID), strict=True):
            write_displacement_field(path, chain, onto)
            require_whole(path)
            _shorten(path)
    if template.transforms:
        _require_inverses(template, there, back)


def _registered(template: OtherTemplate, scratch: Path, seed: int) -> tuple[Chain, Chain]:
    """Register the brain of our template to that of the other."""
    ours = template_brain(1)
    other = masked(load_template(template.image), load_template(template.brain))
    affine = Chain.of(register_linear(ours, other, kind="Affine", seed=seed, folder=scratch))
    aligned = resample(ours, Grid.of(other), affine)
    warp = register_deformable(aligned, other, seed=seed, folder=scratch)
    return (
        Chain.of(warp.moving_from_fixed) + affine,
        affine.inverse() + Chain.of(warp.fixed_from_moving),
    )


def _kept(template: OtherTemplate, scratch: Path) -> tuple[Chain, Chain]:
    """Return the transforms that TemplateFlow has."""
    links = []
    for number, path in enumerate(template.transforms):
        # ITK reads some characters in paths as lists.
        link = scratch / f"{number}{path.suffix}"
        link.symlink_to(path)
        links.append(Chain.of(link))
    return links[0], links[1]


def _shorten(path: Path) -> None:
    """Round a displacement field, to a third of its size: it is in the transforms of everybody."""
    field = load_nifti(path)
    vectors = np.round(field.get_fdata() * STEPS_A_MM) / STEPS_A_MM
    field.header.set_data_dtype(np.float32)
    shorter = nib.Nifti1Image(vectors.astype(np.float32), field.affine, field.header)
    shorter.to_filename(path)


def _require_inverses(template: OtherTemplate, there: Path, back: Path) -> None:
    """Refuse transforms of which one leads the wrong way, as has been seen in TemplateFlow."""
    brain = template_brain_mask(2)
    inside = np.argwhere(np.asanyarray(brain.dataobj) > 0)[::50]
    points = apply_affine(brain.affine, inside)
    returned = move_points(move_points(points, Chain.of(back)), Chain.of(there))
    miss = float(np.median(np.linalg.norm(returned - points, axis=1)))
    if miss > LARGEST_MISS_MM:
        names = " and ".join(path.name for path in template.transforms)
        raise BadTemplateError(
            f"The transforms {names} of TemplateFlow do not undo each other: places in the brain "
            f"return {miss:.1f} mm from where they were. Move both out of {template.image.parent} "
            "and beside, and the templates are registered here instead."
        )
