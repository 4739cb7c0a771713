"""Commands that open maps in other programs name files that are there, by their options."""

import shlex
from html import escape

import pytest

from bids_anomaly.bids.naming import output_path
from bids_anomaly.preprocessing.template import TEMPLATE
from bids_anomaly.reports.commands import viewer_commands
from bids_anomaly.reports.session_page import SessionPage, write_session_page

ANAT = "sub-01/ses-2/anat/sub-01_ses-2"


@pytest.fixture
def write(tmp_path, session_record):
    """Give a function that writes outputs of the first scan and returns the commands."""
    record = session_record("FLAIR", "T1w", session="2")

    def write(*outputs, space=None, spaces=("native",)):
        for output, extension in outputs:
            path = output_path(
                tmp_path,
                output,
                record.scans[0].entities,
                modality="FLAIR",
                space=space,
                extension=extension,
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
        return viewer_commands(tmp_path, session_record("FLAIR", "T1w", session="2", spaces=spaces))

    return write


MAPS = (("preproc", ".nii.gz"), ("zscore", ".nii.gz"), ("lesions", ".nii.gz"))
TABLES = (("lesions", ".txt"), ("lesions", ".ctab"), ("lesions", ".lut"))


def test_each_program_gets_scan_scores_and_named_lesions(write):
    commands = write(*MAPS, *TABLES)
    lesions = f"{ANAT}_desc-lesionsFLAIR_dseg"
    scan, zscore = (f"{ANAT}_desc-{name}_FLAIR.nii.gz" for name in ("preproc", "zscore"))
    fsleyes, freeview, itksnap = (shlex.split(commands[name]) for name in commands)
    assert list(commands) == ["FSLeyes", "freeview", "ITK-SNAP"]
    assert fsleyes[:3] == ["fsleyes", scan, zscore]
    assert fsleyes[-5:] == [
        f"{lesions}.nii.gz",
        "--overlayType",
        "label",
        "--lut",
        f"{lesions}.lut",
    ]
    assert freeview[:3] == ["freeview", "-v", scan]
    assert freeview[-1] == f"{lesions}.nii.gz:colormap=lut:lut={lesions}.ctab"
    assert itksnap == [
        *("itksnap", "-g", scan, "-o", zscore),
        *("-s", f"{lesions}.nii.gz", "-l", f"{lesions}.txt"),
    ]


def test_colours_begin_at_the_threshold(write, session_record):
    commands = write(*MAPS)
    lowest = f"{session_record('FLAIR').threshold.z:.2f}"
    assert f"--displayRange {lowest} " in commands["FSLeyes"]
    assert f"heatscale={lowest}," in commands["freeview"]


def test_what_is_not_there_is_not_named(write):
    assert write() == {}
    commands = write(MAPS[0])
    assert all(command.count("sub-01") == 2 for command in commands.values())  # folder and file
    commands = write(*MAPS)
    assert all("lut" not in commands[name] for name in ("FSLeyes", "ITK-SNAP"))
    assert commands["freeview"].endswith(":colormap=lut")


def test_without_maps_in_the_grid_of_the_scan_those_in_the_template_are_opened(write):
    commands = write(*MAPS[:2], space=TEMPLATE, spaces=(TEMPLATE,))
    assert f"{ANAT}_space-{TEMPLATE}_desc-zscore_FLAIR.nii.gz" in commands["FSLeyes"]


def test_the_page_shows_commands_as_text_with_a_button_for_each(tmp_path):
    commands = {"FSLeyes": "fsleyes a.nii.gz", "ITK-SNAP": "itksnap -g <i>.nii.gz"}
    write_session_page(tmp_path / "page.html", SessionPage(title="sub-01", commands=commands))
    page = (tmp_path / "page.html").read_text()
    for number, command in enumerate(commands.values(), start=1):
        assert f'<pre id="command-{number}" class="command">{escape(command)}</pre>' in page
        assert f'data-copy="command-{number}"' in page
    write_session_page(tmp_path / "page.html", SessionPage(title="sub-01"))
    assert "Open in another viewer" not in (tmp_path / "page.html").read_text()
