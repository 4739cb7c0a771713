"""Nipype interfaces of :mod:`bids_anomaly.preprocessing`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    InputMultiObject,
    TraitedSpec,
    traits,
)

from bids_anomaly.interfaces.base import StepInterface, save_image
from bids_anomaly.interfaces.records import record_warnings
from bids_anomaly.preprocessing.images import load_nifti

if TYPE_CHECKING:
    from bids_anomaly.preprocessing.brain import BrainMask


class _ReorientInput(BaseInterfaceInputSpec):
    # Else Nipype reads the file to hash it, and one without rights stops more than this node.
    in_file = traits.Str(mandatory=True, hash_files=False, desc="a scan of the input dataset")
    fingerprint = traits.Str(mandatory=True, desc="changes when the file does")


class _ImageOutput(TraitedSpec):
    out_file = File(exists=True)


class _ReorientOutput(_ImageOutput):
    remarks = traits.Str(desc="what was odd about the file, a line each")


class Reorient(StepInterface):
    """Check a scan and write it as float32 in RAS+, and say what was odd about it."""

    input_spec = _ReorientInput
    output_spec = _ReorientOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.reorient import reorient_scan

        reoriented = reorient_scan(Path(self.inputs.in_file))
        record_warnings(folder, reoriented.remarks)
        return {
            "out_file": save_image(reoriented.scan, folder / "reoriented.nii.gz"),
            "remarks": "\n".join(reoriented.remarks),
        }


class _ExtractBrainInput(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="reoriented scan")
    method = traits.Str(mandatory=True, desc="deepbet, hd-bet, template or none")
    use_gpu = traits.Bool(False, usedefault=True, nohash=True)


class BrainOutput(TraitedSpec):
    """A brain mask."""

    out_mask = File(exists=True)
    method = traits.Str(desc="how the mask was found")


def save_brain(found: "BrainMask", folder: Path) -> dict:
    """Write a brain mask, and return what :class:`BrainOutput` describes."""
    return {"out_mask": save_image(found.mask, folder / "brain.nii.gz"), "method": found.method}


class ExtractBrain(StepInterface):
    """Find the brain in a reoriented scan."""

    input_spec = _ExtractBrainInput
    output_spec = BrainOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.brain import brain_mask

        scan = load_nifti(self.inputs.in_file)
        found = brain_mask(scan, method=self.inputs.method, use_gpu=self.inputs.use_gpu)
        return save_brain(found, folder)


class _ScanAndBrainInput(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True)
    in_mask = File(exists=True, mandatory=True)


class _CorrectBiasInput(_ScanAndBrainInput):
    transforms = InputMultiObject(
        File(exists=True), mandatory=True, desc="pull the scan onto the template"
    )


class CorrectBias(StepInterface):
    """Remove the bias field of a scan."""

    input_spec = _CorrectBiasInput
    output_spec = _ImageOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.bias import correct_bias
        from bids_anomaly.preprocessing.transforms import Chain

        corrected = correct_bias(
            load_nifti(self.inputs.in_file),
            load_nifti(self.inputs.in_mask),
            Chain.of(*self.inputs.transforms).inverse(),
        )
        return {"out_file": save_image(corrected, folder / "corrected.nii.gz")}


class _TransformOutput(TraitedSpec):
    transform = File(exists=True)


class _RegisterToTemplateInput(_ScanAndBrainInput):
    grid = traits.Dict(mandatory=True, desc="that of the model, as its bundle describes it")
    seed = traits.Int(mandatory=True)


class RegisterToTemplate(StepInterface):
    """Find the affine that pulls a scan onto the template."""

    input_spec = _RegisterToTemplateInput
    output_spec = _TransformOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.registration import masked, register_linear

        moving = masked(load_nifti(self.inputs.in_file), load_nifti(self.inputs.in_mask))
        transform = register_linear(
            moving,
            template_in_model_grid(self.inputs.grid),
            kind="Affine",
            seed=self.inputs.seed,
            folder=folder,
        )
        return {"transform": str(transform)}


class _RegisterToReferenceInput(_ScanAndBrainInput):
    brain_method = traits.Str(mandatory=True, desc="how the brain of the scan was found")
    reference = File(exists=True, mandatory=True)
    reference_mask = File(exists=True, mandatory=True)
    seed = traits.Int(mandatory=True)


class _RegisterToReferenceOutput(_TransformOutput):
    out_mask = File(exists=True, desc="the brain of the scan, trimmed to that of the reference")


class RegisterToReference(StepInterface):
    """Find the rigid transform that pulls a scan onto the reference scan of the same person.

    With it, skull that was taken for brain is left out of the mask, see
    :func:`bids_anomaly.preprocessing.brain.trim_brain`.
    """

    input_spec = _RegisterToReferenceInput
    output_spec = _RegisterToReferenceOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.brain import is_exact, trim_brain
        from bids_anomaly.preprocessing.registration import masked, register_linear
        from bids_anomaly.preprocessing.transforms import Chain

        brain, reference_brain = map(load_nifti, (self.inputs.in_mask, self.inputs.reference_mask))
        transform = register_linear(
            masked(load_nifti(self.inputs.in_file), brain),
            masked(load_nifti(self.inputs.reference), reference_brain),
            kind="Rigid",
            seed=self.inputs.seed,
            folder=folder,
        )
        if not is_exact(self.inputs.brain_method):
            brain = trim_brain(brain, reference_brain, Chain.of(transform).inverse())
        return {
            "transform": str(transform),
            "out_mask": save_image(brain, folder / "brain.nii.gz"),
        }


class _ToModelGridInput(_ScanAndBrainInput):
    transforms = InputMultiObject(File(exists=True), mandatory=True)
    grid = traits.Dict(mandatory=True, desc="that of the model, as its bundle describes it")


class _ToModelGridOutput(TraitedSpec):
    scan = File(exists=True, desc="white matter = 1, 0 outside the brain")
    brain = File(exists=True)
    white_matter_level = traits.Float()


class ToModelGrid(StepInterface):
    """Bring a scan and its brain into the model grid and onto the intensity scale of models."""

    input_spec = _ToModelGridInput
    output_spec = _ToModelGridOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.intensity import to_model_grid
        from bids_anomaly.preprocessing.template import Grid
        from bids_anomaly.preprocessing.transforms import Chain

        scan, brain, level = to_model_grid(
            load_nifti(self.inputs.in_file),
            load_nifti(self.inputs.in_mask),
            Chain.of(*self.inputs.transforms),
            Grid.described(self.inputs.grid),
        )
        return {
            "scan": save_image(scan, folder / "scan.nii.gz"),
            "brain": save_image(brain, folder / "brain.nii.gz"),
            "white_matter_level": level,
        }


class _RegisterDeformableInput(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="brain in the model grid")
    grid = traits.Dict(mandatory=True, desc="that of the model, as its bundle describes it")
    seed = traits.Int(mandatory=True)


class DeformationOutput(TraitedSpec):
    """Displacement fields between the model grid and the template."""

    scan_from_template = File(exists=True, desc="pulls the model grid onto the template")
    template_from_scan = File(exists=True, desc="and back")


class RegisterDeformable(StepInterface):
    """Find the deformation between an affinely aligned brain and the template."""

    input_spec = _RegisterDeformableInput
    output_spec = DeformationOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.registration import register_deformable

        warp = register_deformable(
            load_nifti(self.inputs.in_file),
            template_in_model_grid(self.inputs.grid),
            seed=self.inputs.seed,
            folder=folder,
        )
        return {
            "scan_from_template": str(warp.moving_from_fixed),
            "template_from_scan": str(warp.fixed_from_moving),
        }


def template_in_model_grid(grid: Mapping[str, Any]) -> nib.Nifti1Image:
    """Return the template brain in the grid of a model."""
    from bids_anomaly.preprocessing.resample import resample
    from bids_anomaly.preprocessing.template import Grid, template_brain

    return resample(template_brain(1), Grid.described(grid))
