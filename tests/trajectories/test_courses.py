"""What is read of a table, and what is refused."""

import numpy as np
import pytest

from bids_anomaly.exceptions import BadTableError, ExitCode, MissingInputError, NothingFoundError
from bids_anomaly.trajectories.courses import FEWEST_PEOPLE, courses_of, read_visits

HEAD = ("participant_id", "session_id", "age", "sex", "size")


def rows(people: int = FEWEST_PEOPLE) -> list[list[str]]:
    """Three sessions of each person, two years apart."""
    return [
        [f"sub-{number:02}", f"ses-{session}", str(60 + number + 2 * session), "F", f"{session}.5"]
        for number in range(people)
        for session in range(3)
    ]


def write(path, lines, head=HEAD):
    path.write_text("\n".join("\t".join(line) for line in [head, *lines]) + "\n")
    return path


def test_a_course_begins_with_the_first_session_that_has_the_value(tmp_path):
    lines = rows()
    lines[0][4] = "n/a"
    visits = read_visits(write(tmp_path / "t.tsv", reversed(lines)))
    assert visits.columns == ["size"]
    (course,) = (one for one in courses_of(visits, "size") if one.participant == "sub-00")
    assert course.sessions == ("ses-1", "ses-2")
    np.testing.assert_allclose(course.years, [0, 2])
    assert course.age == 62
    assert "size is missing in sub-00 ses-0, left out for it." in visits.notes


def test_times_win_over_ages_of_the_first_session(tmp_path):
    lines = [[*row[:2], "70", row[3], row[4], str(1.5 * (number % 3))] for number, row in
             enumerate(rows())]  # fmt: skip
    visits = read_visits(write(tmp_path / "t.tsv", lines, (*HEAD, "Time")))
    np.testing.assert_allclose(courses_of(visits, "size")[0].years, [0, 1.5, 3])
    assert visits.columns == ["size"]


def test_columns_of_words_are_passed_over(tmp_path):
    lines = [[*row, "left"] for row in rows()]
    assert read_visits(write(tmp_path / "t.tsv", lines, (*HEAD, "hand"))).columns == ["size"]


def changed(row: int, column: int, text: str):
    lines = rows()
    lines[row][column] = text
    return lines


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (changed(1, 1, "ses-0"), "several rows for sub-00, ses-0"),
        (changed(1, 2, "60"), "the same age in ses-0 and ses-1 .* Add a column time"),
        (changed(1, 2, "n/a"), "no value for age of sub-00, ses-1"),
        (changed(1, 2, "old"), "'old' for age of sub-00, ses-1, which is no number"),
        (changed(1, 4, "large"), "'large' for size of sub-00, ses-1, which is no number"),
        (changed(1, 2, "900"), "years between sessions .* Give age in years"),
        (changed(1, 0, ""), "rows without participant_id"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(tmp_path, lines, said):
    with pytest.raises(BadTableError, match=said) as error:
        read_visits(write(tmp_path / "t.tsv", lines))
    assert error.value.exit_code == ExitCode.BAD_INPUT
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("lacking", ["participant_id", "age", "session_id"])
def test_a_missing_column_is_named(tmp_path, lacking):
    place = HEAD.index(lacking)
    head = [name for name in HEAD if name != lacking]
    lines = [[cell for at, cell in enumerate(row) if at != place] for row in rows()]
    with pytest.raises(MissingInputError, match=lacking):
        read_visits(write(tmp_path / "t.tsv", lines, head))


def test_an_unknown_value_is_named(tmp_path):
    with pytest.raises(MissingInputError, match=r"no column height .*--values"):
        read_visits(write(tmp_path / "t.tsv", rows()), ["height"])


def test_one_session_each_teaches_no_change(tmp_path):
    visits = read_visits(write(tmp_path / "t.tsv", rows()[::3]))
    with pytest.raises(NothingFoundError, match="Nobody has size in two sessions"):
        courses_of(visits, "size")


def test_few_people_are_too_few(tmp_path):
    visits = read_visits(write(tmp_path / "t.tsv", rows(FEWEST_PEOPLE - 1)))
    with pytest.raises(NothingFoundError, match=f"{FEWEST_PEOPLE - 1} with two sessions or more"):
        courses_of(visits, "size")


def test_a_value_that_never_changes_is_refused(tmp_path):
    lines = [[*row[:4], "1"] for row in rows()]
    with pytest.raises(BadTableError, match="size is the same"):
        courses_of(read_visits(write(tmp_path / "t.tsv", lines)), "size")
