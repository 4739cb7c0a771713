"""Read the maps of a scan from the derivatives, into one grid with axes along RAS+."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spaces import vox2out_vox

from bids_anomaly.bids.naming import output_path, transform_path
from bids_anomaly.bids.records import ScanRecord
from bids_anomaly.exceptions import BadScanError, MissingInputError
from bids_anomaly.preprocessing.atlas import output_labels
from bids_anomaly.preprocessing.images import UNREADABLE, load_nifti
from bids_anomaly.preprocessing.resample import resample, resample_mask
from bids_anomaly.preprocessing.template import (
    OUTPUT_GRID,
    TEMPLATE,
    Grid,
    parted,
    template_brain,
)
from bids_anomaly.preprocessing.transforms import SAME_SPACE, Chain
from bids_anomaly.reports.scan import ScanReport

NATIVE = "native"
# The maps of scans without a template are shown at this size of voxels, whatever theirs is.
NATIVE_SPACING_MM = 2.0
# A scan itself is shown in voxels of half that side where one of its own is no longer than this.
FINER, FINEST_OWN_MM = 2, 1.5


def read_scan(
    output_dir: Path,
    scan: ScanRecord,
    *,
    reference: ScanRecord,
    spaces: tuple[str, ...],
    said: Mapping[str, Any],
) -> ScanReport:
    """Read what was made of a scan: in the template where that was written, else as acquired.

    Parameters
    ----------
    output_dir : Path
        Derivative dataset.
    scan : ScanRecord
        Which scan.
    reference : ScanRecord
        The scan of the session through which it reaches the template.
    spaces : tuple of str
        In which maps were written.
    said : mapping
        What is said of it, by the other fields of :class:`ScanReport`.

    Raises
    ------
    MissingInputError, BadScanError
        If a map is not there, or broken.
    """

    def path_of(output: str, space: str) -> Path:
        return output_path(
            output_dir,
            output,
            scan.entities,
            modality=scan.modality,
            space=None if space == NATIVE else space,
        )

    def load(output: str, space: str) -> nib.Nifti1Image:
        return load_map(path_of(output, space))

    in_template = TEMPLATE in spaces
    space = TEMPLATE if in_template else NATIVE
    brain = load("brain", space)
    if not in_template:
        shown = Grid(*vox2out_vox(brain, (NATIVE_SPACING_MM,) * 3))
        brain = resample_mask(brain, shown)
    grid = Grid.of(brain)
    inside = np.asanyarray(brain.dataobj) > 0

    def values(output: str) -> np.ndarray:
        image = load(output, space)
        if not in_template:
            image = resample(image, grid)
        return image.get_fdata(dtype=np.float32) * inside

    native = {}
    if NATIVE in spaces:
        head, mask = (load(output, NATIVE) for output in ("preproc", "brain"))
        native = {
            "native_scan": nib.as_closest_canonical(head),
            "native_brain": nib.as_closest_canonical(mask),
        }
        chain = _from_template(output_dir, scan, reference) if in_template else SAME_SPACE
        if chain is not None and Grid.of(head).spacing.min() <= FINEST_OWN_MM:
            native["finer_scan"] = _finer(head, mask, grid, chain)
    return ScanReport(
        name=scan.name,
        modality=scan.modality,
        model=scan.model,
        affine=grid.affine,
        scan=values("preproc"),
        brain=inside,
        template=_template() if in_template else None,
        labels=output_labels() * inside if in_template else None,
        pseudo_healthy=values("pseudohealthy") if scan.makes_image else None,
        residual=values("residual") if scan.makes_image else None,
        # Not every method has one.
        network=values("network") if path_of("network", space).exists() else None,
        zscore=values("zscore"),
        mask=values("anomaly") > 0.5,
        **native,
        **said,
    )


def _from_template(output_dir: Path, scan: ScanRecord, reference: ScanRecord) -> Chain | None:
    """Return the transforms that pull a scan onto the template, if they are there."""
    paths = [
        transform_path(
            output_dir,
            reference.entities,
            origin=reference.modality,
            target=TEMPLATE,
            extension=".h5",
        )
    ]
    if scan.name != reference.name:
        paths.append(
            transform_path(
                output_dir,
                scan.entities,
                origin=scan.modality,
                target=reference.modality,
                extension=".txt",
            )
        )
    return Chain.of(*paths) if all(path.is_file() for path in paths) else None


def _finer(head: nib.Nifti1Image, brain: nib.Nifti1Image, grid: Grid, chain: Chain) -> np.ndarray:
    """Return the brain of a scan in voxels that are parts of those of a grid."""
    inside = head.get_fdata(dtype=np.float32) * (np.asanyarray(brain.dataobj) > 0)
    onto = parted(grid, FINER)
    return resample(Grid.of(head).image(inside), onto, chain).get_fdata(dtype=np.float32)


def load_map(path: Path) -> nib.Nifti1Image:
    """Read an image that a report shows, to its end.

    Raises
    ------
    MissingInputError
        If it is not there.
    BadScanError
        If it is broken.
    """
    with reading(path):
        image = load_nifti(path)
        return nib.Nifti1Image(np.asanyarray(image.dataobj), image.affine, image.header)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say what to do where a file that a report shows is not there, or broken.

    Raises
    ------
    MissingInputError
        If it is not there.
    BadScanError
        If reading it fails.
    """
    advice = "Run the participant level again without --reports-only."
    if not path.is_file():
        raise MissingInputError(f"The report shows {path}, which does not exist. {advice}")
    try:
        yield
    except UNREADABLE as error:
        raise BadScanError(
            f"The report shows {path}, which cannot be read ({error}). {advice}"
        ) from error


@cache
def _template() -> np.ndarray:
    return resample(template_brain(1), OUTPUT_GRID).get_fdata(dtype=np.float32)
