"""A phantom scan, without and with an anomaly; what tells sentences apart; a browser."""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from bids_anomaly.reports.scan import ScanReport
from bids_anomaly.reports.sentences import SENTENCES
from bids_anomaly.scoring.quality_limits import SUSPICIONS

SHAPE = (30, 36, 32)
AFFINE = np.array([[2.0, 0, 0, -29], [0, 2, 0, -40], [0, 0, 2, -30], [0, 0, 0, 1]])
ANOMALY = (slice(6, 12), slice(14, 20), slice(17, 22))  # on the left of the head


@pytest.fixture(scope="session")
def healthy():
    """A ball of white matter without anomalies, and thick slices of it as acquired."""
    x, y, z = np.indices(SHAPE)
    brain = ((x - 14.5) / 13) ** 2 + ((y - 17.5) / 16) ** 2 + ((z - 15.5) / 14) ** 2 < 1
    scan = brain * (0.9 + 0.1 * np.cos(x) * np.cos(y))
    thick = np.diag([1.0, 1.0, 4.0, 1.0])
    x, y, z = np.indices((60, 60, 14))
    ball = (x - 30) ** 2 + (y - 30) ** 2 + (4 * z - 26) ** 2 < 20**2
    return ScanReport(
        name="sub-01_T1w",
        title="T1w",
        modality="T1w",
        model="restore-T1w 0.1.0",
        scan=scan,
        brain=brain,
        template=0.9 * brain,
        pseudo_healthy=scan,
        residual=np.zeros(SHAPE),
        zscore=np.zeros(SHAPE),
        mask=np.zeros(SHAPE, bool),
        native_scan=nib.Nifti1Image(100 * ball.astype(np.float32), thick),
        native_brain=nib.Nifti1Image(ball.astype(np.uint8), thick),
        numbers={"Anomalous volume": "0 ml"},
        affine=AFFINE,
    )


@pytest.fixture(scope="session")
def lesioned(healthy):
    """The same brain with a bright block."""
    scan = healthy.scan.copy()
    scan[ANOMALY] = 2
    mask = np.zeros(SHAPE, bool)
    mask[ANOMALY] = True
    residual = scan - healthy.pseudo_healthy
    return replace(healthy, scan=scan, residual=residual, zscore=10 * residual, mask=mask)


@pytest.fixture(scope="session")
def browser():
    """Debian's chromium, driven by playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium on this machine (Debian: apt install chromium)")
    with api.sync_playwright() as playwright:
        # Containers do not allow chromium's own sandbox; the pages are ours.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, report):
    """Give a function that opens the `report` of a module and collects the browser's complaints."""
    contexts, complaints = [], []

    def open_page(width=1280, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        page.goto(report.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


# What a page may say: the list, and what is said of a measure that is not as good scans have it.
TEMPLATES = {
    **SENTENCES,
    **{
        f"flagged {name}": "{scan}: {measure} is {value} (good scans have {bounds}); " + words + "."
        for name, words in SUSPICIONS.items()
    },
}


def pattern_of(template: str) -> re.Pattern:
    """Return what recognises a sentence, which ends before the next one or at the end.

    No value goes on into another sentence.
    """
    parts = re.split(r"\{(\w+)\}", template)
    known, pattern = set(), ""
    for position, part in enumerate(parts):
        if position % 2 == 0:
            pattern += re.escape(part)
        else:
            pattern += f"(?P={part})" if part in known else rf"(?P<{part}>(?:(?!\.\s[A-Z]).)*?)"
            known.add(part)
    return re.compile(pattern + r"(?=\s+[A-Z\d]|$)", re.DOTALL)


PATTERNS = {name: pattern_of(template) for name, template in TEMPLATES.items()}


def literal(name: str) -> int:
    """Return how much of a sentence is the same in every session."""
    return len(re.sub(r"\{\w+\}", "", TEMPLATES[name]))


@pytest.fixture(scope="session")
def recognise() -> Callable[[str], list[tuple[str, Mapping[str, str]]]]:
    """Give a function that takes a text apart into sentences of the list, each with its values.

    What is not in the list is an error.
    """

    def recognise(text: str) -> list[tuple[str, Mapping[str, str]]]:
        said, rest = [], " ".join(text.split())
        while rest:
            matches = {name: m for name in PATTERNS if (m := PATTERNS[name].match(rest))}
            assert matches, f"not in the list: {rest!r}"
            name = max(matches, key=literal)
            said.append((name, matches[name].groupdict()))
            rest = rest[matches[name].end() :].strip()
        return said

    return recognise
