"""Nipype interfaces that read what another pipeline has prepared of a scan.

Files outside the work folder are named by path and fingerprint, since Nipype would read all of a
file to hash it, and a transform can have 100 MB.
"""

from pathlib import Path

from nipype.interfaces.base import BaseInterfaceInputSpec, File, traits

from bids_anomaly.interfaces.base import StepInterface
from bids_anomaly.interfaces.preprocessing import BrainOutput, DeformationOutput, save_brain
from bids_anomaly.preprocessing.images import load_nifti


class _ReadInput(BaseInterfaceInputSpec):
    scan = File(exists=True, mandatory=True, desc="reoriented scan")
    in_file = traits.Str(mandatory=True, hash_files=False, desc="brain of others")
    fingerprint = traits.Str(mandatory=True, desc="changes when the file does")
    pipeline = traits.Str(mandatory=True, desc="what made it, and what else is taken")


class _ReadBrainInput(_ReadInput):
    is_prepared = traits.Bool(mandatory=True, desc="whether it prepared the scan too")


class ReadBrain(StepInterface):
    """Read the brain mask that others made of a scan."""

    input_spec = _ReadBrainInput
    output_spec = BrainOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.brain import read_mask
        from bids_anomaly.preprocessing.reorient import reorient_labels

        inputs = self.inputs
        found = read_mask(
            load_nifti(inputs.scan),
            reorient_labels(Path(inputs.in_file)),
            pipeline=inputs.pipeline,
            is_prepared=inputs.is_prepared,
        )
        return save_brain(found, folder)


class _ReadSegmentationInput(_ReadInput):
    above = traits.Int(mandatory=True, desc="values above it are brain")
    picture = traits.Str(hash_files=False, desc="the scan as it was segmented, if it is there")


class ReadSegmentation(StepInterface):
    """Take the brain of a scan from what FreeSurfer or FastSurfer have segmented in it."""

    input_spec = _ReadSegmentationInput
    output_spec = BrainOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.segmentation import load_mgh, segmented_mask

        inputs = self.inputs
        found = segmented_mask(
            load_nifti(inputs.scan),
            load_mgh(Path(inputs.in_file)),
            load_mgh(Path(inputs.picture)) if inputs.picture else None,
            above=inputs.above,
            pipeline=inputs.pipeline,
        )
        return save_brain(found, folder)


class _ReadDeformationInput(BaseInterfaceInputSpec):
    affine = File(exists=True, mandatory=True, desc="pulls the scan onto the model grid")
    to_template = traits.Str(
        mandatory=True, hash_files=False, desc="transform that pulls the scan onto the template"
    )
    from_template = traits.Str(mandatory=True, hash_files=False, desc="and back")
    fingerprint = traits.Str(mandatory=True, desc="changes when the files do")
    grid = traits.Dict(mandatory=True, desc="that of the model, as its bundle describes it")


class ReadDeformation(StepInterface):
    """Take the affine out of the transforms that another pipeline found for a scan."""

    input_spec = _ReadDeformationInput
    output_spec = DeformationOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.composite import write_displacement_field
        from bids_anomaly.preprocessing.template import Grid
        from bids_anomaly.preprocessing.transforms import Chain

        inputs = self.inputs
        affine = Chain.of(inputs.affine)
        there, back = folder / "warp.nii.gz", folder / "inverse_warp.nii.gz"
        grid = Grid.described(inputs.grid)
        # From the template to the scan, and on to the model grid; and the same way back.
        write_displacement_field(there, Chain.of(inputs.to_template) + affine.inverse(), grid)
        write_displacement_field(back, affine + Chain.of(inputs.from_template), grid)
        return {"scan_from_template": str(there), "template_from_scan": str(back)}
