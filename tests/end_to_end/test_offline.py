"""All commands work with the network cut, as it is on the nodes of many clusters."""

import subprocess
import sys

import pytest

# A user namespace, so that no rights are needed, with a network of its own in which nothing is up.
CUT = ("unshare", "--map-root-user", "--net", "--")


def offline(*command) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*CUT, sys.executable, *map(str, command)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module", autouse=True)
def _network_can_be_cut():
    try:
        cut = offline("-c", "import socket; socket.create_connection(('127.0.0.1', 9))")
    except FileNotFoundError:
        pytest.skip("there is no unshare on this machine")
    if "Network is unreachable" not in cut.stderr:
        pytest.skip(f"this machine lets nobody cut the network: {cut.stderr}")


@pytest.mark.slow
def test_demo_participant_and_group_need_no_network(tmp_path, assert_valid_bids):
    demo = offline("-m", "bids_anomaly.cli.demo", tmp_path / "demo")
    assert demo.returncode == 0, demo.stderr
    assert "Dice of what is marked with the lesion" in demo.stdout

    # With the validation of the input, which the demo leaves out, and one person only.
    bids, out = tmp_path / "demo" / "bids", tmp_path / "out"
    person = offline(
        *("-m", "bids_anomaly.cli.main", bids, out, "participant"),
        *("--participant-label", "demo01", "-w", tmp_path / "work"),
    )
    assert person.returncode == 0, person.stderr
    assert_valid_bids(out)

    derivatives = tmp_path / "demo" / "derivatives"
    group = offline("-m", "bids_anomaly.cli.main", bids, derivatives, "group")
    assert group.returncode == 0, group.stderr
    assert (derivatives / "group.html").stat().st_size > 0
    assert_valid_bids(derivatives)
