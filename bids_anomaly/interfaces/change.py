"""Nipype interfaces that compare two sessions of a participant, from their derivatives."""

from pathlib import Path

import nibabel as nib
import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    InputMultiObject,
    TraitedSpec,
    traits,
)

from bids_anomaly.bids.label_tables import write_label_tables
from bids_anomaly.bids.naming import output_path, sidecar_path, transform_path
from bids_anomaly.bids.reading import read_json
from bids_anomaly.bids.sidecars import sidecar
from bids_anomaly.bids.tables import write_table
from bids_anomaly.bids.writing import replacing, write_image
from bids_anomaly.exceptions import BadScanError
from bids_anomaly.interfaces.base import StepInterface
from bids_anomaly.interfaces.derivatives import WriteOutput, paths
from bids_anomaly.interfaces.records import record_written
from bids_anomaly.preprocessing.images import load_nifti
from bids_anomaly.scoring.findings import Threshold

# Brain masks of one person overlap more than this even if one of them leaks.
LEAST_OVERLAP = 0.8
SPACING_MM = 1.0


class _RegisterMidpointInput(BaseInterfaceInputSpec):
    scans = InputMultiObject(File(exists=True), mandatory=True, desc="two")
    brains = InputMultiObject(File(exists=True), mandatory=True, desc="their masks")
    seed = traits.Int(mandatory=True)


class _RegisterMidpointOutput(TraitedSpec):
    transforms = traits.List(File(exists=True), desc="pull each scan onto the midpoint")


class RegisterMidpoint(StepInterface):
    """Find the space half way between two scans of a person."""

    input_spec = _RegisterMidpointInput
    output_spec = _RegisterMidpointOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.midpoint import register_midpoint
        from bids_anomaly.preprocessing.transforms import write_matrix

        (first, second), (first_brain, second_brain) = (
            [_reoriented(path) for path in files]
            for files in (self.inputs.scans, self.inputs.brains)
        )
        midpoint = register_midpoint(
            first, first_brain, second, second_brain, seed=self.inputs.seed
        )
        written = []
        for name, matrix in zip(("first.mat", "second.mat"), midpoint, strict=True):
            write_matrix(folder / name, matrix)
            written.append(str(folder / name))
        return {"transforms": written}


class _WriteChangeInput(BaseInterfaceInputSpec):
    output_dir = traits.Str(mandatory=True)
    entities = traits.Dict(mandatory=True, desc="of the results, without a session")
    scan_entities = traits.List(traits.Dict(), mandatory=True, desc="of both scans")
    modality = traits.Str(mandatory=True)
    space = traits.Str(mandatory=True, desc="name of the midpoint")
    scans = InputMultiObject(File(exists=True), mandatory=True, desc="white matter = 1")
    brains = InputMultiObject(File(exists=True), mandatory=True)
    zscores = InputMultiObject(File(exists=True), mandatory=True)
    lesions = InputMultiObject(File(exists=True), mandatory=True, desc="labels")
    transforms = InputMultiObject(File(exists=True), mandatory=True, desc="matrices")
    from_template = InputMultiObject(
        File(exists=True), desc="pull the template onto each reference scan, if known"
    )
    rigids = traits.List(
        traits.Str(), desc="pull each scan onto its reference; empty if it is the reference"
    )
    threshold = traits.Instance(Threshold, mandatory=True)


