"""What reports say is true of the sessions that they are about."""

import html
import json
import re
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
from bids_anomaly.bids.tables import MISSING, read_table, write_table
from bids_anomaly.preprocessing.template import OUTPUT_GRID, TEMPLATE, Grid
from bids_anomaly.reports.numbers import counted, in_millilitres, percent, two_digits
from bids_anomaly.reports.sentences import SENTENCES
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


CASES = {
    "nothing on T1w": Case(),
    "one finding on T1w": Case(findings=1, template=True),
    "many findings on FLAIR, patients as reference": Case(
        modality="FLAIR",
        reference="lesion-free voxels of six patients",
        findings=130,
        share=0.09,
        quality=(("noise", 0.5, 0.06), ("weakest_slice", 0.9, 0.7), ("ghosting", None, 0.19)),
    ),
    "a follow-up with a new finding": Case(
        modality="FLAIR",
        findings=2,
        changes=(("unchanged", 0.0, 6670.0), ("new", 0.0, 2400.0), ("shrunk", 900.0, 300.0)),
    ),
    "a follow-up in the template with many changes": Case(
        modality="FLAIR",
        findings=1,
        changes=(("new", 0.0, 240.0),) * 2 + (("gone", 80.0, 0.0),) * 100,
        template=True,
    ),
    "a follow-up without change": Case(
        modality="FLAIR", findings=4, changes=(("unchanged", 64.0, 66.0),)
    ),
    "a follow-up without findings": Case(modality="FLAIR", changes=()),
    "a follow-up that is not compared yet": Case(modality="T2w", changes="late", image=False),
    "only T1w where FLAIR was asked for": Case(
        findings=3, asked_for="FLAIR", quality=(("grey_position", 0.2, None),)
    ),
}


class Told(NamedTuple):
    """A session with what its tables say."""

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
    return (
        said["z"] == two_digits(float(row["z_peak"]))
        and place.startswith(region_in_words(row["region"]).lower())
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
        said["findings"] == counted(len(told.changes) - len(told.changed), "finding")
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
    "where_most": lambda told, said: int(said["count"]) == len(told.marked_regions) > 3,
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
    "region_chart": always,
    "quality_columns": always,
    "changed_rows": lambda told, said: (
        int(said["changed"]) == len(told.changed)
        and said["findings"] == counted(len(told.changes), "finding")
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
}


def pattern_of(template: str) -> re.Pattern:
    """Return what recognises a sentence, which ends before the next one or at the end."""
    parts = re.split(r"\{(\w+)\}", template)
    known, pattern = set(), ""
    for position, part in enumerate(parts):
        if position % 2 == 0:
            pattern += re.escape(part)
        else:
            pattern += f"(?P={part})" if part in known else f"(?P<{part}>.*?)"
            known.add(part)
    return re.compile(pattern + r"(?=\s+[A-Z\d]|$)", re.DOTALL)


PATTERNS = {name: pattern_of(template) for name, template in SENTENCES.items()}


def literal(name: str) -> int:
    """Return how much of a sentence is the same in every session."""
    return len(re.sub(r"\{\w+\}", "", SENTENCES[name]))


def sentences_of(page: str) -> list[tuple[str, Mapping[str, str]]]:
    """Take apart what a page says into sentences; what is not in the list is an error."""
    texts = []
    for name in ("summary", "warnings", "findings", "regions", "change", "scan-1", "quality"):
        part = re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL)
        section = part[0] if part else ""
        texts += re.findall(r'<p class="(?:headline|also|caption)">(.*?)</p>', section, re.DOTALL)
        texts += re.findall(r"<h2>Change</h2>\s*<h3>.*?</h3>\s*<p>(.*?)</p>", section, re.DOTALL)
        for statements in re.findall(r'<dl class="statements">.*?</dl>', section, re.DOTALL):
            texts += re.findall(r"<dd>(.*?)</dd>", statements, re.DOTALL)
        texts += re.findall(r"<li>(.*?)</li>", section, re.DOTALL)
    said = []
    for text in texts:
        rest = " ".join(html.unescape(text).split())
        # Those of measures come from scoring/quality_limits.py.
        if "(good scans have" in rest:
            continue
        while rest:
            matches = {name: m for name in PATTERNS if (m := PATTERNS[name].match(rest))}
            assert matches, f"not in the list: {rest!r}"
            name = max(matches, key=literal)
            said.append((name, matches[name].groupdict()))
            rest = rest[matches[name].end() :].strip()
    return said


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
    regions = [
        (i + 1, name, "left", "white matter", brain_volume / 5, volume, 0.1, 0.1, 3.0, 1.0)
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
def pages(tmp_path_factory, session_record) -> dict[str, tuple[Told, str]]:
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
                threshold=Threshold(),
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
        told = Told(case, record, tables["lesions"], tables["regions"], changes)
        pages[name] = told, write_session_report(folder, record).read_text()
    return pages


def test_of_every_sentence_it_is_known_what_makes_it_true():
    assert set(CHECKS) == set(SENTENCES)
    assert MISSING not in SENTENCES


@pytest.mark.parametrize("name", CASES)
def test_what_a_page_says_is_in_the_list_and_true(name, pages):
    told, page = pages[name]
    said = sentences_of(page)
    wrong = [(sentence, values) for sentence, values in said if not CHECKS[sentence](told, values)]
    assert wrong == []
    # The first line is the answer: what changed, else what was found.
    first = said[0][0]
    if isinstance(told.case.changes, tuple):
        assert first.startswith("change")
    else:
        assert first in ("no_finding", "one_finding", "many_findings")


def test_every_sentence_is_on_some_page_and_what_is_on_all_is_on_three(pages):
    where = {name: set() for name in SENTENCES}
    for session, (_, page) in pages.items():
        for name, _ in sentences_of(page):
            where[name].add(session)
    assert {name for name, sessions in where.items() if not sessions} == set()
    for name, check in CHECKS.items():
        if check is always:
            assert len(where[name]) >= 3, name


def test_a_sentence_that_is_not_in_the_list_and_one_that_is_false_are_noticed(pages):
    told, page = pages["one finding on T1w"]
    with pytest.raises(AssertionError, match="not in the list"):
        sentences_of(page.replace("Confidence ranks findings", "Trust it"))
    for wrong in (page.replace("1 finding, in", "2 findings, in"), page.replace("28 healthy", "9")):
        try:
            said = sentences_of(wrong)
        except AssertionError:
            continue
        assert not all(CHECKS[name](told, values) for name, values in said)
