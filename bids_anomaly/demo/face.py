"""Solids of face, skull base and neck, at hand-measured places of the template's space.

They are rough: enough for a scan to look like one from outside the brain. Places are in mm and, of
paired structures, those of the right side.
"""

from collections.abc import Callable

import numpy as np

from bids_anomaly.demo.fields import Axes, capsule, ellipsoid, smooth_union, soft

# T1w levels relative to white matter.
BONE, FLUID, MUSCLE, SKIN, MARROW, FAT = 0.07, 0.22, 0.55, 0.65, 0.75, 1.15


class Canvas:
    """An image that is painted from back to front."""

    def __init__(self, shape: tuple[int, ...], border: float):
        self.intensity = np.zeros(shape, np.float32)
        self.border = border

    def paint(self, depth: np.ndarray, level: float | np.ndarray) -> None:
        """Cover a solid, given by its depth in mm, with a level."""
        self.intensity += soft(depth, self.border) * (level - self.intensity)


def paint_jaws(canvas: Canvas, place: Axes, paired: Axes, smooth: Callable) -> None:
    """Paint cheeks, tongue, teeth, palate and mandible."""
    canvas.paint(ellipsoid(paired, (38, 52, -80), (11, 20, 14)), FAT * (0.9 + 0.12 * smooth(6)))
    masseter = capsule(paired, (57, 22, -58), (50, 12, -100), (7, 9))
    canvas.paint(masseter, MUSCLE * (1 + 0.1 * smooth(4)))
    pterygoid = capsule(paired, (26, 20, -58), (40, 8, -90), (8, 8))
    canvas.paint(pterygoid, MUSCLE * (1 + 0.1 * smooth(4)))
    tongue = ellipsoid(place, (0, 34, -101), (24, 34, 20))
    canvas.paint(tongue, 0.66 + 0.07 * smooth(5) + 0.06 * smooth(12))
    palate = ellipsoid(place, (0, 44, -79), (20, 32, 3))
    canvas.paint(palate, 0.25 + 0.15 * smooth(4))
    x, y, _ = paired
    # Teeth and the bone that holds them follow a parabola, open to the back.
    arch = 4.5 - np.abs(np.hypot(x * 1.15, np.clip(y - 46, 0, None)) - 32)
    row = np.minimum(arch, np.minimum(9 - np.abs(place[2] + 90), y - 20))
    canvas.paint(row + 0.8 * smooth(4), BONE + 0.05 + 0.05 * smooth(3))
    canvas.paint(np.minimum(arch - 1.5, 4 - np.abs(place[2] + 80)), 0.7 + 0.1 * smooth(4))
    for shrink, level in ((0.0, BONE), (2.2, MARROW + 0.25 + 0.1 * smooth(5))):
        mandible = smooth_union(
            [
                capsule(paired, (50, 2, -52), (46, 6, -98), (5 - shrink * 0.8, 6.5 - shrink)),
                capsule(paired, (46, 8, -100), (22, 60, -114), (7.5 - shrink, 8 - shrink)),
                capsule(paired, (22, 60, -114), (0, 72, -116), (8 - shrink, 8 - shrink)),
            ],
            blend=1.0,
        )
        canvas.paint(mandible, level)


def paint_airways(canvas: Canvas, place: Axes, paired: Axes, smooth: Callable) -> None:
    """Paint nose, sinuses and throat."""
    grain = smooth(4)
    walls = 0.30 + 0.18 * smooth(3)
    antrum = ellipsoid(paired, (29, 50, -62), (13, 17, 16)) + 0.8 * grain
    canvas.paint(antrum + 1.6, BONE + 0.05)
    canvas.paint(antrum, 0.02)
    nose = (
        np.minimum(ellipsoid(place, (0, 54, -58), (15, 36, 22)), 15 - np.abs(place[0]))
        + 0.5 * grain
    )
    canvas.paint(nose + 1.0, BONE)
    # Three scrolls on each side, and a septum.
    scroll = 4.0 - np.hypot(paired[0] - 8, (place[2] + 66) % 12 - 6) + 0.8 * grain
    canvas.paint(nose, 0.02)
    canvas.paint(np.minimum(nose, scroll), 0.55 + 0.1 * grain)
    canvas.paint(np.minimum(nose, 1.2 - np.abs(place[0] + grain)), 0.35)
    ethmoid = ellipsoid(place, (0, 50, -34), (12, 22, 11)) + 1.0 * grain
    canvas.paint(ethmoid, np.clip(walls - 0.12, 0.02, None))
    canvas.paint(ellipsoid(place, (0, 20, -32), (13, 13, 10)) + 0.8 * grain, 0.03)
    canvas.paint(ellipsoid(paired, (11, 82, -12), (11, 4, 8)) + 0.8 * grain, 0.03)
    throat = smooth_union(
        [
            capsule(place, (0, 14, -56), (0, 4, -84), (9, 6)),
            capsule(place, (0, 4, -84), (0, -2, -150), (6, 8)),
        ],
        blend=1.5,
    )
    canvas.paint(throat, 0.02)
    canvas.paint(ellipsoid(place, (0, 50, -83), (20, 26, 2.0)), 0.05)


