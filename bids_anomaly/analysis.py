"""The pipeline as a function of Python: files go in, images and tables come out."""

import subprocess
import sys
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
import pandas as pd

from bids_anomaly.bids.naming import anat_folder, entities_of, session_entities, suffix_of
from bids_anomaly.bids.outputs import OUTPUTS
from bids_anomaly.bids.records import record_of
from bids_anomaly.exceptions import AnalysisError, ExitCode
from bids_anomaly.preprocessing.images import load_nifti

# Of what a run says, enough for the reason why it failed.
LAST_LINES = 5


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What was found in the scans of one person.

    Attributes
    ----------
    images : mapping
        By modality and by what they show, each in the grid of its scan:
        ``images["FLAIR"]["zscore"]``. The names are those of
        :data:`bids_anomaly.bids.outputs.OUTPUTS`: ``pseudohealthy``, ``residual``, ``zscore``,
        ``probability``, ``anomaly`` (the mask), ``lesions``, ``atlas`` and others.
    tables : mapping
        Likewise: ``tables["FLAIR"]["lesions"]`` has a row for each finding,
        ``tables["FLAIR"]["regions"]`` one for each region of the atlas.
    quality : pandas.DataFrame
        Measures of quality of all scans.
    primary : str
        Modality whose scan leads.
    folder : Path or None
        Where the results are kept, with the report; None if they are not.
    """

    images: Mapping[str, Mapping[str, nib.Nifti1Image]]
    tables: Mapping[str, Mapping[str, pd.DataFrame]]
    quality: pd.DataFrame
    primary: str
    folder: Path | None


def analyse(
    scans: Mapping[str, str | PathLike],
    out: str | PathLike | None = None,
    *,
    mask: str | PathLike | None = None,
    participant_label: str = "01",
    session_label: str | None = None,
    work_dir: str | PathLike | None = None,
    options: Sequence[str] = (),
) -> Analysis:
    """Process the scans of one person as ``bids-anomaly run`` does, in processes of its own.

    Parameters
    ----------
    scans : mapping
        NIfTI files by BIDS suffix: ``{"T1w": "T1.nii.gz", "FLAIR": "FLAIR.nii.gz"}``.
    out : path, optional
        Folder of the results. Without, nothing is kept but what is returned.
    mask : path, optional
        Brain mask, NIfTI, in the grid of the T1w scan, or of the only one: 1 in the brain. By
        default the brain is found.
    participant_label : str
        How the person is called in `out`.
    session_label : str, optional
        How the session is called, if the person has several.
    work_dir : path, optional
        Folder of intermediate files, from which a run that is started again goes on: by default
        ``work`` in the current folder, or a temporary one without `out`.
    options : sequence of str
        Of ``bids-anomaly run``, such as ``["--device", "cuda", "--model", "threshold"]``.

    Returns
    -------
    Analysis

    Raises
    ------
    AnalysisError
        If the run failed or was asked for no results, with its exit code and what it said.
    """
    given = [f"--scan={suffix}={path}" for suffix, path in scans.items()]
    if mask is not None:
        given.append(f"--mask={mask}")
    with ExitStack() as stack:
        if out is None:
            temporary = Path(stack.enter_context(TemporaryDirectory(prefix="bids-anomaly-")))
            folder = temporary / "out"
            work_dir = temporary / "work" if work_dir is None else work_dir
        else:
            folder = Path(out)
        if work_dir is not None:
            given.append(f"--work-dir={work_dir}")
        entities = session_entities(
            participant_label.removeprefix("sub-"), (session_label or "").removeprefix("ses-")
        )
        given.append(f"--participant-label={participant_label}")
        if session_label is not None:
            given.append(f"--session-label={session_label}")
        # After "--", as the last option may take any number of values.
        _run(["run", *given, *options, "--", str(folder)])
        return _read(folder, entities, scans, kept=None if out is None else folder)


def _run(arguments: Sequence[str]) -> None:
    """Run the command and pass on what it says while it runs."""
    said: deque[str] = deque(maxlen=LAST_LINES)
    command = [sys.executable, "-m", "bids_anomaly.cli.main", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            print(line, end="", file=sys.stderr, flush=True)
            said.append(line.removeprefix("bids-anomaly: error: "))
    if process.returncode:
        raise AnalysisError("".join(said).strip(), process.returncode)


def _read(
    folder: Path, entities: Mapping[str, str], modalities: Collection[str], *, kept: Path | None
) -> Analysis:
    """Read the results in the grids of the scans."""
    record = record_of(folder, entities)
    if record is None:
        raise AnalysisError(f"The options ask for no results in {folder}.", ExitCode.USAGE)
    images: dict[str, dict[str, nib.Nifti1Image]] = {}
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    for path in sorted(anat_folder(folder, entities).iterdir()):
        if "space" in entities_of(path):
            continue
        for name, output in OUTPUTS.items():
            modality = output.modality_in(entities_of(path), suffix_of(path))
            if modality not in {"", *modalities}:  # of another output, or an earlier run
                continue
            if path.name.endswith(".nii.gz"):
                images.setdefault(modality, {})[name] = _in_memory(path)
            elif path.suffix == ".tsv":
                tables.setdefault(modality, {})[name] = pd.read_csv(path, sep="\t", na_values="n/a")
    return Analysis(
        images=images,
        tables=tables,
        quality=tables.pop("")["quality"],
        primary=record.primary_scan.modality,
        folder=kept,
    )


def _in_memory(path: Path) -> nib.Nifti1Image:
    """Read an image wholly, as its file may not stay."""
    image = load_nifti(path)
    return nib.Nifti1Image(np.asanyarray(image.dataobj), image.affine, image.header)
