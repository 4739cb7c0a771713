"""In which direction a volume is cut into the slices that a network sees."""

AXIAL, CORONAL = "axial", "coronal"
# Which axes of an (X, Y, Z) array become columns, rows and slices. Each order undoes itself.
AXES = {AXIAL: (0, 1, 2), CORONAL: (0, 2, 1)}


def margins(frame: int, rows: int) -> tuple[int, int]:
    """Return how many empty rows stand before and after slices of another view.

    Slices of all views have the frame of axial ones, because what a network normalises by depends
    on how much of a slice is empty.

    Parameters
    ----------
    frame, rows : int
        Rows of axial slices, and of these.
    """
    missing = max(frame - rows, 0)
    return missing // 2, missing - missing // 2
