"""Draw which regions of the atlas hold the anomalies, left beside right."""

from collections.abc import Sequence

from bids_anomaly.reports.charts import COLOURS, INK, Chart, add_legend, as_chart, new_axes
from bids_anomaly.reports.sentences import say
from bids_anomaly.reports.tables import Row, affected_regions, region_in_words

# Less than this share of all anomalies is not seen in a bar.
MOST_BARS, LEAST_SHARE = 12, 0.005
ORANGE, SKY, GREY = COLOURS[0], COLOURS[1], COLOURS[6]
SIDES = {"left": ORANGE, "right": SKY, "n/a": GREY}
INCH_A_BAR, INCHES_AROUND, WIDTH_INCHES = 0.25, 0.75, 4.8


def region_chart(rows: Sequence[Row]) -> Chart | None:
    """Draw the anomalous volume of the most affected regions; None where there are none.

    Parameters
    ----------
    rows : sequence of mappings
        The regions of a scan.
    """
    volumes: dict[str, dict[str, float]] = {}
    for row in affected_regions(rows):
        stem = row["name"] if row["hemisphere"] == "n/a" else row["name"][:-2]
        volumes.setdefault(stem, {})[row["hemisphere"]] = float(row["anomalous_volume"]) / 1000
    if not volumes:
        return None
    totals = {stem: sum(parts.values()) for stem, parts in volumes.items()}
    largest = sorted(
        (stem for stem in totals if totals[stem] >= LEAST_SHARE * sum(totals.values())),
        key=lambda stem: -totals[stem],
    )[:MOST_BARS]
    height = INCHES_AROUND + INCH_A_BAR * len(largest)
    figure, axes = new_axes("Marked volume (ml)", "", inches=(WIDTH_INCHES, height))
    ends = [0.0] * len(largest)
    for side, colour in SIDES.items():
        parts = [volumes[stem].get(side, 0.0) for stem in largest]
        if any(parts):
            label = "midline" if side == "n/a" else side
            axes.barh(range(len(largest)), parts, left=ends, color=colour, height=0.7, label=label)
            ends = [end + part for end, part in zip(ends, parts, strict=True)]
    axes.set_yticks(range(len(largest)), [region_in_words(stem) for stem in largest])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(len(largest) - 0.4, -0.6)
    axes.spines["left"].set_color(INK)
    # The largest are on top, so this corner is free.
    add_legend(axes, loc="lower right")
    return as_chart(
        "Most affected regions",
        figure,
        axes,
        say("region_chart"),
    )
