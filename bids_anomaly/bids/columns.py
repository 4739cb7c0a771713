"""What the columns of tables mean: by column, what the JSON file beside a table says of it."""

from typing import Any

from bids_anomaly.scoring.quality_limits import MEASURES
from bids_anomaly.settings import TEMPLATE

Columns = dict[str, dict[str, Any]]

_TEMPLATE_MM = f"in the template {TEMPLATE}, in RAS+."
ATLAS: Columns = {
    "index": {"Description": "Label of the region in the image.", "Format": "integer"},
    "name": {"Description": "Name of the region in DLMUSE; _L and _R are its sides."},
    "hemisphere": {
        "Description": "Hemisphere of the region; n/a at the midline.",
        "Levels": {"left": "Left hemisphere", "right": "Right hemisphere"},
    },
    "tissue": {"Description": "Cortex, deep grey matter, white matter, ventricle and others."},
}
LESIONS: Columns = {
    "index": {
        "Description": "Label of the lesion in the image; 1 is the largest.",
        "Format": "integer",
    },
    "name": {"Description": "Name of the lesion within this image."},
    "volume": {"Description": "Volume in the space of the person.", "Units": "mm^3"},
    "centroid_x": {"Description": f"Mean position, left to right, {_TEMPLATE_MM}", "Units": "mm"},
    "centroid_y": {"Description": f"Mean position, back to front, {_TEMPLATE_MM}", "Units": "mm"},
    "centroid_z": {"Description": f"Mean position, bottom to top, {_TEMPLATE_MM}", "Units": "mm"},
    "z_peak": {"Description": "Highest z-score in the lesion."},
    "z_mean": {"Description": "Mean z-score of the lesion."},
    "confidence": {
        "Description": "Highest probability of an anomaly in the lesion, 0.5 to 1. It ranks "
        "lesions; it is no probability of disease."
    },
    "region": {
        "Description": "Region of the atlas DLMUSE that holds most of the lesion; the nearest one "
        "if none holds any of it."
    },
    "side": {
        "Description": "Side of the midline of the template.",
        "Levels": {
            "left": "At least three quarters of the lesion are on the left",
            "right": "At least three quarters of the lesion are on the right",
            "both": "Neither",
        },
    },
    "location": {
        "Description": "Where it lies, as the criteria for multiple sclerosis divide the brain.",
        "Levels": {
            "periventricular": "White matter within 3 mm of the lateral ventricles",
            "juxtacortical": "Cortex, or white matter within 3 mm of it",
            "infratentorial": "Brain stem or cerebellum",
            "deep white matter": "White matter that touches neither cortex nor lateral ventricles",
            "other": "Deep grey matter, ventral diencephalon or ventricles",
        },
    },
}
_VOLUME_THEN = "Volume in the scan of the {} session, within the brain that both scans saw."
CHANGES: Columns = {
    "index": {
        "Description": "Label in the image; 1 is the largest.",
        "Format": "integer",
    },
    "name": {"Description": "Name of the lesion within this image."},
    "verdict": {
        "Description": "What became of it from the first session to the second.",
        "Levels": {
            "new": "Not there at first; what passes the noise floor has the least volume and a "
            "tenth of the mean of both volumes",
            "grown": "There twice, and the same",
            "shrunk": "There twice, and the same the other way round",
            "gone": "There at first only, and the same the other way round",
            "unchanged": "No change beyond the noise floor, also where it is above the threshold "
            "in one session only",
        },
    },
    "volume_first": {"Description": _VOLUME_THEN.format("first"), "Units": "mm^3"},
    "volume_second": {"Description": _VOLUME_THEN.format("second"), "Units": "mm^3"},
    "change": {"Description": "Second volume minus first.", "Units": "mm^3"},
    "change_percent": {
        "Description": "The same relative to the first volume; n/a where that is 0.",
        "Units": "%",
    },
    "gained": {
        "Description": "Volume that is a lesion in the second session only, and where the z-score "
        "rose by more than Limit standard deviations of the noise floor, and by more than 1.",
        "Units": "mm^3",
    },
    "lost": {"Description": "The same for the first session, and falling.", "Units": "mm^3"},
    "parts_first": {
        "Description": "Lesions of the first session that it consists of; several in the first and "
        "one in the second have grown together.",
        "Format": "integer",
    },
    "parts_second": {"Description": "Lesions of the second session.", "Format": "integer"},
    "z_change": {"Description": "Mean change of the matched z-scores, second minus first."},
    "z_noise": {"Description": "Mean standard deviation of that change in a voxel without change."},
    **{axis: LESIONS[axis] for axis in ("centroid_x", "centroid_y", "centroid_z")},
    "region": LESIONS["region"],
    "side": LESIONS["side"],
    "location": LESIONS["location"],
}
REGIONS: Columns = {
    **ATLAS,
    "index": {
        "Description": "Label of the region in the image of the atlas, 0 for the rest.",
        "Format": "integer",
    },
    "volume": {
        "Description": "Volume of the region in the person, as far as the scan shows it.",
        "Units": "mm^3",
    },
    "anomalous_volume": {"Description": "Volume of it that is anomalous.", "Units": "mm^3"},
    "anomalous_fraction": {
        "Description": "Share of it that is anomalous, 0 to 1; n/a where the scan shows none of it."
    },
    "z_mean": {"Description": "Mean z-score; n/a likewise."},
    "z_max": {"Description": "Highest z-score; n/a likewise."},
    "laterality": {
        "Description": "(left - right) / (left + right) of the anomalous volumes of the region "
        "and its counterpart: 1 is all left, -1 all right; n/a at the midline and where "
        "neither has any."
    },
}
QUALITY: Columns = {
    "scan": {"Description": "File name of the scan without extension."},
    "measure": {
        "Description": "What was measured.",
        "Levels": {name: measure.sentence for name, measure in MEASURES.items()},
    },
    "value": {"Description": "Its value; n/a if the scan does not show what is measured."},
    "lower_limit": {"Description": "What good scans have at least; n/a without a limit."},
    "upper_limit": {"Description": "What good scans have at most; n/a without a limit."},
    "flagged": {
        "Description": "Whether the value is outside the limits.",
        "Levels": {"true": "Outside", "false": "Inside, or not known"},
    },
}
