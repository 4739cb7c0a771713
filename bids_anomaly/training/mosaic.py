"""Many small pictures of slices in one image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from bids_anomaly.bids.writing import replacing

# The value relative to white matter that is shown white.
WHITE_AT = {"T1w": 1.4, "FLAIR": 1.8, "T2w": 3.2}
ENLARGED = 2
MARGIN, TEXT_HEIGHT = 4, 16


def write_mosaic(
    path: Path, rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str], *, by_row: bool
) -> None:
    """Write slices side by side as a PNG.

    Parameters
    ----------
    path : Path
        Written or replaced; its folder is made if missing.
    rows : sequence of sequences of (H, W) arrays
        From 0, shown black, to 1, shown white; the first row of an array is shown lowest, as axial
        slices have it. All of one size; rows may be of different lengths.
    titles : sequence of str
        One for each row or each column.
    by_row : bool
        Whether titles are of rows.
    """
    height, width = (ENLARGED * size + MARGIN for size in rows[0][0].shape)
    above = TEXT_HEIGHT if by_row else 0
    top = 0 if by_row else TEXT_HEIGHT
    columns = max(len(row) for row in rows)
    picture = Image.new("L", (columns * width, top + len(rows) * (height + above)))
    draw = ImageDraw.Draw(picture)
    for number, title in enumerate(titles):
        place = (2, number * (height + above)) if by_row else (2 + number * width, 0)
        draw.text(place, title, fill=255)
    for line, row in enumerate(rows):
        for column, values in enumerate(row):
            shown = (255 * np.clip(values[::-1], 0, 1)).astype(np.uint8)
            tile = Image.fromarray(shown.repeat(ENLARGED, 0).repeat(ENLARGED, 1))
            picture.paste(tile, (column * width, top + line * (height + above) + above))
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG")
