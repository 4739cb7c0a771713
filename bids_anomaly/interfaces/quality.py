"""Nipype interfaces that judge scans before models see them."""

import json
from pathlib import Path

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    InputMultiObject,
    TraitedSpec,
    traits,
)

from bids_anomaly.exceptions import QualityError
from bids_anomaly.interfaces.base import StepInterface
from bids_anomaly.interfaces.derivatives import WriteInput, WriteOutput, write_described_table
from bids_anomaly.interfaces.records import record_warnings, record_written
from bids_anomaly.preprocessing.images import load_nifti


class _MeasureQualityInput(BaseInterfaceInputSpec):
    scan = File(exists=True, mandatory=True, desc="reoriented")
    brain = File(exists=True, mandatory=True, desc="native")
    scan_in_model_grid = File(exists=True, mandatory=True)
    brain_in_model_grid = File(exists=True, mandatory=True)
    white_matter_level = traits.Float(mandatory=True)
    name = traits.Str(mandatory=True, desc="of the scan")
    modality = traits.Str(mandatory=True)


class _MeasureQualityOutput(TraitedSpec):
    quality = File(exists=True, desc="measures by name, JSON")


class MeasureQuality(StepInterface):
    """Measure the quality of a scan, and warn where it is not that of good ones."""

    input_spec = _MeasureQualityInput
    output_spec = _MeasureQualityOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.scoring.quality import measure_quality
        from bids_anomaly.scoring.quality_limits import check_quality, describe_flags

        inputs = self.inputs
        measures = measure_quality(
            load_nifti(inputs.scan),
            load_nifti(inputs.brain),
            scan_in_model_grid=load_nifti(inputs.scan_in_model_grid),
            brain_in_model_grid=load_nifti(inputs.brain_in_model_grid),
            white_matter_level=inputs.white_matter_level,
        )
        checks = check_quality(measures, inputs.modality)
        record_warnings(folder, describe_flags(checks, name=inputs.name, modality=inputs.modality))
        path = folder / "quality.json"
        path.write_text(json.dumps(measures))
        return {"quality": str(path)}


class _RequireQualityInput(BaseInterfaceInputSpec):
    strict = traits.Bool(mandatory=True, desc="whether every measure has to be that of good scans")
    scan = File(exists=True, mandatory=True, desc="in the model grid")
    quality = File(exists=True, mandatory=True)
    name = traits.Str(mandatory=True, desc="of the scan")
    modality = traits.Str(mandatory=True)


class _RequireQualityOutput(TraitedSpec):
    scan = File(exists=True, desc="as it came")


class RequireQuality(StepInterface):
    """Let a scan through to the model only if it fits the template and, if strict, is good."""

    input_spec = _RequireQualityInput
    output_spec = _RequireQualityOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.scoring.quality_limits import describe_flags, describe_misfit

        inputs = self.inputs
        checks = _checked(inputs.quality, inputs.modality)
        misfit = describe_misfit(checks, name=inputs.name, modality=inputs.modality)
        if misfit:
            raise QualityError(misfit)
        if not inputs.strict:
            return {"scan": inputs.scan}
        flags = describe_flags(checks, name=inputs.name, modality=inputs.modality)
        if flags:
            raise QualityError(
                f"{' '.join(flags)} Leave the scan out with --bids-filter-file, or go on without "
                "--strict."
            )
        return {"scan": inputs.scan}


class _WriteQualityInput(WriteInput):
    qualities = InputMultiObject(File(exists=True), mandatory=True)
    scans = traits.List(traits.Str(), mandatory=True, desc="their names, in their order")


class _WriteQualityOutput(WriteOutput):
    table = File(exists=True)


class WriteQuality(StepInterface):
    """Write the quality of all scans of a session as one table."""

    input_spec = _WriteQualityInput
    output_spec = _WriteQualityOutput

    def _step(self, folder: Path) -> dict:
        inputs = self.inputs
        rows = [
            (scan, *check, check.flagged)
            for scan, path in zip(inputs.scans, inputs.qualities, strict=True)
            for check in _checked(path, scan.rpartition("_")[2])
        ]
        table = write_described_table(inputs, "quality", rows)
        return {"table": str(table), "written": record_written(folder, [table])}


def _checked(quality: str, modality: str) -> list:
    """Compare the measures in a file of `MeasureQuality` with those of good scans."""
    from bids_anomaly.scoring.quality_limits import check_quality

    return check_quality(json.loads(Path(quality).read_text()), modality)