class WriteChange(StepInterface):
    """Write what changed from one session to the next, in the space half way between them."""

    input_spec = _WriteChangeInput
    output_spec = WriteOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.midpoint import Midpoint, midpoint_grid
        from bids_anomaly.preprocessing.transforms import read_matrix
        from bids_anomaly.scoring.change import (
            judge_lesions,
            label_together,
            measure_change,
            volumes_of,
        )
        from bids_anomaly.scoring.timepoints import Timepoint, align

        inputs = self.inputs
        files = paths(inputs.transforms)
        midpoint = Midpoint(*map(read_matrix, files))
        timepoints = [
            Timepoint(*map(_reoriented, three))
            for three in zip(inputs.zscores, inputs.brains, inputs.lesions, strict=True)
        ]
        brains = [timepoint.brain for timepoint in timepoints]
        grid = midpoint_grid(midpoint, *brains, spacing=SPACING_MM)
        together = align(timepoints, midpoint, grid, files)
        self._check(together.overlap)
        try:
            changes = measure_change(together)
        except ValueError as error:
            raise BadScanError(f"{self._what()} cannot be compared: {error}") from error
        labels = label_together(together)
        volumes = [
            volumes_of(labels, together.compared, grid, timepoint.lesions, matrix)
            for timepoint, matrix in zip(timepoints, midpoint, strict=True)
        ]
        judged = judge_lesions(
            labels, together, changes, volumes, min_volume=inputs.threshold.min_lesion_volume
        )
        described = {
            "Sessions": [entities["ses"] for entities in inputs.scan_entities],
            "Noise": round(changes.floor.noise, 4),
            "Shift": round(changes.floor.shift, 4),
            "Limit": round(changes.limit, 4),
            "Compared": round(together.share, 4),
        }
        rows = [
            (
                lesion.index,
                f"lesion-{lesion.index}",
                lesion.verdict,
                *lesion.volumes,
                lesion.change,
                lesion.percent,
                lesion.gained,
                lesion.lost,
                *lesion.parts,
                lesion.difference,
                lesion.spread,
                *place,
            )
            for lesion, place in zip(
                judged, self._places(labels, grid, midpoint, folder), strict=True
            )
        ]
        maps = {
            "change": changes.score,
            "brain": together.compared.astype(np.uint8),
            "changes": labels.astype(np.int32),
        }
        written = [self._write(output, grid.image(v), described) for output, v in maps.items()]
        table = written[-1].with_name(written[-1].name.replace(".nii.gz", ".tsv"))
        write_table(table, "changes", rows)
        written += [table, *write_label_tables(written[-1], rows)]
        for which in (0, 1):
            lesions = (together.lesions[which] > 0).astype(np.uint8)
            written += self._write_scan(which, grid, files[which], midpoint[which], lesions)
        return {"written": record_written(folder, written)}

    def _what(self) -> str:
        """Say which scans these are."""
        names = [Path(path).name.split("_desc-")[0] for path in self.inputs.zscores]
        return f"The {self.inputs.modality} scans of {' and '.join(names)}"

    def _check(self, overlap: float) -> None:
        if overlap < LEAST_OVERLAP:
            raise BadScanError(
                f"{self._what()} cannot be compared: after registration their brains overlap by "
                f"{overlap:.2f} (Dice), where those of one person reach {LEAST_OVERLAP:g}. Check "
                "that they are of one person, and look at the brain masks in both reports."
            )

    def _places(self, labels: np.ndarray, grid, midpoint, folder: Path) -> list[tuple]:
        """Return centroid in the template, region, side and location of each lesion."""
        from bids_anomaly.preprocessing.transforms import (
            Chain,
            move_points,
            read_matrix,
            write_matrix,
        )
        from bids_anomaly.scoring.lesions import locate_lesions

        count = int(labels.max())
        from_template = paths(self.inputs.from_template)
        voxels = np.argwhere(labels)
        if not from_template or not count:
            return [(float("nan"),) * 3 + ("n/a",) * 3] * count
        points = nib.affines.apply_affine(grid.affine, voxels)
        found = []
        for which, (pulls_template, rigid, scan_from_midpoint) in enumerate(
            zip(from_template, self.inputs.rigids, midpoint, strict=True)
        ):
            to_reference = scan_from_midpoint
            if rigid:
                to_reference = np.linalg.inv(read_matrix(Path(rigid))) @ scan_from_midpoint
            matrix = folder / f"reference_{which}.mat"
            write_matrix(matrix, to_reference)
            found.append(move_points(points, Chain.of(matrix, pulls_template)))
        # Half way here too, so that neither session decides.
        return locate_lesions(labels[tuple(voxels.T)], np.mean(found, axis=0))

    def _sidecar(self, output: str, sources: list[str]) -> dict:
        inputs = self.inputs
        content = sidecar(
            output,
            sources=sources,
            already_stripped=True,
            model=None,
            threshold=inputs.threshold,
            resolution=None,
        )
        reference = output_path(
            Path(inputs.output_dir),
            "brain",
            inputs.entities,
            modality=inputs.modality,
            space=inputs.space,
        )
        return {**content, "SpatialReference": self._uri(reference)}

    def _write(self, output: str, image: nib.Nifti1Image, described: dict) -> Path:
        """Write a result that belongs to both sessions."""
        inputs = self.inputs
        sources = [self._uri(Path(p)) for p in [*inputs.zscores, *inputs.lesions, *inputs.brains]]
        content = self._sidecar(output, sources)
        if output == "brain":
            content["Description"] = "Brain that both scans saw, where they are compared."
        else:
            model = read_json(sidecar_path(Path(inputs.zscores[0]))).get("Model")
            content |= {"Model": model, **described} if model else described
        path = output_path(
            Path(inputs.output_dir),
            output,
            inputs.entities,
            modality=inputs.modality,
            space=inputs.space,
        )
        write_image(path, image, content)
        return path

    def _write_scan(
        self, which: int, grid, transform: Path, matrix: np.ndarray, lesions: np.ndarray
    ) -> list[Path]:
        """Write a scan, its lesions and its transform, which belong to one session."""
        from bids_anomaly.preprocessing.registration import masked
        from bids_anomaly.preprocessing.resample import resample
        from bids_anomaly.preprocessing.transforms import Chain, write_matrix

        inputs = self.inputs
        entities = dict(inputs.scan_entities[which])
        scan = masked(_reoriented(inputs.scans[which]), _reoriented(inputs.brains[which]))
        maps = {
            "preproc": (resample(scan, grid, Chain.of(transform)), inputs.scans),
            "anomaly": (grid.image(lesions), inputs.lesions),
        }
        written = []
        for output, (image, sources) in maps.items():
            path = output_path(
                Path(inputs.output_dir),
                output,
                entities,
                modality=inputs.modality,
                space=inputs.space,
            )
            write_image(path, image, self._sidecar(output, [self._uri(Path(sources[which]))]))
            written.append(path)
        path = transform_path(
            Path(inputs.output_dir),
            entities,
            origin=inputs.modality,
            target=inputs.space,
            extension=".txt",
        )
        with replacing(path) as temporary:
            write_matrix(temporary, matrix)
        return [*written, path]

    def _uri(self, path: Path) -> str:
        """Return the BIDS URI of a file of the output folder."""
        return f"bids::{path.relative_to(self.inputs.output_dir).as_posix()}"


class _WriteReportAgainInput(BaseInterfaceInputSpec):
    output_dir = traits.Str(mandatory=True)
    record = File(exists=True, mandatory=True, desc="of the session")
    changes = InputMultiObject(
        File(exists=True), mandatory=True, desc="what is new in it: the report waits"
    )


class WriteReportAgain(StepInterface):
    """Write the report of a session that was compared with another."""

    input_spec = _WriteReportAgainInput
    output_spec = WriteOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.bids.records import read_record
        from bids_anomaly.reports.session import write_session_report

        record = read_record(Path(self.inputs.record))
        written = [write_session_report(Path(self.inputs.output_dir), record)]
        return {"written": record_written(folder, written)}


def _reoriented(path: str) -> nib.Nifti1Image:
    """Read an image of the output folder with axes along RAS+, as every step expects it."""
    from bids_anomaly.preprocessing.reorient import reorient_grid

    return reorient_grid(load_nifti(path), Path(path).name)
