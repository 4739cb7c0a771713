"""Nipype interfaces that write BIDS derivatives."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    InputMultiObject,
    TraitedSpec,
    isdefined,
    traits,
)

from bids_anomaly.bids.naming import output_path, sidecar_path, transform_path
from bids_anomaly.bids.outputs import OUTPUTS
from bids_anomaly.bids.sidecars import sidecar
from bids_anomaly.bids.tables import write_table
from bids_anomaly.bids.writing import replacing, write_image, write_json
from bids_anomaly.interfaces.base import StepInterface
from bids_anomaly.interfaces.records import record_written
from bids_anomaly.preprocessing.images import load_nifti
from bids_anomaly.preprocessing.template import TemplateSpace
from bids_anomaly.scoring.findings import Findings, Threshold


class WriteInput(BaseInterfaceInputSpec):
    """What every node that writes derivatives gets."""

    output_dir = traits.Str(mandatory=True)
    entities = traits.Dict(mandatory=True, desc="BIDS entities of the (reference) scan")
    modality = traits.Str(mandatory=True, desc="its suffix")
    sources = traits.List(traits.Str(), mandatory=True, desc="BIDS URIs")
    space = traits.Str(
        desc="as bids.naming.space_entities reads it; undefined is the grid of the scan itself"
    )
    original = traits.Str(mandatory=True, hash_files=False, desc="file of the (reference) scan")


class WriteOutput(TraitedSpec):
    """What every such node leaves: the files that it wrote."""

    written = traits.List(traits.Str())


class FoundInput(WriteInput):
    """What was found in a scan, in the grid that is written, and by which threshold."""

    brain = File(exists=True, mandatory=True)
    zscore = File(exists=True, mandatory=True)
    probability = File(exists=True, mandatory=True)
    mask = File(exists=True, mandatory=True)
    transforms = InputMultiObject(
        File(exists=True), mandatory=True, desc="pull the scan onto the model grid"
    )
    threshold = traits.Instance(Threshold, mandatory=True)
    model = traits.Dict(mandatory=True, desc="as sidecars name it")


class _WriteScanMapsInput(FoundInput):
    scan = File(exists=True, mandatory=True, desc="bias-corrected, native")
    brain_method = traits.Str(mandatory=True)
    white_matter_level = traits.Float(mandatory=True)
    onto = traits.Instance(TemplateSpace, desc="not for native outputs")
    scan_from_template = File(
        exists=True, desc="pulls the model grid onto the template; not for native outputs"
    )
    brain_in_model_grid = File(exists=True, mandatory=True)
    pseudo_healthy = File(exists=True, desc="in the model grid")
    residual = File(exists=True, desc="in the model grid")
    spread = File(exists=True, desc="in the model grid")
    network = File(exists=True, desc="the method's own map of anomalies, in the model grid")


class WriteScanMaps(StepInterface):
    """Write all maps of one scan in one space."""

    input_spec = _WriteScanMapsInput
    output_spec = WriteOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.brain import had_no_skull
        from bids_anomaly.preprocessing.resample import resample
        from bids_anomaly.preprocessing.template import Grid
        from bids_anomaly.preprocessing.transforms import Chain
        from bids_anomaly.scoring.maps import scan_maps

        inputs = self.inputs
        scan = load_nifti(inputs.scan)
        scan_to_model = Chain.of(*inputs.transforms)
        if isdefined(inputs.onto):
            to_model = Chain.of(*inputs.onto.template_from_space, inputs.scan_from_template)
            scan = resample(scan, inputs.onto.grid, to_model + scan_to_model)
        else:
            to_model = scan_to_model.inverse()
        normalised = scan.get_fdata(dtype=np.float32) / np.float32(inputs.white_matter_level)
        maps = scan_maps(
            Grid.of(scan).image(normalised),
            load_nifti(inputs.brain),
            load_findings(inputs),
            covered=load_nifti(inputs.brain_in_model_grid),
            pseudo_healthy=_image(inputs.pseudo_healthy),
            residual=_image(inputs.residual),
            spread=_image(inputs.spread),
            network=_image(inputs.network),
            to_model=to_model,
        )
        written = write_maps(
            inputs,
            maps,
            model=inputs.model,
            already_stripped=had_no_skull(inputs.brain_method),
        )
        return {"written": record_written(folder, written)}


class _WriteModelGridInput(WriteInput):
    scan = File(exists=True, mandatory=True, desc="in the model grid")
    brain = File(exists=True, mandatory=True)
    transforms = InputMultiObject(
        File(exists=True), mandatory=True, desc="pull the scan onto the model grid"
    )


class WriteModelGrid(StepInterface):
    """Write a preprocessed scan in the model grid, which is what models are trained on.

    The transform to that grid is written too, for masks and maps of the scan as it was acquired.
    """

    input_spec = _WriteModelGridInput
    output_spec = WriteOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.composite import write_composite
        from bids_anomaly.preprocessing.transforms import Chain

        maps = {
            "model_scan": load_nifti(self.inputs.scan),
            "model_brain": load_nifti(self.inputs.brain),
        }
        written = write_maps(self.inputs, maps, model=None, already_stripped=True)
        path = transform_path(
            Path(self.inputs.output_dir),
            {**self.inputs.entities, "desc": OUTPUTS["model_scan"].entities["desc"]},
            origin=self.inputs.modality,
            target=self.inputs.space,
            extension=".h5",
        )
        with replacing(path) as temporary:
            write_composite(temporary, Chain.of(*self.inputs.transforms))
        return {"written": record_written(folder, [*written, path])}


class _WriteTransformsInput(WriteInput):
    onto = traits.Instance(TemplateSpace, mandatory=True)
    affine = File(exists=True, mandatory=True, desc="pulls the reference scan onto the template")
    scan_from_template = File(exists=True, mandatory=True, desc="displacement field")
    template_from_scan = File(exists=True, mandatory=True, desc="displacement field")


class WriteTransforms(StepInterface):
    """Write the transforms between the reference scan and a template, for antsApplyTransforms."""

    input_spec = _WriteTransformsInput
    output_spec = WriteOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.composite import write_composite
        from bids_anomaly.preprocessing.transforms import Chain

        inputs = self.inputs
        affine, onto = Chain.of(inputs.affine), inputs.onto
        forward = Chain.of(*onto.template_from_space, inputs.scan_from_template) + affine
        backward = affine.inverse() + Chain.of(inputs.template_from_scan, *onto.space_from_template)
        written = []
        for origin, target, chain in (
            (inputs.modality, inputs.space, forward),
            (inputs.space, inputs.modality, backward),
        ):
            path = transform_path(
                Path(inputs.output_dir),
                inputs.entities,
                origin=origin,
                target=target,
                extension=".h5",
            )
            with replacing(path) as temporary:
                write_composite(temporary, chain)
            written.append(path)
        return {"written": record_written(folder, written)}


class _WriteRigidInput(WriteInput):
    reference_modality = traits.Str(mandatory=True)
    rigid = File(exists=True, mandatory=True, desc="pulls the scan onto the reference scan")


class WriteRigid(StepInterface):
    """Write the rigid transform from a scan to the reference scan, as ITK text."""

    input_spec = _WriteRigidInput
    output_spec = WriteOutput

    def _step(self, folder: Path) -> dict:
        import ants

        path = transform_path(
            Path(self.inputs.output_dir),
            self.inputs.entities,
            origin=self.inputs.modality,
            target=self.inputs.reference_modality,
            extension=".txt",
        )
        with replacing(path) as temporary:
            ants.write_transform(ants.read_transform(self.inputs.rigid), str(temporary))
        return {"written": record_written(folder, [path])}


def load_findings(inputs) -> Findings:
    """Read what was found, from the files that a node is given."""
    return Findings(
        load_nifti(inputs.zscore).get_fdata(dtype=np.float32),
        load_nifti(inputs.probability).get_fdata(dtype=np.float32),
        np.asanyarray(load_nifti(inputs.mask).dataobj) > 0,
    )


def write_maps(
    inputs,
    maps: dict[str, nib.Nifti1Image],
    *,
    model: Mapping[str, Any] | None,
    already_stripped: bool,
) -> list[Path]:
    """Write images with their sidecars; native ones in the voxel order of the input file."""
    from bids_anomaly.preprocessing.reorient import to_grid_of
    from bids_anomaly.preprocessing.template import Grid

    space = inputs.space if isdefined(inputs.space) else None
    written = []
    for output, image in maps.items():
        path = output_path(
            Path(inputs.output_dir),
            output,
            inputs.entities,
            modality=inputs.modality,
            space=space,
        )
        description = describe(
            inputs,
            output,
            already_stripped=already_stripped,
            model=model,
            resolution=Grid.of(image).resolution if space else None,
        )
        native = image if space else to_grid_of(image, Path(inputs.original))
        write_image(path, native, description)
        written.append(path)
    return written


def describe(
    inputs,
    output: str,
    *,
    already_stripped: bool = True,
    model: Mapping[str, Any] | None = None,
    resolution: str | None = None,
) -> dict:
    """Return the sidecar of an image or table that a node writes."""
    return sidecar(
        output,
        sources=inputs.sources,
        already_stripped=already_stripped,
        model=model,
        threshold=getattr(inputs, "threshold", None),
        resolution=resolution,
    )


def table_path(inputs, output: str) -> Path:
    """Return where a table of a session or scan is written, in native space."""
    return output_path(
        Path(inputs.output_dir), output, inputs.entities, modality=inputs.modality, extension=".tsv"
    )


def write_described_table(
    inputs, output: str, rows: Iterable[Sequence], *, model: Mapping[str, Any] | None = None
) -> Path:
    """Write a table that no image goes with, and the JSON file that describes its columns."""
    path = table_path(inputs, output)
    write_json(sidecar_path(path), describe(inputs, output, model=model))
    write_table(path, output, rows)
    return path


def _image(path) -> nib.Nifti1Image | None:
    return load_nifti(path) if isdefined(path) else None


def paths(trait) -> list[Path]:
    """Return a list of files, empty if it is not set."""
    return [Path(path) for path in trait] if isdefined(trait) else []
