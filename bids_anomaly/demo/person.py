"""Who a synthetic person is: size and shape of the head, and how it lies in the scanner."""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from scipy.spatial.transform import Rotation

from bids_anomaly.demo.fields import Axes, RandomField

# The template is larger than most brains: 1.9 litres of cranium.
USUAL_SCALE = 0.925
# How far heads of the same size differ in shape.
SHAPE_MM = 2.4


class Person(NamedTuple):
    """A head, as the map from the scanner to the template, and how much of what it has.

    Attributes
    ----------
    template_from_scanner : (3, 4) array
        Affine part of the map, in mm.
    shape : three RandomField
        Displacement along each axis relative to `SHAPE_MM`.
    atrophy : float
        Width of the CSF between brain and skull beyond the usual, in mm.
    fat : float
        Thickness of the fat below the skin relative to the usual.
    """

    template_from_scanner: np.ndarray
    shape: tuple[RandomField, ...]
    atrophy: float
    fat: float

    @classmethod
    def draw(cls, box: np.ndarray, random: Generator) -> "Person":
        """Draw a person; `box` holds the corners of the field of view in mm, (2, 3)."""
        scale = USUAL_SCALE * np.exp(random.normal(0, [0.02, 0.025, 0.02]))
        turn = Rotation.from_euler("xyz", random.normal(0, [4.0, 1.5, 2.0]), degrees=True)
        shift = random.normal(0, [2.0, 2.0, 1.0])
        linear = turn.as_matrix() / scale[:, None]
        shape = tuple(RandomField.smooth(box, 60, random) for _ in range(3))
        return cls(
            np.column_stack([linear, linear @ shift]).astype(np.float32),
            shape,
            atrophy=random.uniform(0.2, 1.0),
            fat=random.uniform(0.8, 1.3),
        )

    def place_in_template(self, axes: Axes) -> Axes:
        """Return where the points of a grid lie in the template, three arrays in mm."""
        x, y, z = axes
        return tuple(
            row[0] * x + row[1] * y + row[2] * z + row[3] + np.float32(SHAPE_MM) * field.on(axes)
            for row, field in zip(self.template_from_scanner, self.shape, strict=True)
        )
