"""Nipype interfaces that take findings apart: lesions, and regions of the atlas."""

from pathlib import Path

import nibabel as nib
import numpy as np
from nipype.interfaces.base import File, InputMultiObject, traits

from bids_anomaly.bids.dataset import write_atlas_description
from bids_anomaly.bids.naming import COMBINED
from bids_anomaly.bids.tables import write_table
from bids_anomaly.interfaces.base import StepInterface, load_image
from bids_anomaly.interfaces.derivatives import (
    FindingsInput,
    WriteOutput,
    paths,
    table_path,
    write_described_table,
    write_maps,
)
from bids_anomaly.interfaces.records import record_written


class _NativeFindingsInput(FindingsInput):
    brain = File(exists=True, mandatory=True, desc="of the (reference) scan, native")
    template_from_scan = File(
        exists=True, mandatory=True, desc="displacement field that pulls the template"
    )


class _WriteLesionsInput(_NativeFindingsInput):
    zscore = File(exists=True, mandatory=True, desc="in the model grid")


class WriteLesions(StepInterface):
    """Write the lesions of one scan, numbered and described."""

    input_spec = _WriteLesionsInput
    output_spec = WriteOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.scoring.maps import scan_findings

        inputs = self.inputs
        brain = load_image(inputs.brain)
        found = scan_findings(brain, zscore=load_image(inputs.zscore), **_chain(inputs))
        written = _write_lesions(inputs, "lesions", found, brain)
        return {"written": record_written(folder, written)}


class _WriteFindingsInput(_NativeFindingsInput):
    zscores = InputMultiObject(File(exists=True), mandatory=True, desc="in the model grid")
    brains = InputMultiObject(File(exists=True), mandatory=True, desc="in the model grid")
    scans = traits.List(traits.Str(), mandatory=True, desc="their names, in their order")
    modalities = traits.List(traits.Str(), mandatory=True, desc="of the scans, in their order")


class _WriteFindingsOutput(WriteOutput):
    lesions = File(exists=True, desc="table of the combined finding")
    regions = File(exists=True, desc="table of all scans and of the combined finding")


class WriteFindings(StepInterface):
    """Write the combined lesions of a session, its atlas, and what was found in each region.

    Everything is in the grid of the reference scan.
    """

    input_spec = _WriteFindingsInput
    output_spec = _WriteFindingsOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.atlas import atlas_labels, atlas_regions
        from bids_anomaly.preprocessing.template import Grid
        from bids_anomaly.scoring.maps import combined_findings, scan_findings, seen_in
        from bids_anomaly.scoring.regions import measure_regions

        inputs = self.inputs
        brain = load_image(inputs.brain)
        grid, inside = Grid.of(brain), np.asanyarray(brain.dataobj) > 0
        transforms, invert = _from_template(inputs)
        labels = np.where(inside, atlas_labels(grid, transforms, invert=invert), -1)
        zscores = [load_image(path) for path in inputs.zscores]
        brains = [load_image(path) for path in inputs.brains]
        combined = combined_findings(
            brain, zscores=zscores, brains=brains, modalities=inputs.modalities, **_chain(inputs)
        )
        measured = []
        for name, modality, zscore, covered in zip(
            inputs.scans, inputs.modalities, zscores, brains, strict=True
        ):
            found = scan_findings(brain, zscore=zscore, **_chain(inputs))
            # A region that a scan did not see is not a normal one.
            z = np.where(seen_in(brain, covered, **_to_model_grid(inputs)), found.z, np.nan)
            measured.append((name, modality, found.mask, z))

        rows = [
            (*findings.region, name, modality, *findings[1:])
            for name, modality, mask, z in (*measured, (COMBINED, COMBINED, combined.mask, None))
            for findings in measure_regions(
                labels,
                atlas_regions(),
                mask=mask,
                z=z,
                voxel_volume=grid.voxel_volume,
            )
        ]
        lesions = _write_lesions(inputs, "combined_lesions", combined, brain)
        atlas = _write_labels(inputs, "atlas", np.maximum(labels, 0), grid, atlas_regions())
        write_atlas_description(Path(inputs.output_dir))
        regions = write_described_table(inputs, "regions", rows)
        return {
            "lesions": str(lesions[-1]),
            "regions": str(regions),
            "written": record_written(folder, [*lesions, *atlas, regions]),
        }


def _write_lesions(inputs, output: str, found, brain: nib.Nifti1Image) -> list[Path]:
    """Write numbered lesions and, last, their table."""
    from bids_anomaly.preprocessing.template import Grid
    from bids_anomaly.scoring.lesions import describe_lesions, label_lesions

    transforms, invert = _from_template(inputs)
    labels = label_lesions(found.mask)
    lesions = describe_lesions(
        labels,
        z=found.z,
        probability=found.probability,
        grid=Grid.of(brain),
        transforms=transforms,
        invert=invert,
    )
    rows = [
        (lesion.index, f"lesion-{lesion.index}", lesion.volume, *lesion.centroid, *lesion[3:])
        for lesion in lesions
    ]
    return _write_labels(inputs, output, labels, Grid.of(brain), rows)


def _write_labels(inputs, output: str, labels: np.ndarray, grid, rows) -> list[Path]:
    """Write an image of labels and, last, the table that says what they are."""
    written = write_maps(inputs, {output: grid.image(labels)}, bundle=None, already_stripped=True)
    table = table_path(inputs, output)
    write_table(table, output, rows)
    return [*written, table]


def _to_model_grid(inputs) -> dict:
    """Return the chain that pulls the model grid onto the scan."""
    return {"transforms": paths(inputs.transforms), "invert": inputs.invert}


def _chain(inputs) -> dict:
    """Return how findings come from the model grid to the scan, and what is taken for one."""
    return {
        **_to_model_grid(inputs),
        "healthy_fpr": inputs.healthy_fpr,
        "min_lesion_volume": inputs.min_lesion_volume,
    }


def _from_template(inputs) -> tuple[list[Path], list[bool]]:
    """Return the chain that pulls the template onto the scan."""
    return [*paths(inputs.transforms), Path(inputs.template_from_scan)], [*inputs.invert, False]
