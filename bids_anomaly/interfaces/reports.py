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

from bids_anomaly.interfaces.base import StepInterface
from bids_anomaly.interfaces.records import record_written
from bids_anomaly.scoring.findings import Threshold


class _WriteReportInput(BaseInterfaceInputSpec):
    output_dir = traits.Str(mandatory=True)
    label = traits.Str(mandatory=True, desc="of the session")
    scans = traits.List(traits.Str(), mandatory=True, desc="names, the reference first")
    primary = traits.Str(mandatory=True, desc="name of the scan that leads")
    asked_for = traits.Either(None, traits.Str(), desc="modality that was to lead")
    entities = traits.List(traits.Dict(), mandatory=True, desc="of each scan")
    bundles = traits.List(Directory(exists=True), mandatory=True, nohash=True)
    bundle_digests = traits.List(traits.Str(), mandatory=True)
    steps = traits.Either(None, traits.Int(), desc="that were asked for")
    spaces = traits.List(traits.Str(), mandatory=True, desc="in which maps were written")
    threshold = traits.Instance(Threshold, mandatory=True)
    brain_method_list = InputMultiObject(traits.Str(), mandatory=True)
    white_matter_level_list = InputMultiObject(traits.Float(), mandatory=True)
    remarks_list = InputMultiObject(traits.Str(), mandatory=True)
    evaluations_list = InputMultiObject(traits.Int(), mandatory=True)
    derivatives = InputMultiObject(
        File(exists=True), mandatory=True, desc="what was written of the session: the report waits"
    )


class _WriteReportOutput(TraitedSpec):
    written = traits.List(traits.Str())


class WriteReport(StepInterface):
    """Write the report of a session, and what it takes to write it again."""

    input_spec = _WriteReportInput
    output_spec = _WriteReportOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly import __version__
        from bids_anomaly.bids.records import ScanRecord, SessionRecord
        from bids_anomaly.reconstruction.bundle import load_bundle
        from bids_anomaly.reports.session import write_session_report
        from bids_anomaly.reports.text import methods_text, model_warnings

        inputs = self.inputs
        bundles = [load_bundle(Path(path)) for path in inputs.bundles]
        scans = [
            ScanRecord(
                name=inputs.scans[i],
                modality=bundle.modality,
                entities=dict(inputs.entities[i]),
                model=f"{bundle.name} {bundle.version}",
                digest=inputs.bundle_digests[i],
                calibration=bundle.calibrated_on,
                makes_image=bundle.makes_image,
                brain_extraction=inputs.brain_method_list[i],
                white_matter_level=inputs.white_matter_level_list[i],
                evaluations=inputs.evaluations_list[i],
                steps=bundle.steps_taken(inputs.steps),
                method=bundle.method,
            )
            for i, bundle in enumerate(bundles)
        ]
        record = SessionRecord(
            label=inputs.label,
            version=__version__,
            scans=tuple(scans),
            primary=inputs.primary,
            asked_for=inputs.asked_for,
            spaces=tuple(inputs.spaces),
            methods=tuple(
                methods_text(
                    bundles,
                    inputs.brain_method_list,
                    steps=inputs.steps,
                    threshold=inputs.threshold,
                    spaces=inputs.spaces,
                )
            ),
            warnings=(
                *(line for remarks in inputs.remarks_list for line in remarks.splitlines()),
                *model_warnings(bundles, steps=inputs.steps),
            ),
            threshold=inputs.threshold,
        )
        output_dir = Path(inputs.output_dir)
        written = [record.write(output_dir), write_session_report(output_dir, record)]
        return {"written": record_written(folder, written)}
