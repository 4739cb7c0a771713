"""``bids-anomaly-models`` by its command."""

import shutil
import subprocess
import sys

import pytest

from bids_anomaly.cli.models import main
from bids_anomaly.exceptions import ExitCode
from bids_anomaly.reconstruction.bundle import named_bundle, packaged_bundles


def test_the_list_has_every_packaged_bundle_and_family(capsys):
    assert main(["list"]) == 0
    families, status, _, head, *rows = capsys.readouterr().out.splitlines()
    assert families == (
        "Families for --model: ae, anoddpm, cadd, cddpm, dae, features, guided, pddpm, "
        "restore (default), threshold, vae"
    )
    assert status.startswith("Weights of status comparison are from a short training")
    assert head.split()[:5] == ["Name", "Modality", "Version", "Method", "Status"]
    for bundle, row in zip(packaged_bundles(), rows, strict=True):
        said = [bundle.name, bundle.modality, bundle.version, bundle.method, bundle.status]
        assert row.split()[:5] == said


def test_a_model_is_shown_with_its_card_and_facts(capsys):
    assert main(["show", "restore-T1w"]) == 0
    shown = capsys.readouterr().out
    bundle = named_bundle("restore-T1w")
    for text in ("Intended use", "Where it fails", bundle.description["sha256"], "0.2 (default)"):
        assert text in shown


def test_a_model_for_comparison_says_so(capsys):
    assert main(["show", "anoddpm-T1w"]) == 0
    assert "Weights are" in capsys.readouterr().out
    assert main(["show", "restore-T1w"]) == 0
    assert "Weights are" not in capsys.readouterr().out


def test_a_folder_can_be_shown_and_cannot_steer_the_terminal(tmp_path, capsys):
    folder = shutil.copytree(named_bundle("threshold-T1w").folder, tmp_path / "mine")
    (folder / "README.md").write_text("# Mine\n\n\x1b[2Jgone\x07")
    assert main(["show", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "# Mine" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_a_page_is_written_instead(tmp_path, capsys):
    page = tmp_path / "new" / "model.html"
    assert main(["show", "restore-T1w", "--html", str(page)]) == 0
    assert capsys.readouterr().out == f"Wrote {page}.\n"
    assert page.read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("name", ["restore-T3w", "nowhere/at/all", ""])
def test_an_unknown_model_is_one_sentence_with_the_known_ones(name, capsys):
    assert main(["show", name]) == ExitCode.UNAVAILABLE
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert repr(name) in said
    assert "restore-T1w" in said


def test_damaged_weights_are_told(tmp_path, capsys):
    folder = shutil.copytree(named_bundle("restore-T1w").folder, tmp_path / "mine")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert main(["show", str(folder)]) == ExitCode.UNAVAILABLE
    assert "checksum" in capsys.readouterr().err


def test_a_page_that_cannot_be_written_is_told(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    page = tmp_path / "file" / "model.html"
    assert main(["show", "threshold-T1w", "--html", str(page)]) == ExitCode.CANNOT_WRITE
    assert str(page) in capsys.readouterr().err


def test_help_imports_nothing_heavy():
    program = (
        "import sys; from bids_anomaly.cli.models import main\n"
        "try: main(['--help'])\n"
        "finally: print(*{'numpy', 'torch', 'rich', 'nibabel'} & set(sys.modules), file=sys.stderr)"
    )
    asked = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "show" in asked.stdout
    assert asked.stderr.strip() == ""