def paint_orbits(canvas: Canvas, paired: Axes, smooth: Callable) -> None:
    """Paint the eyes in their fat, with muscles and nerve."""
    orbit = smooth_union(
        [
            ellipsoid(paired, (32, 60, -36), (18, 18, 17)),
            capsule(paired, (32, 56, -36), (17, 26, -34), (13, 4)),
        ],
        blend=2.0,
    )
    canvas.paint(orbit + 2.0, BONE)
    canvas.paint(orbit, FAT * (1 + 0.06 * smooth(5)))
    apex = (17, 27, -34)
    for dx, dz in ((11, 0), (-10, 0), (0, 11), (0, -11)):
        canvas.paint(capsule(paired, apex, (31 + dx, 58, -36 + dz), (1.6, 2.0)), MUSCLE + 0.08)
    canvas.paint(capsule(paired, apex, (32, 54, -36), (2.0, 2.0)), 0.75)
    globe = ellipsoid(paired, (33, 65, -36.5), (12.2, 12.2, 12.2))
    canvas.paint(globe + 1.0, 0.5)
    canvas.paint(globe, FLUID - 0.02)
    canvas.paint(ellipsoid(paired, (33, 73.5, -36.5), (4.5, 2.2, 4.5)), 0.48)


def paint_skull_base(canvas: Canvas, place: Axes, paired: Axes, smooth: Callable) -> None:
    """Paint the petrous bones with their air cells, the clivus and the cheek bones."""
    grain = smooth(4)
    petrous = smooth_union(
        [
            capsule(paired, (14, -6, -38), (50, -26, -44), (7, 12)),
            ellipsoid(paired, (55, -34, -52), (12, 17, 19)),
            ellipsoid(paired, (64, -12, -42), (12, 8, 8)),
        ],
        blend=2.0,
    )
    canvas.paint(petrous + 1.5 * grain, np.clip(0.07 + 0.06 * grain, 0.02, 0.4))
    wings = capsule(paired, (14, 30, -30), (54, 34, -24), (5, 4))
    canvas.paint(wings, BONE)
    canvas.paint(wings - 2.5, MARROW)
    clivus = capsule(place, (0, 2, -38), (0, -20, -64), (8, 5))
    canvas.paint(clivus + 1.2, BONE)
    canvas.paint(clivus - 0.8, MARROW + 0.12 * grain)
    cheek = smooth_union(
        [
            capsule(paired, (40, 66, -54), (58, 48, -48), (6, 5)),
            capsule(paired, (58, 48, -48), (64, 6, -44), (5, 3)),
        ],
        blend=1.0,
    )
    canvas.paint(cheek, BONE)
    canvas.paint(cheek - 2.5, MARROW + 0.1 + 0.1 * grain)


def paint_neck(canvas: Canvas, place: Axes, paired: Axes, smooth: Callable) -> None:
    """Paint the bones of the neck and its large vessels."""
    z = place[2]
    marrow = 0.62 + 0.08 * smooth(5)
    # Vertebrae are 17 mm apart; between them lie dark discs.
    disc = np.cos(2 * np.pi * (z + 78) / 17) > 0.75
    body = capsule(place, (0, -24, -72), (0, -30, -150), (11, 11))
    canvas.paint(body + 1.5, BONE)
    canvas.paint(body, np.where(disc, 0.3, marrow))
    arch = ellipsoid(place, (0, -64, 0), (5, 13, 1e3)) * 1.0
    spinous = np.minimum(arch, np.minimum(-70 - z, 3 - np.abs((z + 78) % 17 - 8.5)))
    canvas.paint(spinous + 1.5, BONE)
    canvas.paint(spinous, marrow)
    lateral = capsule(paired, (17, -34, -74), (17, -40, -150), (7, 7))
    canvas.paint(lateral, 0.28 + 0.1 * smooth(4))
    canvas.paint(capsule(paired, (26, -14, -60), (30, -12, -150), (3, 3.2)), 1.25)
    canvas.paint(capsule(paired, (34, -18, -62), (36, -14, -150), (4, 5)), 0.55)


def paint_spinal_canal(canvas: Canvas, place: Axes) -> None:
    """Paint the cord in its fluid, from the foramen magnum down."""
    canal = capsule(place, (0, -44, -58), (0, -50, -150), (11, 9))
    canvas.paint(canal + 1.2, 0.12)
    canvas.paint(canal, FLUID)
    canvas.paint(capsule(place, (0, -44, -58), (0, -50, -150), (6.5, 5)), 0.9)
