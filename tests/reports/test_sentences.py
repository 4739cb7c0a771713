"""What reports say is true of the sessions that they are about."""

import html
import json
import re
import runpy
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from bids_anomaly.bids.comparisons import plan_comparisons
from bids_anomaly.bids.naming import output_path, sidecar_path
from bids_anomaly.bids.records import SessionRecord
from bids_anomaly.bids.tables import read_table, write_table
from bids_anomaly.preprocessing.template import OUTPUT_GRID, TEMPLATE, Grid
from bids_anomaly.reports import change, scan_pictures
from bids_anomaly.reports.figures import Picture
from bids_anomaly.reports.numbers import counted, in_millilitres, percent, two_digits
from bids_anomaly.reports.sentences import SENTENCES, say
from bids_anomaly.reports.session import write_session_report
from bids_anomaly.reports.tables import region_in_words
from bids_anomaly.scoring.findings import Threshold
from bids_anomaly.scoring.quality_limits import MEASURES

GRID = Grid.isotropic((30, 36, 32), (-29.0, -40.0, -30.0), 2.0)
CHANGED = {"new": "new", "grown": "larger", "shrunk": "smaller", "gone": "gone"}
PLACES = (
    ("Frontal_WM_L", "periventricular"),
    ("Putamen_R", "other"),
    ("Occipital_WM_R", "juxtacortical"),
    ("Parietal_WM_L", "deep white matter"),
    ("BrainStem", "infratentorial"),
)
ABOUT = {"Sessions": ["1", "2"], "Noise": 0.3, "Shift": 0.2, "Limit": 4.2, "Compared": 0.93}


class Case(NamedTuple):
    """A session.

    Attributes
    ----------
    modality, reference : str
        Of its scan, and whose voxels that was compared with.
    findings : int
    share : float
        Of the brain that is marked.
    quality : tuple
        Values and limits of measures.
    changes : sequence of (verdict, first volume, second volume) or None
        None where there is no session before; "late" where the comparison is still to come.
    image : bool
        Whether there is a pseudo-healthy image.
    template : bool
        Whether maps are in the template.
    asked_for : str or None
    threshold : Threshold
    outside : bool
        Whether most of what is marked lies outside all regions.
    """

    modality: str = "T1w"
    reference: str = "28 healthy adults"
    findings: int = 0
    share: float = 0.001
    quality: tuple = (("noise", 0.01, 0.06),)
    changes: tuple | str | None = None
    image: bool = True
    template: bool = False
    asked_for: str | None = None
    threshold: Threshold = Threshold()
    outside: bool = False


BASE = {
    "nothing": Case(),
    "one finding": Case(findings=1, template=True),
    "a finding at the edge": Case(findings=1, outside=True),
    "many findings at the edge": Case(findings=7, outside=True),
    "many findings": Case(
        findings=130,
        share=0.09,
        quality=(("noise", 0.5, 0.06), ("weakest_slice", 0.9, 0.7), ("ghosting", None, 0.19)),
    ),
    "a follow-up with a new finding": Case(
        findings=2,
        changes=(("unchanged", 0.0, 6670.0), ("new", 0.0, 2400.0), ("shrunk", 900.0, 300.0)),
    ),
    "a follow-up in the template with many changes": Case(
        findings=1,
        changes=(("new", 0.0, 240.0),) * 2 + (("gone", 80.0, 0.0),) * 100,
        template=True,
    ),
    "a follow-up with findings that one scan did not see": Case(
        findings=2, changes=(("unchanged", 64.0, 66.0), ("unchanged", 0.0, 0.0))
    ),
    "a follow-up without change": Case(findings=4, changes=(("unchanged", 64.0, 66.0),)),
    "a follow-up without findings": Case(changes=()),
    "a follow-up that is not compared yet": Case(changes="late", image=False),
    "another modality was asked for": Case(
        findings=3, asked_for="PDw", quality=(("grey_position", 0.2, None),)
    ),
}
# Each of them on three people: by modality, whose voxels they are compared with, how much more or
# less is marked, and by which threshold.
PEOPLE = (
    ("T1w", "28 healthy adults", 1.0, Threshold()),
    ("FLAIR", "lesion-free voxels of six patients", 0.8, Threshold(0.001, 30.0)),
    ("T2w", "7 healthy adults", 1.3, Threshold(0.004, 64.0)),
)
CASES = {
    f"{name}, {modality}": case._replace(
        modality=modality, reference=reference, share=case.share * more, threshold=threshold
    )
    for name, case in BASE.items()
    for modality, reference, more, threshold in PEOPLE
}


