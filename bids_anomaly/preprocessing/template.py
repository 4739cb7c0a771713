"""The template brain, its tissue maps, and the grid in which models work.

The template is the ICBM 2009a symmetric brain that nilearn carries in its wheel, so that no
download is needed (Fonov et al. 2011, doi 10.1016/j.neuroimage.2010.07.033).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nilearn.datasets import (
    load_mni152_brain_mask,
    load_mni152_gm_template,
    load_mni152_template,
    load_mni152_wm_template,
)
from scipy import ndimage

from bids_anomaly.settings import TEMPLATE as TEMPLATE

# Files round their affines: grids that differ by less, in voxels, are the same.
SAME_VOXEL = 0.0101


class Grid(NamedTuple):
    """A regular grid of voxels: its shape, and the affine from voxel indices to mm in RAS+.

    Examples
    --------
    >>> grid = Grid.isotropic((91, 109, 91), origin=(-90, -126, -72), spacing=2)
    >>> grid.voxel_volume, grid.affine[:3, 3].tolist()
    (8.0, [-90.0, -126.0, -72.0])
    >>> Grid.described(grid.description).shape
    (91, 109, 91)
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    @classmethod
    def of(cls, image: nib.Nifti1Image) -> "Grid":
        """Return the grid of an image."""
        x, y, z = image.shape[:3]
        return cls((x, y, z), image.affine)

    @classmethod
    def isotropic(
        cls, shape: tuple[int, int, int], origin: tuple[float, float, float], spacing: float
    ) -> "Grid":
        """Return a grid with axes along RAS+; `origin` and `spacing` in mm."""
        affine = np.diag([spacing, spacing, spacing, 1.0])
        affine[:3, 3] = origin
        x, y, z = shape
        return cls((x, y, z), affine)

    @classmethod
    def described(cls, description: Mapping[str, Any]) -> "Grid":
        """Return the grid of a ``shape``, an ``origin`` and a ``spacing``, as in a bundle."""
        return cls.isotropic(
            description["shape"], description["origin"], float(description["spacing"])
        )

    @property
    def description(self) -> dict[str, Any]:
        """What bundles and nodes say of the grid of a model; :meth:`described` reads it."""
        return {
            "template": TEMPLATE,
            "shape": list(self.shape),
            "origin": [float(value) for value in self.affine[:3, 3]],
            "spacing": float(self.spacing[0]),
        }

    @property
    def spacing(self) -> np.ndarray:
        """Voxel sizes in mm."""
        return voxel_sizes(self.affine)

    @property
    def voxel_volume(self) -> float:
        """Volume of a voxel in mm3, to six digits.

        Files hold affines in single precision; 7.9999998 mm3 would take a voxel more to reach a
        least volume than 8 mm3 do.
        """
        return float(f"{self.spacing.prod():.6g}")

    @property
    def resolution(self) -> str:
        """In words, as sidecars say it; for isotropic grids."""
        return f"{self.spacing[0]:.3g} mm isotropic"

    def image(self, values: np.ndarray) -> nib.Nifti1Image:
        """Return an image of `values` in this grid, with its orientation in sform and qform."""
        image = nib.Nifti1Image(values, self.affine)
        image.header.set_xyzt_units("mm", "sec")
        image.set_qform(self.affine, 1)
        image.set_sform(self.affine, 1)
        return image


def parted(grid: Grid, parts: int) -> Grid:
    """Return the grid whose voxels are those of another, each side cut into so many parts."""
    affine = grid.affine.astype(float)
    affine[:3, :3] /= parts
    affine[:3, 3] -= affine[:3, :3].sum(axis=1) * (parts - 1) / 2
    x, y, z = grid.shape
    return Grid((parts * x, parts * y, parts * z), affine)


def same_grid(one: Grid, other: Grid) -> bool:
    """Tell whether the voxels of two grids are the same, up to a hundredth of a voxel."""
    return one.shape == other.shape and voxels_apart(one, other) <= SAME_VOXEL


def voxels_apart(one: Grid, other: Grid) -> float:
    """Return how far two grids of one shape are apart at most, in voxels of the first."""
    return corner_shift(np.eye(4), np.linalg.inv(one.affine) @ other.affine, one.shape)


