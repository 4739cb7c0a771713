"""What every column of the tables means."""

from typing import NamedTuple

from bids_anomaly.evaluation.curves import NOMINAL_RATES
from bids_anomaly.evaluation.metrics import SIZE_BINS


class Measure(NamedTuple):
    """A column: what it is, its units, and whether more is better (None: neither)."""

    description: str
    units: str | None = None
    more_is_better: bool | None = None


def size_name(low: float, high: float) -> str:
    """Return the name of a range of lesion volumes in mm3, such as ``8to30``."""
    return f"over{low:g}" if high == float("inf") else f"{low:g}to{high:g}"


def rate_name(kind: str, rate: float) -> str:
    """Return the column of a nominal rate, such as ``observed_at_0.2``: rates are in percent."""
    return f"{kind}_at_{100 * rate:g}"


SIZES = tuple(size_name(low, high) for low, high in SIZE_BINS)
SIZE_WORDS = tuple(
    f"{low:g} to {high:g}" if high < float("inf") else f"over {low:g}" for low, high in SIZE_BINS
)
_OF = {"all": "8 mm3 and more"} | {
    name: f"{words} mm3" for name, words in zip(SIZES, SIZE_WORDS, strict=True)
}


def _by_size() -> dict[str, Measure]:
    measures = {}
    for size, words in _OF.items():
        measures |= {
            f"lesion_sensitivity_{size}": Measure(
                f"Share of the lesions of {words} that are found: a tenth of them is marked.",
                more_is_better=True,
            ),
            f"lesion_precision_{size}": Measure(
                f"Share of the marked components of {words} of which a tenth is lesion.",
                more_is_better=True,
            ),
            f"lesion_f1_{size}": Measure(
                f"Harmonic mean of lesion sensitivity and precision, {words}.",
                more_is_better=True,
            ),
            f"lesions_{size}": Measure(f"Number of lesions (26-connected) of {words}."),
            f"lesions_found_{size}": Measure(f"How many of the lesions of {words} are found."),
            f"components_{size}": Measure(f"Number of marked components of {words}."),
            f"components_correct_{size}": Measure(
                f"How many of the marked components of {words} are a tenth lesion."
            ),
        }
    return measures


def _by_rate() -> dict[str, Measure]:
    measures = {}
    for rate in NOMINAL_RATES:
        words = f"more unusual than {100 * rate:g} % of healthy voxels nominally are"
        measures[rate_name("observed", rate)] = Measure(
            f"Share of the lesion-free voxels that are {words}; {rate:g} if calibrated."
        )
        measures[rate_name("sensitivity", rate)] = Measure(
            f"Share of the lesion voxels that are {words}.", more_is_better=True
        )
    return measures