class Told(NamedTuple):
    """A session with what its tables say, those before it, and where its results are."""

    folder: Path
    before: list[SessionRecord]
    case: Case
    record: SessionRecord
    lesions: list[Mapping[str, str]]
    regions: list[Mapping[str, str]]
    changes: list[Mapping[str, str]]

    @property
    def volume(self) -> float:
        return sum(float(row["volume"]) for row in self.lesions)

    @property
    def marked_regions(self) -> list[Mapping[str, str]]:
        return [row for row in self.regions if float(row["anomalous_volume"]) > 0]

    @property
    def seen(self) -> list[Mapping[str, str]]:
        return [
            row for row in self.changes if float(row["volume_first"]) + float(row["volume_second"])
        ]

    @property
    def changed(self) -> list[Mapping[str, str]]:
        return [row for row in self.changes if row["verdict"] != "unchanged"]

    @property
    def judged(self) -> list[tuple]:
        return [each for each in self.case.quality if None not in each]

    @property
    def outside(self) -> list[tuple]:
        return [each for each in self.judged if each[0] == "noise" and each[1] > each[2]]

    def peak(self) -> Mapping[str, str]:
        return max(self.lesions, key=lambda row: float(row["z_peak"]))


def is_the_peak(told: Told, said: Mapping[str, str]) -> bool:
    """Whether a place and a z are those of the most unusual finding."""
    row = told.peak()
    place = said["place"].lower()
    how = "partly in" if told.case.outside else "in"
    return (
        said["z"] == two_digits(float(row["z_peak"]))
        and place.startswith(f"{how} {region_in_words(row['region']).lower()}")
        and (row["location"] == "other" or f"({row['location']})" in place)
    )


def counts_locations(told: Told, said: Mapping[str, str]) -> bool:
    """Whether numbers of findings by location are those of the table."""
    number = Counter(row["location"] for row in told.lesions)
    words = {"deep white matter": "in deep white matter", "other": "elsewhere"}
    parts = {f"{count} {words.get(name, name)}" for name, count in number.items()}
    return set(said["classes"].strip(" ()").split(", ")) == parts


def states_changes(told: Told, said: Mapping[str, str]) -> bool:
    """Whether there is one statement for each change, the largest first, or their number."""
    statements = said["changes"].split("; ")
    left = list(told.changed)
    if statements[-1].startswith("and "):
        if statements.pop() != f"and {counted(len(left) - len(statements), 'more change')}":
            return False
    elif len(statements) != len(left):
        return False
    left.sort(key=lambda row: -abs(float(row["change"])))
    for statement, row in zip(statements, left, strict=False):
        volumes = [
            in_millilitres(float(row[f"volume_{when}"]))
            for when in ("first", "second")
            if float(row[f"volume_{when}"])
        ]
        if not statement.startswith(CHANGED[row["verdict"]]):
            return False
        if re.findall(r"[\d.]+ ml", statement) != volumes:
            return False
    return True


def always(told: Told, said: Mapping[str, str]) -> bool:
    return True


def found(told: Told, said: Mapping[str, str]) -> bool:
    return bool(told.lesions)


def compared(told: Told, said: Mapping[str, str]) -> bool:
    return isinstance(told.case.changes, tuple)


