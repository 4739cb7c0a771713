"""The group level reads what readers of reports saved."""

import pytest

from bids_anomaly.bids.ratings import COLUMNS, Rating, read_ratings
from bids_anomaly.bids.tables import read_table
from bids_anomaly.cli.main import main
from bids_anomaly.exceptions import NothingFoundError
from bids_anomaly.group.people import find_members
from bids_anomaly.preprocessing.template import TEMPLATE
from bids_anomaly.reports.ratings import rating_form

MASK = f"space-{TEMPLATE}_label-lesion_desc-anomalyT1w_mask.nii.gz"


def rate(folder, file, *rows):
    """Write a table of ratings: participant, session, rating, comment, rater and time."""
    path = folder / "ratings" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(COLUMNS), *("\t".join((*row, "0.1.0")) for row in rows)]
    path.write_text("\n".join(lines) + "\n")


def read(folder):
    told = []
    return read_ratings(folder, told.append), told


def test_without_ratings_there_are_none(tmp_path):
    assert read(tmp_path) == ({}, [])


def test_the_last_rating_of_a_rater_counts_and_the_worst_of_several_raters(tmp_path):
    rate(tmp_path, "sub-01_rating.tsv", ("sub-01", "n/a", "reject", "moved", "A", "2026-01-01T10"))
    rate(
        tmp_path,
        "sub-01_rating (1).tsv",
        ("sub-01", "n/a", "accept", "n/a", "A", "2026-01-02T10"),
        ("sub-01", "n/a", "doubtful", "noise", "B", "2026-01-01T10"),
        ("sub-02", "ses-1", "accept", "n/a", "n/a", "2026-01-01T10"),
    )
    assert read(tmp_path) == (
        {"sub-01": Rating("doubtful", "noise"), "sub-02_ses-1": Rating("accept")},
        [],
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no table of ratings"),
        ("participant_id\trating\nsub-01\taccept\n", "no table of ratings"),
        ("\t".join(COLUMNS) + "\nsub-01\tn/a\tgreat\tn/a\tA\t2026\t0.1.0\n", "'great'"),
        ("\t".join(COLUMNS) + "\nsub-01\tn/a\n", "no table of ratings"),
    ],
)
def test_what_is_no_rating_is_left_out_and_said(content, said, tmp_path):
    rate(tmp_path, "b.tsv", ("sub-02", "n/a", "accept", "n/a", "A", "2026"))
    (tmp_path / "ratings" / "a.tsv").write_text(content)
    ratings, (told,) = read(tmp_path)
    assert ratings == {"sub-02": Rating("accept")}
    assert "a.tsv" in told
    assert said in told


def touch(folder, *sessions):
    for session in sessions:
        path = folder / "sub-01" / f"ses-{session}" / "anat" / f"sub-01_ses-{session}_{MASK}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_rejected_session_does_not_stand_for_the_person(tmp_path):
    touch(tmp_path, "1", "2")
    rate(tmp_path, "a.tsv", ("sub-01", "ses-1", "reject", "moved", "A", "2026"))
    first, second = find_members(tmp_path)
    assert (first.is_rejected, first.is_first) == (True, False)
    assert (second.is_rejected, second.is_first) == (False, True)


def test_where_all_are_rejected_it_is_said(tmp_path):
    touch(tmp_path, "1")
    rate(tmp_path, "a.tsv", ("sub-01", "ses-1", "reject", "moved", "A", "2026"))
    with pytest.raises(NothingFoundError, match="All 1 sessions were rejected"):
        find_members(tmp_path)


def test_the_group_level_lists_ratings_and_leaves_out_what_is_rejected(tmp_path, synthetic):
    synthetic.write_dataset(tmp_path, [{"participant_id": f"sub-{i}"} for i in range(3)])
    for i in range(3):
        synthetic.write_result(tmp_path, str(i), balls=[((-30, 0, 30), 6)])
    rate(
        tmp_path,
        "a.tsv",
        ("sub-1", "n/a", "reject", "moved a lot", "A", "2026"),
        ("sub-2", "n/a", "doubtful", "n/a", "A", "2026"),
    )
    assert main([str(tmp_path / "nowhere"), str(tmp_path), "group"]) == 0
    people = read_table(tmp_path / "group" / "desc-people_stats.tsv")
    assert [(row["participant_id"], row["rating"]) for row in people] == [
        ("sub-0", "n/a"),
        ("sub-2", "doubtful"),
    ]
    page = (tmp_path / "group.html").read_text()
    assert "It is rated reject: moved a lot" in page
    assert "<h2>1 session left out</h2>" in page
    assert "<td>doubtful</td>" in page
    # It is in the table of participants, and is not among those who have no results.
    assert "have no results" not in page


def test_what_the_form_of_a_report_saves_is_read():
    """The form knows the columns that the group level asks for, in their order."""
    assert rating_form("sub-01_ses-2", "0.1.0")[:4] == (
        "sub-01",
        "ses-2",
        "0.1.0",
        "sub-01_ses-2_rating.tsv",
    )
    assert rating_form("sub-01", "0.1.0").session == "n/a"
    assert rating_form("sub-01", "0.1.0").columns == tuple(COLUMNS)
