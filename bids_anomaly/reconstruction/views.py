"""In which direction a volume is cut into the slices that a network sees."""

AXIAL, CORONAL = "axial", "coronal"
# Which axes of an (X, Y, Z) array become columns, rows and slices. Each order undoes itself.
AXES = {AXIAL: (0, 1, 2), CORONAL: (0, 2, 1)}
