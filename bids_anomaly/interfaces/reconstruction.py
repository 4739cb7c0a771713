"""Nipype interface of :mod:`bids_anomaly.reconstruction`: the node that may take the GPU."""

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

from bids_anomaly.interfaces.base import StepInterface, save_image
from bids_anomaly.preprocessing.images import load_nifti


class _ReconstructInput(BaseInterfaceInputSpec):
    scan = File(exists=True, mandatory=True, desc="in the model grid, white matter = 1")
    brain = File(exists=True, mandatory=True)
    bundle = Directory(exists=True, mandatory=True, nohash=True)
    bundle_digest = traits.Str(mandatory=True, desc="stands for the content of the bundle")
    steps = traits.Int(desc="number of levels; default is the bundle's own")
    covariates = traits.Dict(usedefault=True, desc="what is known of the person, by column")
    seed = traits.Int(mandatory=True)
    device = traits.Str("cpu", usedefault=True, nohash=True)
    use_gpu = traits.Bool(False, usedefault=True, nohash=True)
    batch_size = traits.Int(nohash=True, desc="slices at a time; default is what fits")
    num_threads = traits.Int(1, usedefault=True, nohash=True)


class _ReconstructOutput(TraitedSpec):
    pseudo_healthy = File(exists=True)
    spread = File(exists=True)
    residual = File(exists=True, desc="scan minus pseudo-healthy image")
    anomaly = File(exists=True)
    evaluations = traits.Int(desc="network evaluations of a slice or volume")


class Reconstruct(StepInterface):
    """Build the pseudo-healthy image of a scan; outputs that a method does not have stay unset."""

    input_spec = _ReconstructInput
    output_spec = _ReconstructOutput

    def _step(self, folder: Path) -> dict:
        import torch

        from bids_anomaly.reconstruction.bundle import load_bundle
        from bids_anomaly.reconstruction.registry import reconstruct

        torch.set_num_threads(self.inputs.num_threads)
        scan = load_nifti(self.inputs.scan)
        values = scan.get_fdata(dtype=np.float32)
        brain = np.asanyarray(load_nifti(self.inputs.brain).dataobj) > 0
        result = reconstruct(
            load_bundle(Path(self.inputs.bundle)),
            values,
            brain,
            device=self.inputs.device,
            batch_size=_value(self.inputs.batch_size),
            steps=_value(self.inputs.steps),
            seed=self.inputs.seed,
            covariates=self.inputs.covariates,
        )
        found = {name: getattr(result, name) for name in ("pseudo_healthy", "spread", "anomaly")}
        if result.pseudo_healthy is not None:
            found["residual"] = (values - result.pseudo_healthy) * brain
        outputs: dict = {"evaluations": result.evaluations}
        for name, array in found.items():
            if array is not None:
                image = scan.__class__(array.astype(np.float32), scan.affine, scan.header)
                outputs[name] = save_image(image, folder / f"{name}.nii.gz")
        return outputs


def _value(trait):
    return trait if isdefined(trait) else None
