from pathlib import Path
from types import SimpleNamespace

import pytest

from bids_anomaly.bids.scans import Scan, Session
from bids_anomaly.cli.participant import _announce
from bids_anomaly.running.console import make_console


def session(participant, *modalities):
    name = f"sub-{participant}/anat/sub-{participant}"
    return Session(
        participant,
        None,
        tuple(Scan(Path(f"{name}_{m}.nii.gz"), {"sub": participant}, m) for m in modalities),
    )


@pytest.mark.parametrize(
    ("primary", "lacking"),
    [(None, ()), ("T1w", ()), ("FLAIR", ("sub-02",)), ("T2w", ("sub-01", "sub-02"))],
)
def test_sessions_without_the_scan_that_is_to_lead_are_named_before_the_run(
    primary, lacking, capsys
):
    settings = SimpleNamespace(primary=primary, device="cpu", nprocs=1, steps=None)
    _announce(settings, [session("01", "T1w", "FLAIR"), session("02", "T1w")], {}, make_console())
    printed = capsys.readouterr().err
    warning = f"Warning: {', '.join(lacking)}: no {primary} scan, so another one leads."
    assert (warning in printed) == bool(lacking)
    assert printed.count("Warning") == bool(lacking)
