"""Paint what surrounds a brain: skull, scalp, face and neck."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from bids_anomaly.demo.anatomy import Anatomy
from bids_anomaly.demo.face import (
    BONE,
    FAT,
    MUSCLE,
    SKIN,
    Canvas,
    paint_airways,
    paint_jaws,
    paint_neck,
    paint_orbits,
    paint_skull_base,
    paint_spinal_canal,
)
from bids_anomaly.demo.fields import Axes, RandomField, capsule, ellipsoid, smooth_union, soft


def paint_head(
    anatomy: Anatomy, place: Axes, axes: Axes, box: np.ndarray, *, fat: float, random: Generator
) -> np.ndarray:
    """Paint a head without its brain.

    Parameters
    ----------
    anatomy, place, axes, box, random
        As in :func:`bids_anomaly.demo.brain.paint_brain`, for a grid of any voxel size.
    fat : float
        Thickness of the fat below the skin relative to the usual.

    Returns
    -------
    (X, Y, Z) float32 array
        T1w intensity, white matter = 1, air = 0.
    """

    def smooth(grain: float) -> np.ndarray:
        return RandomField.smooth(box, grain, random).on(axes)

    def fibres(grain: float) -> np.ndarray:
        """Return a smooth field that is three times longer along the neck."""
        along = (axes[0], axes[1], axes[2] / 3)
        return RandomField.smooth(box / (1, 1, 3), grain, random).on(along)

    x, y, z = place
    paired = (np.abs(x), y, z)
    cranium = anatomy.cranium_depth.at(place)
    depth = _skin_depth(place, paired, anatomy.scalp_depth.at(place))
    canvas = Canvas(depth.shape, border=0.45)

    canvas.paint(depth, SKIN + 0.05 * smooth(6))
    _paint_soft_tissue(canvas, depth, place, fat, smooth, fibres)
    paint_neck(canvas, place, paired, smooth)
    paint_jaws(canvas, place, paired, smooth)
    paint_airways(canvas, place, paired, smooth)
    paint_skull_base(canvas, place, paired, smooth)
    paint_orbits(canvas, paired, smooth)
    _paint_skull(canvas, place, cranium, smooth)
    paint_spinal_canal(canvas, place)
    canvas.intensity *= soft(depth, 0.5)
    return np.clip(canvas.intensity, 0, 1.7)


def _skin_depth(place: Axes, paired: Axes, scalp: np.ndarray) -> np.ndarray:
    """Return the depth below the skin in mm."""
    head = smooth_union(
        [
            np.minimum(scalp, 40),
            ellipsoid(place, (0, 22, -18), (73, 74, 62)),  # brow and temples
            ellipsoid(place, (0, 36, -66), (62, 56, 62)),  # face
            capsule(paired, (38, 14, -100), (18, 64, -110), (20, 22)),  # lower jaw
            ellipsoid(place, (0, 76, -112), (22, 19, 20)),  # chin
            capsule(place, (0, -42, -40), (0, -48, -150), (54, 56)),  # neck
            capsule(paired, (40, -8, -60), (38, -12, -150), (22, 22)),  # below the ears
            capsule(place, (0, 88, -30), (0, 102, -58), (6, 10)),  # nose
            ellipsoid(paired, (11, 93, -61), (9, 9, 8)),  # nostrils' wings
            ellipsoid(place, (0, 86, -88), (24, 14, 14)),  # lips
        ],
        blend=2.5,
    )
    ears = ellipsoid(paired, (80, -30, -36), (4.5, 14, 24))
    sockets = ellipsoid(paired, (33, 93, -37), (17, 15, 12))
    return np.minimum(np.maximum(head, ears), -sockets)


def _paint_soft_tissue(
    canvas: Canvas, depth: np.ndarray, place: Axes, fat: float, smooth: Callable, fibres: Callable
) -> None:
    """Paint the fat below the skin and muscles with thin sheets of fat between them."""
    lower = soft(-40 - place[2], 12)
    thickness = fat * (4.0 + 1.5 * lower) * np.exp(0.35 * smooth(25))
    fat_level = FAT * (0.9 + 0.1 * lower) * (1 + 0.10 * smooth(9) + 0.08 * smooth(4))
    canvas.paint(depth - 1.8, fat_level)
    septa = sum(
        np.exp(-((fibres(grain) / 0.22) ** 2)) * weight for grain, weight in ((5, 0.5), (9, 0.8))
    )
    muscle = MUSCLE * (1 + 0.10 * fibres(3) + 0.06 * smooth(12))
    muscle += (FAT - MUSCLE) * np.clip(septa * (0.55 + 0.3 * smooth(12)), 0, 1)
    canvas.paint(depth - 1.8 - thickness, muscle)


def _paint_skull(canvas: Canvas, place: Axes, cranium: np.ndarray, smooth: Callable) -> None:
    """Paint the vault: galea, two tables with marrow between them, and the temporal muscles."""
    x, y, z = place
    temple = soft(np.abs(x) - 50, 3) * soft(18 - z, 6) * soft(z + 46, 5) * soft(y + 30, 6)
    outside = -cranium
    # The squama of the temporal bone is thin, the occiput and the forehead are thick.
    thick = 5.6 + 1.0 * smooth(30) + 1.5 * soft(np.abs(y + 18) - 62, 8)
    thick = np.clip(thick * (1 - 0.5 * temple), 2.5, 11)
    base = soft(-22 - z, 3) * soft(y + 60, 6)  # below: bones of the base are painted already
    shell = np.where(outside > 0, 1.0, 0.0)
    muscle = soft(thick + 9 * temple - 0.8 - outside, 0.6) * temple * (1 - base)
    canvas.intensity += muscle * (MUSCLE * (1 + 0.08 * smooth(4)) - canvas.intensity)
    galea = soft(1.3 - np.abs(outside - thick - 1.0), 0.4) * (1 - base) * (1 - temple)
    canvas.intensity += 0.6 * galea * (0.45 - canvas.intensity)
    bone = soft(np.where(base > 0.5, 2.6, thick) - outside, 0.4)
    canvas.intensity += bone * (BONE - canvas.intensity)
    middle = soft(thick * 0.5 - 1.9 - np.abs(outside - 0.52 * thick), 0.45) * (1 - base)
    marrow = np.clip(0.55 + 0.16 * smooth(12) + 0.12 * smooth(4), 0.15, 1.0)
    canvas.intensity += middle * shell * (marrow - canvas.intensity)
