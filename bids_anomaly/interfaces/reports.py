"""Nipype interface of :mod:`bids_anomaly.reports`."""

from pathlib import Path

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    Directory,
    File,
    InputMultiObject,
    TraitedSpec,
    traits,
)

from bids_anomaly.interfaces.base import StepInterface, load_image
from bids_anomaly.interfaces.records import record_written


class _WriteReportInput(BaseInterfaceInputSpec):
    output_dir = traits.Str(mandatory=True)
    label = traits.Str(mandatory=True, desc="of the session")
    scans = traits.List(traits.Str(), mandatory=True, desc="names, the reference first")
    modalities = traits.List(traits.Str(), mandatory=True)
    bundles = traits.List(Directory(exists=True), mandatory=True, nohash=True)
    bundle_digests = traits.List(traits.Str(), mandatory=True)
    healthy_fpr = traits.Float(mandatory=True)
    min_lesion_volume = traits.Float(mandatory=True)
    scan_from_template = File(exists=True, mandatory=True)
    corrected_list = InputMultiObject(File(exists=True), mandatory=True)
    brain_list = InputMultiObject(File(exists=True), mandatory=True)
    brain_method_list = InputMultiObject(traits.Str(), mandatory=True)
    white_matter_level_list = InputMultiObject(traits.Float(), mandatory=True)
    scan_in_model_grid_list = InputMultiObject(File(exists=True), mandatory=True)
    brain_in_model_grid_list = InputMultiObject(File(exists=True), mandatory=True)
    zscore_list = InputMultiObject(File(exists=True), mandatory=True)
    pseudo_healthy_list = InputMultiObject(
        File(exists=True), desc="of the scans whose model makes one, in their order"
    )
    evaluations_list = InputMultiObject(traits.Int(), mandatory=True)
    lesions = File(exists=True, mandatory=True, desc="table of the combined finding")
    regions = File(exists=True, mandatory=True, desc="table")
    quality = File(exists=True, mandatory=True, desc="table")


class _WriteReportOutput(TraitedSpec):
    written = traits.List(traits.Str())


class WriteReport(StepInterface):
    """Write the report of a session."""

    input_spec = _WriteReportInput
    output_spec = _WriteReportOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.bids.tables import read_table
        from bids_anomaly.reconstruction.bundle import load_bundle
        from bids_anomaly.reports.session import ScanResult, write_session_report

        inputs = self.inputs
        bundles = [load_bundle(Path(path)) for path in inputs.bundles]
        images = iter(inputs.pseudo_healthy_list or ())
        results = [
            ScanResult(
                name=inputs.scans[i],
                bundle=bundle,
                corrected=load_image(inputs.corrected_list[i]),
                brain=load_image(inputs.brain_list[i]),
                brain_method=inputs.brain_method_list[i],
                white_matter_level=inputs.white_matter_level_list[i],
                scan_in_model_grid=load_image(inputs.scan_in_model_grid_list[i]),
                brain_in_model_grid=load_image(inputs.brain_in_model_grid_list[i]),
                zscore=load_image(inputs.zscore_list[i]),
                pseudo_healthy=load_image(next(images)) if bundle.makes_image else None,
                evaluations=inputs.evaluations_list[i],
            )
            for i, bundle in enumerate(bundles)
        ]
        path = write_session_report(
            Path(inputs.output_dir),
            inputs.label,
            results,
            scan_from_template=Path(inputs.scan_from_template),
            healthy_fpr=inputs.healthy_fpr,
            min_lesion_volume=inputs.min_lesion_volume,
            lesions=read_table(Path(inputs.lesions)),
            regions=read_table(Path(inputs.regions)),
            quality=read_table(Path(inputs.quality)),
        )
        return {"written": record_written(folder, [path])}
