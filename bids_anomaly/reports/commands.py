"""Commands that open the maps of a session in programs that readers have."""

from pathlib import Path

from bids_anomaly.bids.naming import output_path
from bids_anomaly.bids.records import SessionRecord
from bids_anomaly.preprocessing.template import TEMPLATE

# How far above the threshold colours go on, in standard deviations.
RANGE = 3.0
# By the ending of a label table, how its program is given it.
OPTIONS = {".lut": " --lut ", ".ctab": ":lut=", ".txt": " -l "}


def viewer_commands(output_dir: Path, record: SessionRecord) -> dict[str, str]:
    """Return a command for each program, of the scan that leads.

    Parameters
    ----------
    output_dir : Path
        Derivative dataset.
    record : SessionRecord
        Of the session.

    Returns
    -------
    dict
        By the name of the program; with paths from the folder of the report, and of files that are
        there.
    """
    scan = record.primary_scan
    space = None if "native" in record.spaces else TEMPLATE

    def found(output: str, extension: str = ".nii.gz") -> str | None:
        path = output_path(
            output_dir,
            output,
            scan.entities,
            modality=scan.modality,
            space=space,
            extension=extension,
        )
        is_there = path.is_file() and path.stat().st_size > 0
        return path.relative_to(output_dir).as_posix() if is_there else None

    image, zscore, lesions = map(found, ("preproc", "zscore", "lesions"))
    if image is None:
        return {}
    lowest = record.threshold.z
    low, middle, high = (f"{lowest + step:.2f}" for step in (0, RANGE / 2, RANGE))
    fsleyes, freeview, itksnap = f"fsleyes {image}", f"freeview -v {image}", f"itksnap -g {image}"
    if zscore:
        fsleyes += f" {zscore} --cmap hot --displayRange {low} {high}"
        freeview += f" {zscore}:colormap=heat:heatscale={low},{middle},{high}"
        itksnap += f" -o {zscore}"
    if lesions:
        tables = {end: found("lesions", end) for end in OPTIONS}
        by = {end: OPTIONS[end] + table if table else "" for end, table in tables.items()}
        fsleyes += f" {lesions} --overlayType label{by['.lut']}"
        freeview += f" {lesions}:colormap=lut{by['.ctab']}"
        itksnap += f" -s {lesions}{by['.txt']}"
    return {"FSLeyes": fsleyes, "freeview": freeview, "ITK-SNAP": itksnap}