# Who and what a row is about.
IDENTITY: dict[str, Measure] = {
    "participant_id": Measure("Participant."),
    "session_id": Measure("Session; n/a where there are none."),
    "scan": Measure("Name of the scan."),
    "modality": Measure("BIDS suffix of the scan."),
    "primary": Measure("Whether the scan leads the report of its session: true or false."),
    "model": Measure(
        "Name given to the folder of results; `raw intensity` is the scan as it came, which has no "
        "threshold: what needs one is n/a."
    ),
    "group": Measure(
        "`control` or `patient`: as declared with --controls; without it, scans with an empty mask "
        "are controls."
    ),
    "truth": Measure("File of the mask, in the folder of the truth; n/a for controls without one."),
}
# What is measured of a scan.
MEASURES: dict[str, Measure] = {
    "dice": Measure(
        "Dice overlap of the mask with the truth, at the threshold preset by calibration; n/a "
        "where both are empty.",
        more_is_better=True,
    ),
    "dice_best": Measure(
        "The highest Dice that any threshold reaches, chosen on the truth itself.",
        more_is_better=True,
    ),
    "hd95_mm": Measure(
        "Hausdorff distance of mask and truth without its outliers: the larger of the 95th "
        "percentiles of the distances from either surface to the other; n/a where one is empty.",
        "mm",
        False,
    ),
    "surface_distance_mm": Measure(
        "Average symmetric surface distance of mask and truth; n/a where either is empty.",
        "mm",
        False,
    ),
    "auprc": Measure(
        "Area under the precision-recall curve over all voxels of the brain (average precision); "
        "n/a without lesions.",
        more_is_better=True,
    ),
    "auroc": Measure(
        "Area under the receiver operating characteristic over all voxels of the brain; n/a "
        "without lesions.",
        more_is_better=True,
    ),
    **_by_size(),
    "false_positive_rate": Measure(
        "Share of the lesion-free voxels (brain, more than 4 mm from all lesions) that are marked: "
        "a rate, not the false discovery rate.",
        more_is_better=False,
    ),
    "false_positive_ml": Measure("Volume of the marked lesion-free voxels.", "ml", False),
    "false_components": Measure(
        "Number of marked components of 8 mm3 and more of which less than a tenth is lesion.",
        None,
        False,
    ),
    "lesion_count_error": Measure(
        "Number of marked components of 8 mm3 and more, minus that of such lesions."
    ),
    "burden_ml": Measure("Volume of the mask: the anomaly burden.", "ml"),
    "volume_error_ml": Measure("Volume of the mask minus that of the truth.", "ml"),
    "brain_ml": Measure("Volume of the brain mask.", "ml"),
    "lesion_ml": Measure("Volume of the truth.", "ml"),
    "lesion_outside_ml": Measure(
        "Volume of the truth outside the brain mask: missed by masks, left out of AUPRC, AUROC, "
        "dice_best and sensitivity_at.",
        "ml",
        False,
    ),
    "prevalence": Measure("Share of the voxels of the brain that are lesion: AUPRC by chance."),
    **_by_rate(),
    "l1": Measure(
        "Mean absolute difference of scan and pseudo-healthy image in lesion-free voxels.",
        "white matter intensity = 1",
        False,
    ),
    "ssim": Measure(
        "Mean structural similarity of scan and pseudo-healthy image in lesion-free voxels.",
        more_is_better=True,
    ),
    "rqi": Measure(
        "Restoration quality index, after Bercea et al. 2025 without LPIPS: SSIM times one minus "
        "the l1 error over the intensity range, in lesion-free voxels.",
        more_is_better=True,
    ),
    "caci": Measure(
        "Conservation and correction index, after Bercea et al. 2025: harmonic mean of the SSIM in "
        "lesion-free voxels and one minus the SSIM in lesions.",
        more_is_better=True,
    ),
    "ahi": Measure(
        "Anomaly-to-healthy index, after Bercea et al. 2025, where the healthy scan is known: "
        "share of the way from the lesion to healthy tissue that the pseudo-healthy image goes.",
        more_is_better=True,
    ),
}
# What says something of people without lesions: nothing of theirs can be found.
OF_CONTROLS = (
    "false_positive_rate", "false_positive_ml", "false_components", "burden_ml", "brain_ml",
    *(rate_name("observed", rate) for rate in NOMINAL_RATES), "l1", "ssim", "rqi",
)  # fmt: skip
# What is measured of all scans of a modality together.
FROC_LEVELS = (1, 5, 10, 20)
GROUP_MEASURES: dict[str, Measure] = {
    "patients_vs_controls_auroc": Measure(
        "Chance that the burden of a patient is higher than that of a control.",
        more_is_better=True,
    ),
    "volume_agreement_low_ml": Measure(
        "Lower limit of agreement (Bland and Altman 1986) of the volume of the mask with that of "
        "the truth, in patients: the mean difference minus 1.96 standard deviations.",
        "ml",
    ),
    "volume_agreement_high_ml": Measure("Upper limit of agreement: plus 1.96.", "ml"),
    "volume_icc": Measure(
        "Intraclass correlation of the volume of the mask with that of the truth, in patients: "
        "two-way, absolute agreement, single measurement (ICC(A,1), McGraw and Wong 1996); n/a for "
        "fewer than five.",
        more_is_better=True,
    ),
    **{
        f"froc_sensitivity_at_{level}": Measure(
            f"Share of all lesions of at least 8 mm3 that are found at the threshold with at most "
            f"{level} false components a scan (FROC).",
            more_is_better=True,
        )
        for level in FROC_LEVELS
    },
    "group_ahi": Measure(
        "Anomaly-to-healthy index of the group, after Bercea et al. 2025, against the scans of the "
        "controls: Frechet distances of the texture of blocks of 8 mm.",
        more_is_better=True,
    ),
}
SUMMARY: dict[str, Measure] = {
    "modality": IDENTITY["modality"],
    "model": IDENTITY["model"],
    "group": Measure("`patient` or `control`; `all` for measures of both together."),
    "versus": Measure(
        "n/a: the row is about the model. Otherwise the row is the difference of the model to this "
        "one, on the people for whom both have the figure."
    ),
    "measure": Measure("See Levels.", None),
    "people": Measure("Number of people for whom the measure is defined."),
    "estimate": Measure(
        "Mean over people; several scans of a person are averaged first. Group measures: over all."
    ),
    "low": Measure("Lower end of the 95 % interval from 2,000 bootstrap draws of people."),
    "high": Measure("Upper end of it."),
    "p_value": Measure("Two-sided p-value of Wilcoxon's signed-rank test, for differences."),
    "p_holm": Measure(
        "The same, adjusted by Holm's method for all pairs of models of this measure and modality."
    ),
}
