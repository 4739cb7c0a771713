"""Names and colours of labels, as three viewers read them."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bids_anomaly.bids.label_tables import (
    coloured,
    for_freeview,
    for_fsleyes,
    for_itksnap,
    write_label_tables,
)
from bids_anomaly.preprocessing.atlas import atlas_regions

ROWS = [(1, "lesion-1", 12.5), (2, 'the "second" one', 3.0), (1031, "third", 2.0)]


def test_labels_have_colours_of_their_own_that_stay_the_same():
    labels = coloured(atlas_regions())
    colours = [label.colour for label in labels]
    assert labels == coloured(atlas_regions())
    assert len(set(colours)) == len(colours) == len(atlas_regions())
    assert all(0 <= share <= 255 for colour in colours for share in colour)
    for one, other in pairwise(colours):
        assert max(abs(a - b) for a, b in zip(one, other, strict=True)) > 60


def test_itksnap_reads_value_colour_opacity_what_is_shown_and_a_name_in_quotes():
    lines = for_itksnap(coloured(ROWS)).splitlines()
    line = re.compile(r'(\d+) (\d+) (\d+) (\d+) ([01]) ([01]) ([01]) "([^"]*)"')
    read = [line.fullmatch(one).groups() for one in lines if not one.startswith("#")]
    assert [(one[0], one[7]) for one in read] == [
        ("0", "Clear Label"),
        ("1", "lesion-1"),
        ("2", "the second one"),
        ("1031", "third"),
    ]
    assert read[0][1:7] == ("0",) * 6
    assert all(one[4:7] == ("1", "1", "1") for one in read[1:])


def test_freeview_reads_names_without_spaces_and_whole_colours():
    lines = for_freeview(coloured(ROWS)).splitlines()
    read = [line.split() for line in lines if not line.startswith("#")]
    assert {len(one) for one in read} == {6}
    assert [one[:2] for one in read[:2]] == [["0", "Unknown"], ["1", "lesion-1"]]
    assert all(0 <= int(share) <= 255 for one in read for share in one[2:5])


@given(names=st.lists(st.sampled_from(["a", "b c", "d-1"]), min_size=1))
def test_fsleyes_reads_shares_of_colours_and_names_with_spaces(names):
    text = for_fsleyes(coloured(enumerate(names, start=3)))
    read = [line.split(" ", 4) for line in text.splitlines()]
    assert [int(one[0]) for one in read] == list(range(3, 3 + len(names)))
    assert [one[4] for one in read] == names
    assert all(0 <= float(share) <= 1 for one in read for share in one[1:4])


def test_tables_lie_beside_the_image_and_may_be_empty(tmp_path):
    image = tmp_path / "sub-01_desc-lesionsFLAIR_dseg.nii.gz"
    written = write_label_tables(image, [])
    assert [path.name for path in written] == [
        f"sub-01_desc-lesionsFLAIR_dseg{ending}" for ending in (".txt", ".ctab", ".lut")
    ]
    assert written[2].read_text() == ""
    assert all(path.is_file() for path in written)