# What makes each sentence true. What stands on every page is true of every session by itself: it
# explains a word, or says what a number is not.
CHECKS: dict[str, Callable[[Told, Mapping[str, str]], bool]] = {
    "no_finding": lambda told, said: said["scan"] == told.case.modality and not told.lesions,
    "one_finding": lambda told, said: len(told.lesions) == 1 and is_the_peak(told, said),
    "many_findings": lambda told, said: (
        int(said["count"]) == len(told.lesions) > 1
        and is_the_peak(told, said)
        and counts_locations(told, said)
    ),
    "change": lambda told, said: said["session"] == "ses-1" and states_changes(told, said),
    "change_none": lambda told, said: bool(told.changes) and not told.changed,
    "change_nothing": lambda told, said: told.changes == [] and compared(told, said),
    "change_undetected": lambda told, said: (
        said["findings"] == counted(len(told.seen) - len(told.changed), "finding")
    ),
    "marked": lambda told, said: said["volume"] == in_millilitres(told.volume) != "0 ml",
    "worth": always,
    "threshold": lambda told, said: (
        said["reference"] == told.case.reference
        and said["rate"] == percent(told.record.threshold.healthy_fpr)
        and said["z"] == two_digits(told.record.threshold.z)
    ),
    "rate": always,
    "share": lambda told, said: said["share"] == percent(told.case.share),
    "none_marked": lambda told, said: not told.lesions,
    "subtle": lambda told, said: not told.lesions,
    "where": lambda told, said: 0 < len(told.marked_regions) == said["places"].count(" ml)") <= 3,
    "where_most": lambda told, said: (
        int(said["count"]) == len(told.marked_regions) - told.case.outside
        and said["places"].startswith("outside the atlas") is told.case.outside
    ),
    "how_unusual": lambda told, said: (
        said["index"] == told.peak()["index"]
        and said["z"] == two_digits(float(told.peak()["z_peak"]))
    ),
    "confidence": lambda told, said: (
        int(said["sure"]) == sum(float(row["confidence"]) >= 0.95 for row in told.lesions)
        and said["findings"] == counted(len(told.lesions), "finding")
    ),
    "confidence_worth": found,
    "quality_good": lambda told, said: (
        int(said["count"]) == len(told.judged) > 0 and not told.outside
    ),
    "quality_outside": lambda told, said: (
        said["names"] == ", ".join(MEASURES[name].name for name, *_ in told.outside) != ""
        and int(said["outside"]) == len(told.outside)
        and int(said["count"]) == len(told.judged)
    ),
    "quality_unknown": lambda told, said: not told.judged,
    "quality_worth": lambda told, said: bool(told.outside),
    "other_leads": lambda told, said: (
        said["modality"] == told.case.asked_for != told.case.modality
        and said["scan"] == told.record.primary
    ),
    "not_compared": lambda told, said: told.case.changes == "late",
    "many_times": lambda told, said: (
        told.case.share >= 20 * told.record.threshold.healthy_fpr
        and said["share"] == percent(told.case.share)
        and said["reference"] == told.case.reference
    ),
    "rows_none": lambda told, said: (
        not (told.lesions if said["several"] == "findings" else told.marked_regions)
    ),
    "rows_one": lambda told, said: (
        len(told.lesions if said["one"] == "finding" else told.marked_regions) == 1
    ),
    "rows_all": lambda told, said: (
        int(said["count"])
        == len(told.lesions if said["several"] == "findings" else told.marked_regions)
    ),
    "rows_largest": lambda told, said: int(said["shown"]) < int(said["count"]) == len(told.lesions),
    "choose_finding": lambda told, said: told.case.template and bool(told.lesions),
    "finding_is": found,
    "finding_columns": found,
    "location_is": found,
    "peaks_are": lambda told, said: told.case.template and bool(told.lesions),
    "region_chart": always,
    "quality_columns": always,
    "changed_rows": lambda told, said: (
        int(said["changed"]) == len(told.changed)
        and said["findings"] == counted(len(told.seen), "finding")
    ),
    "unseen": lambda told, said: (
        said["findings"] == counted(len(told.changes) - len(told.seen), "finding") != "0 findings"
    ),
    "changed_shown": lambda told, said: int(said["shown"]) < len(told.changes),
    "choose_place": lambda told, said: told.case.template and bool(told.changes),
    "changed_volumes": lambda told, said: bool(told.changes),
    "below_detection": lambda told, said: len(told.changed) < len(told.changes),
    "change_how": lambda told, said: (
        said["compared"] == "93"
        and said["volume"] == in_millilitres(told.record.threshold.min_lesion_volume)
    ),
    "change_worth": compared,
    "change_colours": compared,
    "slices": lambda told, said: said["space"].startswith("template") is told.case.template,
    "units": always,
    "residual_colours": lambda told, said: told.case.image,
    "z_is": always,
    "no_image": lambda told, said: not told.case.image,
    "nothing_drawn": lambda told, said: not told.lesions,
    **{
        f"flagged {name}": lambda told, said, name=name: (
            said["scan"] == told.record.scans[0].name
            and said["measure"] == MEASURES[name].heading
            and (name, said["value"], said["bounds"])
            in [(n, f"{value:.3g}", f"at most {limit:g}") for n, value, limit in told.outside]
        )
        for name in MEASURES
    },
}


