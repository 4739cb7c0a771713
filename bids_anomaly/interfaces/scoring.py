"""Nipype interface of :mod:`bids_anomaly.scoring` in the model grid."""

from pathlib import Path

import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    Directory,
    File,
    TraitedSpec,
    isdefined,
    traits,
)

from bids_anomaly.interfaces.base import StepInterface, load_image, save_image


class _ScoreInput(BaseInterfaceInputSpec):
    scan = File(exists=True, mandatory=True)
    brain = File(exists=True, mandatory=True)
    pseudo_healthy = File(exists=True)
    anomaly = File(exists=True)
    bundle = Directory(exists=True, mandatory=True, nohash=True)
    bundle_digest = traits.Str(mandatory=True)


class _ScoreOutput(TraitedSpec):
    residual = File(exists=True, desc="scan minus pseudo-healthy image")
    zscore = File(exists=True)


class Score(StepInterface):
    """Score a scan against its pseudo-healthy image, in healthy standard deviations."""

    input_spec = _ScoreInput
    output_spec = _ScoreOutput

    def _step(self, folder: Path) -> dict:
        from bids_anomaly.preprocessing.template import Grid
        from bids_anomaly.reconstruction.bundle import load_bundle
        from bids_anomaly.scoring.calibration import load_calibration
        from bids_anomaly.scoring.score import anomaly_score

        bundle = load_bundle(Path(self.inputs.bundle))
        image = load_image(self.inputs.scan)
        grid = Grid.of(image)
        scan = image.get_fdata(dtype=np.float32)
        brain = np.asanyarray(load_image(self.inputs.brain).dataobj) > 0
        pseudo_healthy = _values(self.inputs.pseudo_healthy)
        score = anomaly_score(
            bundle.description["score"],
            scan,
            brain,
            pseudo_healthy=pseudo_healthy,
            anomaly=_values(self.inputs.anomaly),
            spacing=float(grid.spacing[0]),
        )
        zscore = load_calibration(bundle.calibration).zscore(score) * brain
        outputs = {"zscore": save_image(grid.image(zscore), folder / "zscore.nii.gz")}
        if pseudo_healthy is not None:
            residual = grid.image(((scan - pseudo_healthy) * brain).astype(np.float32))
            outputs["residual"] = save_image(residual, folder / "residual.nii.gz")
        return outputs


def _values(path) -> np.ndarray | None:
    return load_image(path).get_fdata(dtype=np.float32) if isdefined(path) else None
