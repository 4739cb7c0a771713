import pytest

from bids_anomaly.bids.sidecars import sidecar
from bids_anomaly.reconstruction.bundle import named_bundle
from bids_anomaly.scoring.findings import Threshold


def described(output, bundle, steps):
    return sidecar(
        output,
        sources=["bids:raw:x"],
        already_stripped=False,
        model=named_bundle(bundle).named(steps),
        threshold=Threshold(),
        resolution=None,
    )


@pytest.mark.parametrize(
    "output", ["pseudohealthy", "residual", "zscore", "anomaly", "lesions", "regions", "atlas"]
)
def test_what_a_model_made_says_by_which_and_in_how_many_steps(output):
    model = described(output, "restore-T1w", 8)["Model"]
    bundle = named_bundle("restore-T1w")
    assert model == {
        "Name": "restore-T1w",
        "Version": bundle.version,
        "Method": "restore",
        "Digest": f"sha256:{bundle.digest}",
        "Steps": 8,
    }


def test_a_method_without_steps_says_none():
    assert "Steps" not in described("zscore", "threshold-T1w", None)["Model"]


def test_a_scan_is_of_no_model():
    assert "Model" not in described("preproc", "restore-T1w", 2)
