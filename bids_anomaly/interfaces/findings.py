"""Nipype interfaces that find what is unusual, and take it apart: lesions, and regions."""

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

from bids_anomaly.bids.dataset import write_atlas_description
from bids_anomaly.bids.label_tables import write_label_tables
from bids_anomaly.bids.tables import write_table
from bids_anomaly.interfaces.base import StepInterface, save_image
from bids_anomaly.interfaces.derivatives import (
    FoundInput,
    WriteOutput,
    load_findings,
    table_path,
    write_described_table,
    write_maps,
)
from bids_anomaly.interfaces.records import record_written
from bids_anomaly.preprocessing.images import load_nifti
from bids_anomaly.preprocessing.template import TemplateSpace
from bids_anomaly.scoring.findings import Threshold, find


class _FindAnomaliesInput(BaseInterfaceInputSpec):
    brain = File(exists=True, mandatory=True, desc="native")
    zscore = File(exists=True, mandatory=True, desc="native")
    onto = traits.Instance(TemplateSpace, desc="not for native findings")
    transforms = InputMultiObject(File(exists=True), desc="pull the scan onto the model grid")
    scan_from_template = File(
        exists=True, desc="pulls the model grid onto the template; not for native findings"
    )
    threshold = traits.Instance(Threshold, mandatory=True)


class _FindAnomaliesOutput(TraitedSpec):
    brain = File(exists=True, desc="in the grid of the findings, like all")
    zscore = File(exists=True)
    probability = File(exists=True)
    mask = File(exists=True)


class FindAnomalies(StepInterface):
    """Find what is anomalous in one scan, in its own grid or in that of a template.

    All that is written of it, as maps, lesions and regions, comes from here.
    """

    input_spec = _FindAnomaliesInput
    output_spec = _FindAnomaliesOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.resample import resample_mask
        from bids_anomaly.preprocessing.template import Grid
        from bids_anomaly.preprocessing.transforms import Chain
        from bids_anomaly.scoring.maps import resample_in_brain

        inputs = self.inputs
        brain, zscore = load_nifti(inputs.brain), load_nifti(inputs.zscore)
        if isdefined(inputs.onto):
            chain = Chain.of(
                *inputs.onto.template_from_space, inputs.scan_from_template, *inputs.transforms
            )
            zscore = resample_in_brain(zscore, brain, inputs.onto.grid, chain)
            brain = resample_mask(brain, inputs.onto.grid, chain)
        grid = Grid.of(brain)
        found = find(
            zscore.get_fdata(dtype=np.float32),
            np.asanyarray(brain.dataobj) > 0,
            inputs.threshold,
            voxel_volume=grid.voxel_volume,
        )
        images = {
            "brain": brain,
            "zscore": grid.image(found.z),
            "probability": grid.image(found.probability),
            "mask": grid.image(found.mask.astype(np.uint8)),
        }
        return {
            name: save_image(image, folder / f"{name}.nii.gz") for name, image in images.items()
        }


class _WriteFindingsInput(FoundInput):
    template_from_scan = File(
        exists=True, mandatory=True, desc="displacement field that pulls the template"
    )
    atlas_model = traits.Dict(
        usedefault=True, desc="whose pseudo-healthy image was registered to the template"
    )


class WriteFindings(StepInterface):
    """Write the lesions of one scan, numbered and described, and what is in each region.

    Everything is in the grid of the scan, the atlas too.
    """

    input_spec = _WriteFindingsInput
    output_spec = WriteOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.atlas import atlas_labels, atlas_regions
        from bids_anomaly.preprocessing.template import Grid
        from bids_anomaly.preprocessing.transforms import Chain
        from bids_anomaly.scoring.lesions import describe_lesions, label_lesions
        from bids_anomaly.scoring.regions import measure_regions

        inputs = self.inputs
        brain, found = load_nifti(inputs.brain), load_findings(inputs)
        grid, inside = Grid.of(brain), np.asanyarray(brain.dataobj) > 0
        template_from_scan = Chain.of(*inputs.transforms).inverse() + Chain.of(
            inputs.template_from_scan
        )
        labels = label_lesions(found.mask)
        lesions = [
            (lesion.index, f"lesion-{lesion.index}", lesion.volume, *lesion.centroid, *lesion[3:])
            for lesion in describe_lesions(
                labels,
                z=found.z,
                probability=found.probability,
                grid=grid,
                template_from_scan=template_from_scan,
            )
        ]
        atlas = np.where(inside, atlas_labels(grid, template_from_scan, within=inside), -1)
        regions = [
            (*each.region, *each[1:])
            for each in measure_regions(
                atlas, atlas_regions(), mask=found.mask, z=found.z, voxel_volume=grid.voxel_volume
            )
        ]
        write_atlas_description(Path(inputs.output_dir))
        by = inputs.atlas_model
        written = [
            *_write_labels(inputs, "lesions", grid.image(labels), lesions, inputs.model),
            *_write_labels(inputs, "atlas", grid.image(np.maximum(atlas, 0)), atlas_regions(), by),
            write_described_table(inputs, "regions", regions, model=inputs.model),
        ]
        return {"written": record_written(folder, written)}


def _write_labels(
    inputs, output: str, labels: nib.Nifti1Image, rows: Iterable[Sequence], model: Mapping[str, Any]
) -> list[Path]:
    """Write an image of labels and the tables that say what they are, for people and viewers."""
    rows = list(rows)
    (image,) = write_maps(inputs, {output: labels}, model=model, already_stripped=True)
    table = table_path(inputs, output)
    write_table(table, output, rows)
    return [image, table, *write_label_tables(image, rows)]
