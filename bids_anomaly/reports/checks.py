"""The pictures by which a person checks the registration and the brain mask of a scan."""

import numpy as np
from nibabel.affines import voxel_sizes

from bids_anomaly.reports import views
from bids_anomaly.reports.figures import (
    GREY,
    ORANGE,
    SKY,
    Contour,
    Edges,
    Scale,
    Strip,
    brightest,
    draw,
    strip,
)
from bids_anomaly.reports.scan import ScanReport, describe, place

# Grey matter begins, and white matter begins, in the template's T1w intensities of 0 to 1.
TEMPLATE_LEVELS = (0.35, 0.78)
TILE_WIDTH = 560  # pixels: nearly twice that on the page, for screens of high density


def quality_checks(scan: ScanReport) -> list[Strip]:
    """Draw what tells whether the registration and the brain mask of a scan can be trusted."""
    checks = [] if scan.template is None else _registration(scan)
    if scan.native_scan is not None:
        checks.append(_brain_on_native(scan))
    return checks


def _registration(scan: ScanReport) -> list[Strip]:
    """Show the template's contours on the scan, and the scan's edges on the template."""
    window = views.window_around(scan.brain | (scan.template > TEMPLATE_LEVELS[0]), margin=2)
    centre = views.centre_of(scan.template > TEMPLATE_LEVELS[0])
    planes = views.square_views(centre, window, scan.spacing)
    places = [place(scan, view) for view in planes]
    on_scan = draw(
        planes,
        scan.scan,
        Scale(GREY, 0, brightest(scan.scan, scan.brain)),
        width=TILE_WIDTH,
        alts=[describe(scan, "contours of the template on the scan", view) for view in planes],
        lines=[Contour(scan.template, TEMPLATE_LEVELS, SKY)],
    )
    on_template = draw(
        planes,
        scan.template,
        Scale(GREY, 0, 1),
        width=TILE_WIDTH,
        alts=[describe(scan, "edges of the scan on the template", view) for view in planes],
        lines=[Edges(scan.scan, ORANGE)],
    )
    return [
        strip("Template on scan", "contours of the template brain, blue", on_scan, places),
        strip("Scan on template", "edges in the scan, orange", on_template, places),
    ]


def _brain_on_native(scan: ScanReport) -> Strip:
    """Show the outline of the brain mask on the scan as acquired."""
    values = np.asanyarray(scan.native_scan.dataobj)
    brain = np.asanyarray(scan.native_brain.dataobj) > 0
    spacing = voxel_sizes(scan.native_scan.affine)
    planes = views.square_views(views.centre_of(brain), views.full_window(values.shape), spacing)
    what = f"{scan.name} as acquired with the outline of the brain mask"
    pictures = draw(
        planes,
        values,
        Scale(GREY, 0, brightest(values, brain)),
        width=TILE_WIDTH,
        alts=[f"{what}, {views.PLANES[view.axis]} slice" for view in planes],
        lines=[Contour(brain, [0.5], ORANGE)],
    )
    places = [
        f"{views.PLANES[view.axis].capitalize()}, slice {view.index + 1} of "
        f"{values.shape[view.axis]}"
        for view in planes
    ]
    size = " × ".join(f"{step:.2g}" for step in spacing)
    note = f"outline on the scan as acquired, voxels of {size} mm"
    return strip("Brain mask", note, pictures, places)
