"""Show what changed in a participant since the session before: in words, a table and pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage

from bids_anomaly.bids.comparisons import Comparison, plan_comparisons
from bids_anomaly.bids.naming import sidecar_path
from bids_anomaly.bids.reading import read_object
from bids_anomaly.bids.records import SessionRecord
from bids_anomaly.bids.tables import MISSING, read_table
from bids_anomaly.reports import views
from bids_anomaly.reports.figures import (
    GREY,
    ORANGE,
    SIGNED,
    SKY,
    WHITE,
    Contour,
    Overlay,
    Scale,
    Strip,
    brightest,
    draw,
    strip,
)
from bids_anomaly.reports.finding import place_in_words
from bids_anomaly.reports.maps import load_map
from bids_anomaly.reports.numbers import counted, in_millilitres, millilitres, two_digits
from bids_anomaly.reports.sentences import say
from bids_anomaly.reports.tables import (
    Row,
    Table,
    location_in_words,
    places_of,
    region_in_words,
)

# The largest changes come first; the rest stands in the files.
MOST_LESIONS, MOST_SLICES = 100, 5
MOST_STATEMENTS = 3
UNCHANGED = "unchanged"
# What became of a finding, by its verdict.
IN_WORDS = {
    "new": "new",
    "grown": "larger",
    "shrunk": "smaller",
    "gone": "gone",
    UNCHANGED: "below detection",
}
RISING, FALLING = ("new", "grown"), ("gone", "shrunk")
SCORE_LIMIT = 12.0
TILE_WIDTH = 480
APART_MM = 8.0


class ChangeSection(NamedTuple):
    """What changed in the scans of one modality.

    Attributes
    ----------
    scan : str
        Name of the later scan.
    title, headline, note : str
        Which scans these are, what changed, and how sure that is.
    table : Table
        Of lesions, the largest change first.
    strips : list of Strip
        Slices of both scans and of the change.
    """

    scan: str
    title: str
    headline: str
    note: str
    table: Table
    strips: list[Strip]


class Later(NamedTuple):
    """Where it stands what changed after this session: label of the next one, and its page."""

    label: str
    page: str


class ChangeReport(NamedTuple):
    """What a session's report says of other sessions.

    Attributes
    ----------
    sections : list of ChangeSection
        Change since the session before, that of the primary scan first.
    later : list of Later
        Sessions that were compared with this one.
    warnings : list of str
        What could not be compared, and why.
    """

    sections: list[ChangeSection]
    later: list[Later]
    warnings: list[str]

    def of_scan(self, name: str) -> str:
        """Return what changed in a scan, empty if that is not known."""
        return next((section.headline for section in self.sections if section.scan == name), "")


def read_change(output_dir: Path, record: SessionRecord, *, in_viewer: bool) -> ChangeReport:
    """Gather what is known of the change from and to a session.

    Parameters
    ----------
    output_dir : Path
        Derivative dataset.
    record : SessionRecord
        Of the session.
    in_viewer : bool
        Whether the page has a viewer of the template, which goes where a lesion is.
    """
    entities = record.scans[0].entities
    if "ses" not in entities:
        return ChangeReport([], [], [])
    plan = plan_comparisons(output_dir, entities["sub"])
    done, missing = [], []
    for comparison in plan.comparisons:
        is_done = comparison.result(output_dir, "changes", ".tsv").is_file()
        (done if is_done else missing).append(comparison)
    later = dict.fromkeys(
        comparison.records[1].label
        for comparison in done
        if comparison.records[0].label == record.label
    )
    sections = [
        _section(output_dir, comparison, in_viewer=in_viewer)
        for comparison in done
        if comparison.records[1].label == record.label
    ]
    return ChangeReport(
        sorted(sections, key=lambda section: section.scan != record.primary),
        [Later(label, f"{label}.html") for label in later],
        [
            say(refusal.reason, **refusal.told)
            for refusal in plan.refusals
            if refusal.label == record.label
        ]
        + [_not_yet(each) for each in missing if each.records[1].label == record.label],
    )


def _not_yet(comparison: Comparison) -> str:
    first, second = (scan.name for scan in comparison.scans)
    return say("not_compared", first=first, second=second)


def _section(output_dir: Path, comparison: Comparison, *, in_viewer: bool) -> ChangeSection:
    path = comparison.result(output_dir, "changes", ".tsv")
    rows = read_table(path)
    seen = [row for row in rows if float(row["volume_first"]) or float(row["volume_second"])]
    about = read_object(sidecar_path(path))
    changed = [row for row in seen if row["verdict"] != UNCHANGED]
    changed.sort(key=lambda row: -abs(float(row["change"])))
    unchanged = [row for row in seen if row["verdict"] == UNCHANGED]
    first, second = (f"ses-{label}" for label in comparison.sessions)
    return ChangeSection(
        scan=comparison.scans[1].name,
        title=f"{comparison.modality} since {first}",
        headline=_headline(changed, len(unchanged), comparison.modality, first),
        note=_note(about, comparison),
        table=_table(
            [*changed, *unchanged],
            len(changed),
            first,
            second,
            unseen=len(rows) - len(seen),
            in_viewer=in_viewer,
        ),
        strips=_strips(output_dir, comparison, rows, changed, float(about["Limit"])),
    )


def _headline(changed: Sequence[Row], unchanged: int, modality: str, first: str) -> str:
    """Say what changed, each change once; volumes of findings below detection would mislead."""
    about = {"scan": modality, "session": first}
    if not changed and not unchanged:
        return say("change_nothing", **about)
    said = say("change_none", **about)
    if changed:
        changes = [_statement(row) for row in changed[:MOST_STATEMENTS]]
        if more := len(changed) - len(changes):
            changes.append(f"and {counted(more, 'more change')}")
        said = say("change", changes="; ".join(changes), **about)
    if changed and unchanged:
        said += " " + say("change_undetected", findings=counted(unchanged, "finding"))
    return said


def _statement(row: Row) -> str:
    """Say of one finding what became of it."""
    volumes = {when: in_millilitres(float(row[f"volume_{when}"])) for when in ("first", "second")}
    where = "" if row["region"] == MISSING else f" {place_in_words(row)}"
    # Nothing stood there before, and nothing stands there now.
    if row["verdict"] == "new":
        return f"new{where and ' in'}{where}, {volumes['second']}"
    if row["verdict"] == "gone":
        return f"gone{where and ' from'}{where}, {volumes['first']} before"
    what = f"{IN_WORDS[row['verdict']]}{where and ' in'}{where}"
    return f"{what}, {volumes['first']} before, {volumes['second']} now"


def _note(about: dict[str, Any], comparison: Comparison) -> str:
    how = say(
        "change_how",
        compared=f"{100 * about['Compared']:.0f}",
        noise=two_digits(about["Noise"]),
        shift=two_digits(about["Shift"]),
        limit=two_digits(about["Limit"]),
        volume=in_millilitres(comparison.records[0].threshold.min_lesion_volume),
    )
    return f"{how} {say('change_worth')}"


def _table(
    rows: Sequence[Row], changed: int, first: str, second: str, *, unseen: int, in_viewer: bool
) -> Table:
    shown = rows[:MOST_LESIONS]
    located = in_viewer and all(row["centroid_x"] != MISSING for row in shown)
    note = [say("changed_rows", changed=changed, findings=counted(len(rows), "finding"))]
    if len(rows) > len(shown):
        note.append(say("changed_shown", shown=len(shown)))
    if shown:
        note += [say("choose_place")] if located else []
        note += [say("changed_volumes"), say("worth")]
    if len(rows) > changed:
        note.append(say("below_detection"))
    if unseen:
        note.append(say("unseen", findings=counted(unseen, "finding")))
    return Table(
        "Findings over time",
        " ".join(note),
        ["Finding", "Change", f"{first} (ml)", f"{second} (ml)", "Region", "Location"],
        [
            [
                row["index"],
                IN_WORDS[row["verdict"]],
                millilitres(float(row["volume_first"])),
                millilitres(float(row["volume_second"])),
                "" if row["region"] == MISSING else region_in_words(row["region"]),
                location_in_words(row),
            ]
            for row in shown
        ],
        numeric=(2, 3),
        places=places_of(shown) if located else (),
        what="finding",
    )


def _strips(
    output_dir: Path,
    comparison: Comparison,
    rows: Sequence[Row],
    changed: Sequence[Row],
    limit: float,
) -> list[Strip]:
    """Draw both scans and the change in the slices of the largest changes."""
    space = comparison.space
    scans, lesions = (
        [_values(comparison.of_scan(output_dir, output, which, space)) for which in (0, 1)]
        for output in ("preproc", "anomaly")
    )
    image = load_map(comparison.result(output_dir, "change"))
    score = image.get_fdata(dtype=np.float32)
    compared = _values(comparison.result(output_dir, "brain")) > 0
    labels = _values(comparison.result(output_dir, "changes")).astype(np.int32)
    spacing = voxel_sizes(image.affine)
    slices = _slices(labels, changed, compared, float(spacing[2]))
    window = views.window_around(compared, margin=4)
    planes = [views.tight_view(views.AXIAL, index, window, spacing) for index in slices]
    groups = {
        colour: np.isin(labels, [int(row["index"]) for row in rows if row["verdict"] in verdicts])
        for colour, verdicts in ((WHITE, (UNCHANGED,)), (ORANGE, RISING), (SKY, FALLING))
    }
    grey = Scale(GREY, 0, max(brightest(scan, compared) for scan in scans))
    sessions = [f"ses-{label}" for label in comparison.sessions]
    columns = []
    for session, scan, own in zip(sessions, scans, lesions, strict=True):
        columns.append(
            draw(
                planes,
                scan,
                grey,
                width=TILE_WIDTH,
                alts=[
                    f"{comparison.modality} of {session} in the space half way, axial slice "
                    f"{view.index + 1} of {labels.shape[2]}, findings outlined"
                    for view in planes
                ],
                lines=[Contour(own * group, [0.5], colour) for colour, group in groups.items()],
            )
        )
    opacity = np.clip(np.abs(score) - (limit - 1), 0, 1) * compared
    columns.append(
        draw(
            planes,
            np.mean(scans, axis=0) * np.float32(0.7),
            grey,
            width=TILE_WIDTH,
            alts=[
                f"Change of the z-score from {sessions[0]} to {sessions[1]}, axial slice "
                f"{view.index + 1} of {labels.shape[2]}, changed findings outlined"
                for view in planes
            ],
            overlay=Overlay(score, Scale(SIGNED, -SCORE_LIMIT, SCORE_LIMIT), opacity),
            lines=[Contour(groups[colour], [0.5], colour) for colour in (ORANGE, SKY)],
        )
    )
    captions = [*sessions, "Change"]
    return [
        strip(
            f"Slice {view.index + 1}",
            _in_slice(labels[:, :, view.index], changed),
            pictures,
            captions,
        )
        for view, *pictures in zip(planes, *columns, strict=True)
    ]


def _slices(
    labels: np.ndarray, changed: Sequence[Row], compared: np.ndarray, spacing: float
) -> list[int]:
    """Choose the slices of the largest changes, some distance apart; some of the brain else."""
    chosen: list[int] = []
    boxes = ndimage.find_objects(labels)
    for row in changed:
        box = boxes[int(row["index"]) - 1]
        area = (labels[box] == int(row["index"])).sum(axis=(0, 1))
        index = box[2].start + int(np.argmax(area))
        if all(abs(index - other) * spacing >= APART_MM for other in chosen):
            chosen.append(index)
        if len(chosen) == MOST_SLICES:
            break
    return sorted(chosen) or views.axial_slices(compared, labels > 0, 3)


def _in_slice(labels: np.ndarray, changed: Sequence[Row]) -> str:
    """Name the changed lesions in a slice."""
    there = set(np.unique(labels).tolist())
    named = [
        f"{IN_WORDS[row['verdict']]}: {row['index']}"
        for row in changed
        if int(row["index"]) in there
    ]
    if len(named) > 4:
        named = [*named[:4], f"{len(named) - 4} more"]
    return "; ".join(named) or "no change that can be detected"


def _values(path: Path) -> np.ndarray:
    return load_map(path).get_fdata(dtype=np.float32)