def corner_shift(one: np.ndarray, other: np.ndarray, shape: tuple[int, ...]) -> float:
    """Return by how much two affines differ at most within a field of view, in their units."""
    corners = np.array([*product(*((0, length - 1) for length in shape[:3]))])
    apply = nib.affines.apply_affine
    return float(np.linalg.norm(apply(one, corners) - apply(other, corners), axis=1).max())


# Holds the whole template brain with 6 mm to spare at the sides. The origin is such that flipping
# the first axis mirrors the brain at the midline, and every axis halves four times.
MODEL_GRID_2MM = Grid.isotropic((80, 96, 80), (-79.0, -112.0, -75.0), 2.0)

# The grid of outputs in template space: that of nilearn's template at 2 mm.
OUTPUT_GRID = Grid.isotropic((99, 117, 95), (-98.0, -134.0, -72.0), 2.0)


@dataclass(frozen=True)
class TemplateSpace:
    """A grid in a template that results are brought to, and the way there from our own template.

    It has no arrays, so that Nipype, which knows the inputs of a step by their text, sees every
    number.

    Attributes
    ----------
    shape : tuple of int
    affine : tuple of tuple of float
        Rows of the affine from voxel indices to mm in RAS+.
    template_from_space : tuple of Path
        Displacement fields that take points of this space to points of our template, and so pull
        images of our template onto this grid. None for our template itself.
    space_from_template : tuple of Path
        And back.
    """

    shape: tuple[int, int, int]
    affine: tuple[tuple[float, ...], ...]
    template_from_space: tuple[Path, ...] = ()
    space_from_template: tuple[Path, ...] = ()

    @classmethod
    def of(cls, grid: Grid, *, there: Path | None = None, back: Path | None = None):
        """Return the space of a grid, with `there` to our template and `back` from it."""
        rows = tuple(tuple(map(float, row)) for row in grid.affine)
        x, y, z = map(int, grid.shape)
        return cls((x, y, z), rows, *((path,) if path else () for path in (there, back)))

    @property
    def grid(self) -> Grid:
        """The grid."""
        return Grid(self.shape, np.array(self.affine))


OUTPUT_SPACE = TemplateSpace.of(OUTPUT_GRID)


@cache
def template_brain(resolution: int) -> nib.Nifti1Image:
    """Return the skull-stripped T1w template at `resolution` mm (integer), intensities 0 to 1."""
    return _as_float32(load_mni152_template(resolution=resolution))


@cache
def template_brain_mask(resolution: int) -> nib.Nifti1Image:
    """Return the brain mask of the template at `resolution` mm, uint8."""
    image = load_mni152_brain_mask(resolution=resolution)
    return Grid.of(image).image((np.asanyarray(image.dataobj) > 0).astype(np.uint8))


@cache
def template_grey_matter(resolution: int) -> nib.Nifti1Image:
    """Return the probability of grey matter in the template at `resolution` mm."""
    return _as_float32(load_mni152_gm_template(resolution=resolution))


@cache
def template_white_matter(resolution: int) -> nib.Nifti1Image:
    """Return the probability of white matter in the template at `resolution` mm."""
    return _as_float32(load_mni152_wm_template(resolution=resolution))


@cache
def template_tissues(resolution: int) -> tuple[nib.Nifti1Image, ...]:
    """Return the probabilities of CSF, grey and white matter at `resolution` mm.

    Everything else counts as CSF, outside the brain too.
    """
    white = np.clip(template_white_matter(resolution).get_fdata(dtype=np.float32), 0, 1)
    grey = template_grey_matter(resolution).get_fdata(dtype=np.float32)
    grey = np.clip(grey, 0, 1 - white)
    grid = Grid.of(template_white_matter(resolution))
    return tuple(grid.image(tissue) for tissue in (1 - grey - white, grey, white))


@cache
def template_depth(resolution: int) -> nib.Nifti1Image:
    """Return the distance to the surface of the template brain in mm, 0 outside."""
    brain = template_brain_mask(resolution)
    inside = np.asanyarray(brain.dataobj) > 0
    depth = ndimage.distance_transform_edt(inside, sampling=resolution)
    return Grid.of(brain).image(depth.astype(np.float32))


def _as_float32(image: nib.Nifti1Image) -> nib.Nifti1Image:
    return Grid.of(image).image(image.get_fdata(dtype=np.float32))
