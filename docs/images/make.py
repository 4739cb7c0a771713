"""Make the pictures of the documentation from real runs, and record by what they were drawn.

::

    python docs/images/make.py DATA RESULTS

DATA holds the datasets that `docs/accuracy.md` names. RESULTS gets a run of the person with
multiple sclerosis, or has a finished one with the models of now, of which the report is written
again.
Needs the test tools (playwright) and Debian's chromium.

`drawn.json` beside the pictures says of each by which code and models it was drawn; a test compares
that with the code of now.
"""

import argparse
import hashlib
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bids_anomaly.bids.naming import report_path
from bids_anomaly.bids.records import read_record, record_path
from bids_anomaly.reconstruction.bundle import choose_bundles

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "bids_anomaly"
DRAWN = HERE / "drawn.json"
FAMILY = "restore"
# What draws each picture, in the package, and the modalities whose models it shows.
DRAWN_BY = {
    "report.png": (
        (
            "reconstruction/restore.py",
            "scoring/maps.py",
            "reports/figures.py",
            "reports/maps.py",
            "reports/scan_viewer.py",
            "reports/viewer.py",
            "reports/templates/slices.js",
            "reports/templates/viewer.css",
            "reports/templates/viewer.js",
        ),
        ("FLAIR",),
    ),
}
DATASET, PERSON = "ms", "sub-MS26"
PAGE_WIDTH = 1280
COLOURS = 256


def main() -> None:
    """Run what is shown, take the picture, and record it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", metavar="DATA", type=Path)
    parser.add_argument("results", metavar="RESULTS", type=Path)
    arguments = parser.parse_args()
    outputs = arguments.results / DATASET
    if report_path(outputs, PERSON).exists():
        refuse_other_models(outputs)
        _run(arguments.data / DATASET, outputs, "--reports-only")
    else:
        _run(arguments.data / DATASET, outputs, "--nprocs", "1")
    picture = photograph(report_path(outputs, PERSON))
    (HERE / "report.png").write_bytes(picture)
    record = json.loads(DRAWN.read_text()) if DRAWN.exists() else {}
    record["report.png"] = drawn_with("report.png")
    DRAWN.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    print(f"Wrote {HERE / 'report.png'} and {DRAWN}.")


def drawn_with(picture: str) -> Mapping:
    """Return what a picture would be drawn with now: a digest of the code, and the models.

    Parameters
    ----------
    picture : str
        Key of :data:`DRAWN_BY`.
    """
    files, modalities = DRAWN_BY[picture]
    digest = hashlib.sha256()
    for file in files:
        digest.update((PACKAGE / file).read_bytes())
    bundles = choose_bundles(FAMILY, modalities)
    return {
        "code": digest.hexdigest(),
        "models": {bundle.name: f"{bundle.version} {bundle.digest}" for bundle in bundles.values()},
    }


def refuse_other_models(outputs: Path) -> None:
    """Stop if results are from other models than those that would make them now."""
    entities = {"sub": PERSON.removeprefix("sub-")}
    scans = read_record(record_path(outputs, PERSON, entities)).scans
    now = choose_bundles(FAMILY, [scan.modality for scan in scans])
    others = [scan.model for scan in scans if scan.digest != now[scan.modality].digest]
    if others:
        sys.exit(f"{outputs} is from {', '.join(others)}. Remove it, and it is made anew.")


def photograph(page: Path) -> bytes:
    """Return a PNG of the viewer of a report, comparing the scan with its pseudo-healthy image.

    Parameters
    ----------
    page : Path
        The report; its viewer opens at the first finding.
    """
    from PIL import Image
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    with sync_playwright() as playwright:
        # Containers do not allow chromium's own sandbox; the page is ours.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": PAGE_WIDTH, "height": 900})
        tab.set_default_timeout(120_000)
        tab.goto(page.resolve().as_uri())
        tab.wait_for_selector("#viewer-body.ready")
        tab.locator(".choice label", has_text="Compare").first.click()
        tab.wait_for_timeout(1000)
        taken = tab.locator("#viewer-body").screenshot()
        browser.close()
    small = io.BytesIO()
    Image.open(io.BytesIO(taken)).convert("RGB").quantize(COLOURS).save(small, "PNG", optimize=True)
    return small.getvalue()


def _run(bids_dir: Path, outputs: Path, *options: str) -> None:
    command = [sys.executable, "-m", "bids_anomaly.cli.main", bids_dir, outputs, "participant"]
    command += [*options, "--skip-bids-validation", "-w", outputs.parent / "work"]
    subprocess.run(list(map(str, command)), check=True)


if __name__ == "__main__":
    main()
