"""Chains of transforms between spaces, each transform an ITK file, and points that go through them.

Names such as ``template_from_scan`` read "takes points of the scan to points of the template",
which is what pulls the template onto the grid of the scan.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ants
import numpy as np
import pandas as pd

# ITK counts x and y the other way round than NIfTI: LPS+ instead of RAS+.
LPS = np.array([-1.0, -1.0, 1.0])
_FLIP = np.diag([*LPS, 1.0])


@dataclass(frozen=True)
class Chain:
    """Transforms that lead from the space of a result to the space of an image, one by one.

    Attributes
    ----------
    links : tuple of (Path, bool)
        Matrices, displacement fields or composites, and whether each is used inverted, which only
        matrices can be. They are in the order of antsApplyTransforms: the first one leads away
        from the result, and acts on an image last.

    Examples
    --------
    >>> template_from_scan = Chain.of("warp.nii.gz", "affine.mat")
    >>> scan_from_flair = Chain.of("rigid.mat")
    >>> template_from_flair = template_from_scan + scan_from_flair
    >>> [path.name for path, _ in template_from_flair.links]
    ['warp.nii.gz', 'affine.mat', 'rigid.mat']
    >>> [(path.name, inverted) for path, inverted in Chain.of("affine.mat").inverse().links]
    [('affine.mat', True)]
    """

    links: tuple[tuple[Path, bool], ...] = ()

    @classmethod
    def of(cls, *paths: Path | str) -> "Chain":
        """Return a chain of transforms of which none is inverted."""
        return cls(tuple((Path(path), False) for path in paths))

    def inverse(self) -> "Chain":
        """Return the chain that leads back; only of matrices."""
        return Chain(tuple((path, not inverted) for path, inverted in reversed(self.links)))

    def __add__(self, onward: "Chain") -> "Chain":
        """Return the chain that goes on where this one ends."""
        return Chain(self.links + onward.links)

    @property
    def for_ants(self) -> dict[str, Any]:
        """The arguments of ANTsPy: always explicit, since it else inverts some matrices."""
        return {
            "transformlist": [str(path) for path, _ in self.links],
            "whichtoinvert": [inverted for _, inverted in self.links],
        }


# The space of the result is that of the image.
SAME_SPACE = Chain()


def move_points(points: np.ndarray, chain: Chain) -> np.ndarray:
    """Return where points lie in the space that a chain of transforms leads to.

    Parameters
    ----------
    points : (N, 3) array
        In mm, RAS+.
    chain : Chain
        What pulls images of another space onto the space of `points` takes the points to that
        other space.

    Returns
    -------
    (N, 3) array
        In mm, RAS+.
    """
    if len(points) == 0 or not chain.links:
        return np.array(points, dtype=float).reshape(-1, 3)
    columns = list("xyz")
    moved = ants.apply_transforms_to_points(
        3, pd.DataFrame(points * LPS, columns=columns), **chain.for_ants
    )
    return moved[columns].to_numpy(dtype=float) * LPS


def write_matrix(path: Path, matrix: np.ndarray) -> None:
    """Write a transform of points (mm, RAS+) as an ITK file.

    Parameters
    ----------
    path : Path
        Ends in ``.mat`` (which ANTs can invert on the fly) or ``.txt``.
    matrix : (4, 4) array
        It takes points of the grid that an image is resampled onto to points of that image.
    """
    lps = _FLIP @ matrix @ _FLIP
    transform = ants.create_ants_transform(
        transform_type="AffineTransform",
        precision="double",
        matrix=lps[:3, :3],
        translation=lps[:3, 3].tolist(),
        center=(0.0, 0.0, 0.0),
    )
    ants.write_transform(transform, str(path))


def read_matrix(path: Path) -> np.ndarray:
    """Read a linear transform of an ITK file, of any kind, as (4, 4) in mm of RAS+."""
    transform = ants.read_transform(str(path))
    origin = np.array(transform.apply_to_point([0.0, 0.0, 0.0]))
    # Far points keep the precision of directions, whatever ITK rounds to.
    axes = [np.array(transform.apply_to_point(list(100.0 * axis))) for axis in np.eye(3)]
    lps = np.eye(4)
    lps[:3, :3] = (np.array(axes) - origin).T / 100
    lps[:3, 3] = origin
    return _FLIP @ lps @ _FLIP