def texts_of(page: str) -> list[str]:
    """Return what a page says of a session, by paragraph."""
    texts = []
    for name in ("summary", "warnings", "findings", "regions", "change", "scan-1", "quality"):
        part = re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL)
        section = part[0] if part else ""
        texts += re.findall(r'<p class="(?:headline|also|caption)">(.*?)</p>', section, re.DOTALL)
        texts += re.findall(r"<h2>Change</h2>\s*<h3>.*?</h3>\s*<p>(.*?)</p>", section, re.DOTALL)
        for statements in re.findall(r'<dl class="statements">.*?</dl>', section, re.DOTALL):
            texts += re.findall(r"<dd>(.*?)</dd>", statements, re.DOTALL)
        texts += re.findall(r"<li>(.*?)</li>", section, re.DOTALL)
    return [html.unescape(re.sub(r"<.*?>", "", text)) for text in texts]


def write_scan(folder: Path, record: SessionRecord, case: Case) -> None:
    """Write what the app does of a scan."""
    (scan,) = record.scans
    spaces = [(None, GRID)] + ([(TEMPLATE, OUTPUT_GRID)] if case.template else [])
    for space, grid in spaces:
        brain, lesion = np.zeros((2, *grid.shape), np.float32)
        brain[4:26, 4:32, 4:28] = 1
        if case.findings:
            lesion[10:12, 10:12, 10:12] = 1
        maps = {"preproc": brain, "zscore": 5 * lesion, "brain": brain, "anomaly": lesion}
        if case.image:
            maps |= {"pseudohealthy": brain, "residual": 0 * brain}
        for output, values in maps.items():
            path = output_path(folder, output, scan.entities, modality=scan.modality, space=space)
            path.parent.mkdir(parents=True, exist_ok=True)
            grid.image(values).to_filename(path)
    brain_volume = 1_400_000.0
    volumes = np.arange(case.findings, 0, -1) if case.findings else np.zeros(0)
    volumes = volumes * case.share * brain_volume / max(volumes.sum(), 1)
    lesions = [
        (i + 1, f"lesion-{i + 1}", float(volume), -20.0, -10.0, 6.0, 3.0 + (7 * i) % 11 / 10, 3.0,
         0.5 + 0.49 * ((3 * i) % 5) / 4, PLACES[i % 5][0], "left", PLACES[i % 5][1])
        for i, volume in enumerate(volumes)
    ]  # fmt: skip
    by_region = {name: float(volumes[i::5].sum()) for i, (name, _) in enumerate(PLACES)}
    if case.outside:
        whole = sum(by_region.values())
        by_region = {name: volume / 10 for name, volume in by_region.items()}
        by_region["Elsewhere"] = whole - sum(by_region.values())
    regions = [
        (
            i + 1,
            name,
            "left",
            "white matter",
            brain_volume / len(by_region),
            volume,
            0.1,
            0.1,
            3.0,
            1.0,
        )
        for i, (name, volume) in enumerate(by_region.items())
    ]
    quality = [
        (scan.name, name, np.nan if value is None else value,
         limit if name == "weakest_slice" else -np.inf,
         np.inf if name == "weakest_slice" or limit is None else limit,
         name == "noise" and value > limit)
        for name, value, limit in case.quality
    ]  # fmt: skip
    tables = {"lesions": lesions, "regions": regions, "quality": quality}
    for output, rows in tables.items():
        path = output_path(folder, output, scan.entities, modality=scan.modality, extension=".tsv")
        write_table(path, output, rows)
    labels = output_path(folder, "lesions", scan.entities, modality=scan.modality)
    GRID.image(np.zeros(GRID.shape, np.int16)).to_filename(labels)
    record.write(folder)


