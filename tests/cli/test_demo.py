import pytest

from bids_anomaly.cli.demo import main


@pytest.mark.parametrize("seed", ["-1", "1.5", "one"])
def test_a_seed_that_is_no_whole_number_is_wrong_use(seed, tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main([str(tmp_path / "demo"), f"--seed={seed}"])
    assert left.value.code == 2
    assert f"a whole number of 0 or more is needed, not '{seed}'" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()
