"""Gather the results of a session into its report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from bids_anomaly import __version__
from bids_anomaly.preprocessing.resample import resample, resample_mask
from bids_anomaly.preprocessing.template import MODEL_GRID_2MM, Grid, template_brain
from bids_anomaly.reconstruction.bundle import Bundle
from bids_anomaly.reports.participant import Failure, ScanReport, write_participant_report
from bids_anomaly.reports.tables import (
    Row,
    lesion_table,
    quality_table,
    quality_warnings,
    region_table,
)
from bids_anomaly.reports.text import methods_text, model_warnings, references
from bids_anomaly.scoring.calibration import healthy_exceedance
from bids_anomaly.scoring.findings import anomaly_mask, anomaly_probability


@dataclass(frozen=True)
class ScanResult:
    """What the pipeline made of one scan.

    Attributes
    ----------
    name : str
        File name of the scan without extension.
    bundle : Bundle
        Its model.
    corrected, brain : nibabel.Nifti1Image
        Bias-corrected scan and brain mask, native space.
    brain_method : str
        How the brain was found.
    white_matter_level : float
        What `corrected` has to be divided by.
    scan_in_model_grid, brain_in_model_grid, zscore : nibabel.Nifti1Image
        In the model grid.
    pseudo_healthy : nibabel.Nifti1Image or None
        In the model grid; None where the method makes no image.
    evaluations : int
        Network evaluations of a slice or volume.
    """

    name: str
    bundle: Bundle
    corrected: nib.Nifti1Image
    brain: nib.Nifti1Image
    brain_method: str
    white_matter_level: float
    scan_in_model_grid: nib.Nifti1Image
    brain_in_model_grid: nib.Nifti1Image
    zscore: nib.Nifti1Image
    pseudo_healthy: nib.Nifti1Image | None
    evaluations: int


def write_session_report(
    output_dir: Path,
    label: str,
    results: Sequence[ScanResult],
    *,
    scan_from_template: Path,
    healthy_fpr: float,
    min_lesion_volume: float,
    lesions: Sequence[Row],
    regions: Sequence[Row],
    quality: Sequence[Row],
) -> Path:
    """Write the report of a session and return its path.

    Parameters
    ----------
    output_dir : Path
        Derivative dataset.
    label : str
        ``sub-01`` or ``sub-01_ses-1``.
    results : sequence of ScanResult
        The reference scan first.
    scan_from_template : Path
        Displacement field that pulls the model grid onto the template.
    healthy_fpr, min_lesion_volume : float
        Nominal false positive rate, and mm3.
    lesions, regions, quality : sequences of mappings
        Rows of the tables of the session, as text by column.
    """
    path = output_dir / f"{label}.html"
    scans = [
        _scan_report(
            result,
            scan_from_template,
            healthy_fpr=healthy_fpr,
            min_lesion_volume=min_lesion_volume,
        )
        for result in results
    ]
    bundles = [result.bundle for result in results]
    write_participant_report(
        path,
        title=label,
        summary={
            scan.modality: f"{scan.numbers['Volume of anomalies']} in "
            + _places(scan.numbers["Number of anomalies"])
            for scan in scans
        },
        scans=scans,
        methods=methods_text(
            bundles,
            [result.brain_method for result in results],
            healthy_fpr=healthy_fpr,
            min_lesion_volume=min_lesion_volume,
        ),
        references=references(),
        failures=[],
        provenance={
            "bids-anomaly": __version__,
            **{
                f"Model {bundle.name}": f"{bundle.version}, sha256 {bundle.digest()[:16]}"
                for bundle in bundles
            },
        },
        warnings=[*quality_warnings(quality), *model_warnings(bundles)],
        tables=[lesion_table(lesions), region_table(regions), quality_table(quality)],
    )
    return path


def write_failure_report(output_dir: Path, label: str, failures: Sequence[Failure]) -> Path:
    """Write the report of a session of which steps failed, and return its path."""
    path = output_dir / f"{label}.html"
    write_participant_report(
        path,
        title=label,
        summary={},
        scans=[],
        methods=[],
        references=references(),
        failures=failures,
        provenance={"bids-anomaly": __version__},
        warnings=[],
    )
    return path


def _scan_report(
    result: ScanResult, scan_from_template: Path, *, healthy_fpr: float, min_lesion_volume: float
) -> ScanReport:
    """Count anomalies, and bring the maps of a scan onto the template, where readers know them."""
    zscore = result.zscore.get_fdata(dtype=np.float32)
    brain = _as_bool(result.brain_in_model_grid)
    # The model grid makes all brains about as large; volumes are those of the person.
    brain_mm3 = _as_bool(result.brain).sum() * float(Grid.of(result.brain).spacing.prod())
    voxel_mm3 = brain_mm3 / max(brain.sum(), 1)
    mask = anomaly_mask(
        anomaly_probability(healthy_exceedance(zscore), healthy_fpr),
        brain,
        min_volume=min_lesion_volume,
        voxel_volume=voxel_mm3,
    )
    _, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    share = mask.sum() / max(brain.sum(), 1)
    numbers = {
        "Volume of anomalies": f"{mask.sum() * voxel_mm3 / 1000:.2f} ml",
        "Number of anomalies": str(count),
        "Anomalous share of the brain": f"{100 * share:.2f} %",
        "Highest z": f"{zscore[brain].max(initial=0):.1f}",
        "Nominal false positive rate": f"{100 * healthy_fpr:g} %",
        "Brain volume": f"{brain_mm3 / 1000:.0f} ml",
        "Brain extraction": result.brain_method,
        "White matter level": f"{result.white_matter_level:.4g}",
        "Network evaluations": str(result.evaluations),
    }

    def warped_mask(image: nib.Nifti1Image) -> np.ndarray:
        return _as_bool(resample_mask(image, MODEL_GRID_2MM, [scan_from_template]))

    in_template = warped_mask(result.brain_in_model_grid)

    def warped(image: nib.Nifti1Image) -> np.ndarray:
        moved = resample(image, MODEL_GRID_2MM, [scan_from_template])
        return moved.get_fdata(dtype=np.float32) * in_template

    scan = warped(result.scan_in_model_grid)
    pseudo_healthy = None
    if result.pseudo_healthy is not None:
        pseudo_healthy = warped(result.pseudo_healthy)
    return ScanReport(
        name=result.name,
        modality=result.bundle.modality,
        model=f"{result.bundle.name} {result.bundle.version}",
        affine=MODEL_GRID_2MM.affine,
        scan=scan,
        brain=in_template,
        template=resample(template_brain(1), MODEL_GRID_2MM).get_fdata(dtype=np.float32),
        pseudo_healthy=pseudo_healthy,
        residual=None if pseudo_healthy is None else scan - pseudo_healthy,
        zscore=warped(result.zscore),
        mask=warped_mask(Grid.of(result.zscore).image(mask.astype(np.uint8))),
        native_scan=result.corrected,
        native_brain=result.brain,
        numbers=numbers,
    )


def _as_bool(mask: nib.Nifti1Image) -> np.ndarray:
    return np.asanyarray(mask.dataobj) > 0


def _places(count: str) -> str:
    return f"{count} place" if count == "1" else f"{count} places"
