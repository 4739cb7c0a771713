"""Nipype interface of :mod:`bids_anomaly.scoring`."""

from pathlib import Path

import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    Directory,
    File,
    InputMultiObject,
    TraitedSpec,
    isdefined,
    traits,
)

from bids_anomaly.interfaces.base import StepInterface, save_image
from bids_anomaly.preprocessing.images import load_nifti


class _ScoreInput(BaseInterfaceInputSpec):
    scan = File(exists=True, mandatory=True, desc="bias-corrected, native")
    brain = File(exists=True, mandatory=True, desc="native")
    white_matter_level = traits.Float(mandatory=True)
    brain_in_model_grid = File(exists=True, mandatory=True)
    pseudo_healthy = File(exists=True, desc="in the model grid")
    anomaly = File(exists=True, desc="in the model grid")
    transforms = InputMultiObject(
        File(exists=True), mandatory=True, desc="pull the scan onto the model grid"
    )
    bundle = Directory(exists=True, mandatory=True, nohash=True)
    bundle_digest = traits.Str(mandatory=True)


class _ScoreOutput(TraitedSpec):
    zscore = File(exists=True, desc="native")


class Score(StepInterface):
    """Score the voxels of a scan as it was acquired, in healthy standard deviations."""

    input_spec = _ScoreInput
    output_spec = _ScoreOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.template import Grid
        from bids_anomaly.preprocessing.transforms import Chain
        from bids_anomaly.reconstruction.bundle import load_bundle
        from bids_anomaly.scoring.calibration import load_calibration
        from bids_anomaly.scoring.maps import resample_in_brain
        from bids_anomaly.scoring.score import anomaly_score

        bundle = load_bundle(Path(self.inputs.bundle))
        image = load_nifti(self.inputs.scan)
        grid = Grid.of(image)
        covered = load_nifti(self.inputs.brain_in_model_grid)
        to_model = Chain.of(*self.inputs.transforms).inverse()

        def in_scan(path, beyond) -> np.ndarray | None:
            if not isdefined(path):
                return None
            brought = resample_in_brain(load_nifti(path), covered, grid, to_model, beyond=beyond)
            return brought.get_fdata(dtype=np.float32)

        brain = np.asanyarray(load_nifti(self.inputs.brain).dataobj) > 0
        scan = image.get_fdata(dtype=np.float32) / np.float32(self.inputs.white_matter_level)
        score = anomaly_score(
            bundle.description["score"],
            scan,
            brain,
            # Brain that the model grid does not reach is taken as it is.
            pseudo_healthy=in_scan(self.inputs.pseudo_healthy, beyond=scan),
            anomaly=in_scan(self.inputs.anomaly, beyond=0),
            spacing=grid.spacing,
        )
        zscore = grid.image(load_calibration(bundle.calibration).zscore(score) * brain)
        return {"zscore": save_image(zscore, folder / "zscore.nii.gz")}