def write_change(folder: Path, changes: tuple) -> list[Mapping[str, str]]:
    """Write what changed from the first session to the second, and return the table."""
    (comparison,) = plan_comparisons(folder, "01").comparisons
    brain, labels = np.zeros((2, *GRID.shape), np.float32)
    brain[4:26, 4:32, 4:28] = 1
    for index in range(1, len(changes) + 1):
        labels[4 + index % 20, 5 + index // 20, 10] = index
    for output, values in {"brain": brain, "changes": labels, "change": 0 * brain}.items():
        path = comparison.result(folder, output)
        path.parent.mkdir(parents=True, exist_ok=True)
        GRID.image(values).to_filename(path)
    for which in (0, 1):
        for output, values in (("preproc", brain), ("anomaly", labels > 0)):
            path = comparison.of_scan(folder, output, which, comparison.space)
            GRID.image(np.asarray(values, np.float32)).to_filename(path)
    rows = []
    for i, (verdict, first, second) in enumerate(changes):
        percents = 100 * (second - first) / first if first else float("nan")
        region, location = PLACES[i % 5]
        rows.append(
            (i + 1, f"lesion-{i + 1}", verdict, first, second, second - first, percents, 0.0, 0.0,
             1, 1, 1.0, 0.3, -20.0, -10.0, 6.0, region, "left", location)
        )  # fmt: skip
    table = comparison.result(folder, "changes", ".tsv")
    write_table(table, "changes", rows)
    sidecar_path(table).write_text(json.dumps(ABOUT))
    return read_table(table)


@pytest.fixture(scope="module")
def without_pictures():
    """Leave pictures empty: they have no sentences but their words, and take most of the time."""

    def draw(views, volume, scale, *, width, alts, **lines):
        return [Picture("data:image/webp;base64,", width, width, alt) for alt in alts]

    with pytest.MonkeyPatch.context() as patch:
        for module in (change, scan_pictures):
            patch.setattr(module, "draw", draw)
        yield


@pytest.fixture(scope="module")
def pages(tmp_path_factory, session_record, without_pictures) -> dict[str, tuple[Told, str]]:
    """Write the report of each session."""
    pages = {}
    for name, case in CASES.items():
        folder = tmp_path_factory.mktemp("session")
        records = []
        for session in ("1", "2") if case.changes is not None else (None,):
            record = session_record(
                case.modality,
                session=session,
                spaces=("native", TEMPLATE) if case.template else ("native",),
                threshold=case.threshold,
                asked_for=case.asked_for,
            )
            scan = replace(record.scans[0], calibration=case.reference, makes_image=case.image)
            records.append(replace(record, scans=(scan,)))
            write_scan(folder, records[-1], case)
        record = records[-1]
        changes = write_change(folder, case.changes) if isinstance(case.changes, tuple) else []
        tables = {
            output: read_table(
                output_path(
                    folder,
                    output,
                    record.scans[0].entities,
                    modality=case.modality,
                    extension=".tsv",
                )
            )
            for output in ("lesions", "regions")
        }
        told = Told(
            folder, records[:-1], case, record, tables["lesions"], tables["regions"], changes
        )
        pages[name] = told, write_session_report(folder, record).read_text()
    return pages


@pytest.fixture(scope="module")
def said_of(pages, recognise) -> dict[str, list[tuple[str, Mapping[str, str]]]]:
    """What is said of each session: sentences with their values."""
    return {
        name: [sentence for text in texts_of(page) for sentence in recognise(text)]
        for name, (_, page) in pages.items()
    }


@pytest.mark.parametrize("name", CASES)
def test_what_a_page_says_is_in_the_list_and_true(name, pages, said_of):
    told, _ = pages[name]
    said = said_of[name]
    wrong = [(sentence, values) for sentence, values in said if not CHECKS[sentence](told, values)]
    assert wrong == []
    # The first line is the answer: what changed, else what was found.
    first = said[0][0]
    if isinstance(told.case.changes, tuple):
        assert first.startswith("change")
    else:
        assert first in ("no_finding", "one_finding", "many_findings")
    # Each measure outside its limits is warned of.
    flagged = [sentence for sentence, _ in said if sentence.startswith("flagged ")]
    assert flagged == [f"flagged {measure}" for measure, *_ in told.outside]


def test_each_sentence_is_on_the_pages_of_three_sessions(said_of):
    sessions = Counter(name for said in said_of.values() for name in {name for name, _ in said})
    expected = {name for name in CHECKS if not name.startswith("flagged ")} | {"flagged noise"}
    assert set(sessions) == expected
    assert {name: count for name, count in sessions.items() if count < 3} == {}


def test_a_sentence_that_is_not_in_the_list_and_one_that_is_false_are_noticed(pages, recognise):
    told, page = pages["one finding, T1w"]
    (other,) = [text for text in texts_of(page) if "Confidence ranks findings" in text]
    with pytest.raises(AssertionError, match="not in the list"):
        recognise(other.replace("Confidence ranks findings", "Trust it"))
    for right, wrong in (("1 finding, in", "2 findings, in"), ("28 healthy", "9")):
        try:
            said = [one for text in texts_of(page.replace(right, wrong)) for one in recognise(text)]
        except AssertionError:
            continue
        assert not all(CHECKS[name](told, values) for name, values in said)


@pytest.mark.parametrize(
    "name",
    [
        f"{base}, {modality}"
        for base in ("a follow-up without change", "a follow-up that is not compared yet")
        for modality, *_ in PEOPLE
    ],
)
def test_a_session_says_where_it_stands_what_changed_after_it(name, pages, recognise):
    told, _ = pages[name]
    (first,) = told.before
    page = write_session_report(told.folder, first).read_text()
    said = [one for text in texts_of(page) for one in recognise(text)]
    later = [values for sentence, values in said if sentence == "later"]
    assert later == ([{"later": told.record.label}] if compared(told, {}) else [])


# What is wrong with the record of the second session, by what is said of it, each in three ways;
# and what the sentence names.
REFUSED = {
    "two_models": [
        ({"digest": digest, "model": model}, {"first": "restore-T1w 0.3.0", "second": model})
        for digest, model in (
            ("1" * 64, "restore-T1w 0.3.0"),
            ("2" * 64, "restore-T1w 0.4.0"),
            ("3" * 64, "ae-T1w 0.1.0"),
        )
    ],
    "two_numbers_of_steps": [
        ({"evaluations": 16, "steps": 8}, {"numbers": "2 and 8"}),
        ({"evaluations": 2, "steps": 1}, {"numbers": "2 and 1"}),
        ({"evaluations": 16, "steps": None}, {"numbers": "4 and 16 evaluations"}),
    ],
    "two_thresholds": [
        ({"threshold": threshold}, {})
        for threshold in (Threshold(0.001), Threshold(0.002, 8.0), Threshold(0.01, 100.0))
    ],
    "no_native_maps": [
        ({"spaces": spaces}, {}) for spaces in ((TEMPLATE,), (), ("MNI152NLin2009cAsym",))
    ],
    "failed_session": [
        ({"failed_steps": steps}, {"session": "sub-01_ses-2"})
        for steps in (("reorient (sub-01)",), ("score (sub-01)", "write report (sub-01)"), ("?",))
    ],
    "lost_map": [
        ({"lost": output}, {"path": output}) for output in ("preproc", "zscore", "lesions")
    ],
    "no_order": [({"session": label}, {}) for label in ("pre", "baseline", "followup")],
}


@pytest.mark.parametrize(
    ("sentence", "changes", "named"),
    [(name, *way) for name, ways in REFUSED.items() for way in ways],
)
def test_why_sessions_are_not_compared_is_true(
    sentence, changes, named, tmp_path, session_record, recognise
):
    second = changes.get("session", "2")
    records = {label: session_record("T1w", session=label) for label in ("1", second)}
    of_scan = {k: v for k, v in changes.items() if k in ("digest", "model", "evaluations", "steps")}
    of_session = {k: v for k, v in changes.items() if k in ("threshold", "spaces", "failed_steps")}
    scan = replace(records[second].scans[0], **of_scan)
    records[second] = replace(records[second], scans=(scan,), **of_session)
    for record in records.values():
        record.write(tmp_path)
        for output in ("preproc", "brain", "zscore", "lesions"):
            if record is records[second] and changes.get("lost") == output:
                continue
            path = output_path(tmp_path, output, record.scans[0].entities, modality="T1w")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    (refusal,) = plan_comparisons(tmp_path, "01").refusals
    ((name, values),) = recognise(say(refusal.reason, **refusal.told))
    assert name == sentence
    assert {values["scans"]} <= {
        f"sub-01_ses-{one}_T1w and sub-01_ses-{other}_T1w"
        for one, other in (("1", second), (second, "1"))
    }
    for key, value in named.items():
        assert value in values[key] if key == "path" else values[key] == value


def test_of_every_sentence_it_is_known_what_makes_it_true():
    """Those of methods and models are in test_methods_sentences.py, under the same names."""
    there = Path(__file__).with_name("test_methods_sentences.py")
    methods = runpy.run_path(str(there))["CHECKS"]
    pages = {name for name in CHECKS if not name.startswith("flagged ")}
    assert set(SENTENCES) == pages | set(REFUSED) | set(methods) | {"later"}
