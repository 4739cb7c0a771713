"""Masks of what was found, where fMRIPrep and QSIPrep look for lesions that others have drawn."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from bids_anomaly import __version__
from bids_anomaly.bids.naming import (
    anat_folder,
    file_name,
    output_path,
    session_entities,
    sidecar_path,
    transform_path,
)
from bids_anomaly.bids.reading import read_object
from bids_anomaly.bids.scans import Scan, Session
from bids_anomaly.bids.writing import write_image, write_text
from bids_anomaly.exceptions import BadScanError, CannotWriteError
from bids_anomaly.preprocessing.images import load_nifti
from bids_anomaly.preprocessing.resample import resample_mask
from bids_anomaly.preprocessing.template import Grid
from bids_anomaly.preprocessing.transforms import Chain

# What these programs register to the template.
REFERENCE = "T1w"
# No file of raw BIDS, so that the validator has to pass over it.
IGNORED = "*lesion_roi.*"
MAKER = "bids-anomaly"
# In the sidecar, so that a mask that somebody has corrected is not written over.
CHECKSUM = "VoxelsSHA256"


def roi_path(folder: Path, session: Session) -> Path:
    """Return where the mask of a session is looked for, in a dataset."""
    ids = session_entities(session.participant, session.session)
    return anat_folder(folder, ids) / file_name({**ids, "label": "lesion"}, "roi")


def write_lesion_roi(
    output_dir: Path, session: Session, folder: Path, *, primary: str | None
) -> Path | None:
    """Write what was found in the scan that leads a session, in the grid of its T1w scan.

    Parameters
    ----------
    output_dir : Path
        With the results of the session in the grids of its scans.
    session : Session
        Raw scans, the reference first.
    folder : Path
        BIDS dataset, or a part of one, that gets the mask: 1 in lesions, 0 elsewhere.
    primary : str or None
        Modality that was asked to lead.

    Returns
    -------
    Path or None
        The mask; None if nothing was found within the T1w scan, and then a mask of an earlier run
        is removed.

    Raises
    ------
    BadScanError
        If there is no T1w scan, or none in whose grid others expect the mask.
    CannotWriteError
        If a mask is there that was not made by this app, or was changed since.
    """
    reference, leading = session.scans[0], session.primary(primary)
    grid = _grid_of_raw(output_dir, session, reference)
    path = roi_path(folder, session)
    if path.exists() and not _is_own(path):
        raise CannotWriteError(
            f"The lesion mask {path} was not made by bids-anomaly, or was changed since, so it "
            "stays as it is. Move it to get another one."
        )
    mask = load_nifti(_output(output_dir, "anomaly", leading))
    if leading is not reference:
        to_reference = transform_path(
            output_dir,
            leading.entities,
            origin=leading.suffix,
            target=reference.suffix,
            extension=".txt",
        )
        mask = resample_mask(mask, Grid.of(grid), Chain.of(to_reference))
    values = (np.asanyarray(mask.dataobj) > 0).astype(np.uint8)
    if not values.any():
        path.unlink(missing_ok=True)
        sidecar_path(path).unlink(missing_ok=True)
        return None
    image = nib.Nifti1Image(values, grid.affine)
    image.set_sform(*grid.header.get_sform(coded=True))
    image.set_qform(*grid.header.get_qform(coded=True))
    image.header.set_xyzt_units("mm", "sec")
    write_image(path, image, {**_sidecar(leading, reference), CHECKSUM: _checksum(values)})
    _ignore(folder)
    return path


def _grid_of_raw(output_dir: Path, session: Session, reference: Scan) -> nib.Nifti1Image:
    """Return the raw T1w scan, if results in its grid are where other programs see them."""
    if reference.suffix != REFERENCE:
        raise BadScanError(
            f"{session.label} has no {REFERENCE} scan, which a lesion mask for fMRIPrep would be "
            "in the grid of."
        )
    if reference.prepared is not None:
        raise BadScanError(
            f"The {REFERENCE} scan of {session.label} is one that {reference.prepared.pipeline} "
            "prepared, and a lesion mask has to be in the grid of the raw scan. Run without "
            "--derivatives."
        )
    raw = load_nifti(reference.path)
    results = load_nifti(_output(output_dir, "anomaly", reference))
    if raw.shape[:3] != results.shape or not np.allclose(raw.affine, results.affine, atol=1e-3):
        raise BadScanError(
            f"The header of {reference.path} is read in another way by other programs, so that a "
            "lesion mask would not lie where they see the lesion. Correct the header."
        )
    return raw


def _output(output_dir: Path, output: str, scan: Scan) -> Path:
    return output_path(output_dir, output, scan.entities, modality=scan.suffix)


def _sidecar(leading: Scan, reference: Scan) -> Mapping[str, object]:
    return {
        "Description": f"What bids-anomaly found in {leading.name}, in the grid of "
        f"{reference.name}: 1 in lesions, 0 elsewhere.",
        "Type": "Lesion",
        "Sources": list(dict.fromkeys([*leading.sources, *reference.sources])),
        "GeneratedBy": [{"Name": MAKER, "Version": __version__}],
    }


def _is_own(path: Path) -> bool:
    """Tell whether a mask was made here, and is as it was made."""
    sidecar = read_object(sidecar_path(path))
    made_by = sidecar.get("GeneratedBy")
    ours = isinstance(made_by, Sequence) and any(
        isinstance(one, Mapping) and one.get("Name") == MAKER for one in made_by
    )
    return ours and sidecar.get(CHECKSUM) == _checksum(np.asanyarray(load_nifti(path).dataobj))


def _checksum(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, dtype=np.uint8).tobytes()).hexdigest()


def _ignore(folder: Path) -> None:
    """Let validators pass over the masks."""
    ignored = folder / ".bidsignore"
    lines = ignored.read_text(encoding="utf-8").splitlines() if ignored.is_file() else []
    if IGNORED not in lines:
        write_text(ignored, "".join(f"{line}\n" for line in [*lines, IGNORED]))
