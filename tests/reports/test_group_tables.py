"""What the tables of the page of the group level hold."""

from bids_anomaly.group.burden import read_burden
from bids_anomaly.group.people import SESSION, find_members
from bids_anomaly.reports.group_tables import people_list, quality_counts


def test_a_flag_of_another_version_is_shown_by_its_own_name(tmp_path, synthetic):
    synthetic.write_result(tmp_path, "01", flagged=["noise", "ghosting"])
    (member,) = find_members(tmp_path)
    path = member.file("quality", SESSION)
    path.write_text(path.read_text().replace("ghosting", "wobble"))
    burdens = [read_burden(member, {}) for member in find_members(tmp_path)]
    (person,) = people_list(tmp_path, burdens, None).rows
    assert person.flags == "WM noise (T1w), wobble (T1w)"
    assert {row[0] for row in quality_counts(burdens).rows} == {"WM noise", "wobble"}
