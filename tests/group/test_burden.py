import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_anomaly.bids.tables import MISSING
from bids_anomaly.exceptions import BadScanError
from bids_anomaly.group.burden import REGIONS, modified_z, read_burden
from bids_anomaly.group.maps import load_maps
from bids_anomaly.group.people import SESSION, find_members
from bids_anomaly.group.tables import people_table
from bids_anomaly.preprocessing.template import OUTPUT_GRID
from bids_anomaly.scoring.locations import LOCATIONS

VOXEL_MM3 = OUTPUT_GRID.voxel_volume


@pytest.fixture
def member(tmp_path, synthetic):
    balls = [((-28.0, -24.0, 30.0), 8.0), ((30.0, 20.0, 20.0), 4.0)]
    synthetic.write_result(
        tmp_path, "01", balls=balls, modalities=("T1w", "FLAIR"), flagged=["noise", "ghosting"]
    )
    return find_members(tmp_path)[0]


def test_the_tables_of_a_person_add_up(member):
    burden = read_burden(member, {"age": "50"})
    mask, _ = load_maps(member)
    assert burden.volume == pytest.approx(mask.sum() * VOXEL_MM3, rel=1e-4)
    assert burden.regions.sum() == pytest.approx(burden.volume, rel=1e-3)
    assert burden.lesions == {"T1w": 2, "FLAIR": 2}
    assert set(burden.region_z) == {"T1w", "FLAIR"}
    assert len(burden.fractions) == len(REGIONS)
    assert burden.flags == (("sub-01_T1w", "noise"), ("sub-01_T1w", "ghosting"))


def test_lesions_are_counted_by_where_they_are(member):
    burden = read_burden(member, {})
    assert list(burden.locations) == list(LOCATIONS)
    assert sum(count for count, _ in burden.locations.values()) == burden.lesion_count
    assert sum(volume for _, volume in burden.locations.values()) == pytest.approx(burden.volume)
    path = member.file("lesions", member.primary)
    header, *rows = (line.split("\t") for line in path.read_text().splitlines())
    place = header.index("location")
    rows[0][place], rows[1][place] = "infratentorial", "deep white matter"
    path.write_text("\n".join("\t".join(row) for row in [header, *rows]) + "\n")
    columns, ((*cells,),) = people_table([read_burden(member, {})], {}, None)
    told = dict(zip(columns, cells, strict=True))
    assert {name: told[f"lesions_{name.replace(' ', '_')}"] for name in LOCATIONS} == {
        **dict.fromkeys(LOCATIONS, 0), "infratentorial": 1, "deep white matter": 1,
    }  # fmt: skip
    volume = float(rows[0][header.index("volume")])
    assert told["volume_infratentorial"] == pytest.approx(volume)
    # Results that do not say where lesions are do not have none.
    for row in [header, *rows]:
        del row[place]
    path.write_text("\n".join("\t".join(row) for row in [header, *rows]) + "\n")
    columns, ((*cells,),) = people_table([read_burden(member, {})], {}, None)
    told = dict(zip(columns, cells, strict=True))
    assert told["lesions_infratentorial"] == told["volume_infratentorial"] == MISSING


@pytest.mark.parametrize(
    ("output", "content"),
    [
        ("lesions", ""),
        ("lesions", "index\tvolume\tz_peak\n1\tmany\t3\n"),
        ("regions", "index\tname\n1\tx\n"),
        ("regions", "name\tvolume\tanomalous_volume\nx\t1\t1\n"),
        ("quality", "scan\tmeasure\n\x00"),
    ],
)
def test_a_broken_table_is_named_with_what_to_do(member, output, content):
    path = member.file(output, SESSION if output == "quality" else "FLAIR")
    path.write_text(content)
    with pytest.raises(BadScanError, match=rf"{path.name} .*(Run|run) the participant level again"):
        read_burden(member, {})


@pytest.mark.parametrize(("asked_for", "leads"), [(None, "FLAIR"), ("T1w", "T1w")])
def test_what_is_said_of_a_person_is_of_the_primary_scan(tmp_path, synthetic, asked_for, leads):
    masks = {
        modality: synthetic.write_result(
            tmp_path, "01", modalities=(modality,), balls=[((-28.0, -24.0, 30.0), radius)]
        )
        for modality, radius in (("T1w", 4.0), ("FLAIR", 9.0))
    }
    (member,) = find_members(tmp_path, primary=asked_for)
    burden = read_burden(member, {})
    volumes = {modality: mask.sum() * VOXEL_MM3 for modality, mask in masks.items()}
    assert burden.volume == pytest.approx(volumes[leads], rel=1e-4)
    assert burden.regions.sum() == pytest.approx(volumes[leads], rel=1e-3)
    assert burden.volumes == pytest.approx(volumes, rel=1e-4)
    np.testing.assert_array_equal(load_maps(member)[0], masks[leads])
    columns, (row,) = people_table([burden], {}, None)
    assert dict(zip(columns, row, strict=True))["primary"] == leads


def test_columns_of_participants_stand_beside_ours(member):
    known = {"participant_id": "sub-01", "lesions": "many", "note": "two\nlines\tand tabs"}
    burden = read_burden(member, known)
    columns, (row,) = people_table([burden], {"note": {"Description": "A note."}}, None)
    values = dict(zip(columns, row, strict=True))
    assert values["lesions"] == 2
    assert values["participants_lesions"] == "many"
    assert values["note"] == "two lines and tabs"
    assert columns["note"] == {"Description": "A note."}
    assert all("Description" in description for description in columns.values())


def test_no_two_columns_have_one_name(member):
    known = {
        "participant_id": "sub-01",
        "lesions": "of the table",
        "participants_lesions": "of an earlier group level",
        "=1+1": "a formula",
        "'=1+1": "a formula that was one",
        "session_id": "a session",
        "participants_session_id": "another",
    }
    columns, (row,) = people_table([read_burden(member, known)], {}, None)
    values = dict(zip(columns, row, strict=True))
    assert set(known.values()) - {"sub-01"} <= set(values.values())
    # What need not be called otherwise is not.
    assert values["participants_lesions"] == "of an earlier group level"
    assert values["participants_lesions_2"] == "of the table"
    assert columns["participants_lesions_2"]["Description"] == "Column lesions of participants.tsv."


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_the_median_is_no_outlier_and_larger_burdens_are_further_out(volumes):
    z = modified_z(np.sort(volumes), np.array(volumes))
    if np.isnan(z).any():  # at least half of the people are alike
        return
    assert (np.diff(z) >= 0).all()
    assert abs(np.median(z)) < 1e-6


def test_one_burden_among_small_ones_stands_out():
    volumes = np.array([100.0, 150.0, 90.0, 120.0, 130.0, 80_000.0])
    z = modified_z(volumes, volumes)
    assert (np.abs(z[:-1]) < 3.5).all()
    assert z[-1] > 3.5
