"""Recognise values that show no tissue or are not what was measured, and mend them if possible.

Clean scans come out as they went in: the limits keep a distance from what 98 scans of the
development sets have. ``docs/preprocessing.md`` tells what is done with which.
"""

from typing import NamedTuple

import nibabel as nib
import numpy as np
from scipy import ndimage

from bids_anomaly.exceptions import BadScanError
from bids_anomaly.preprocessing.brain import strip_mask
from bids_anomaly.preprocessing.foreground import background_level

# Hot voxels are at most this many, or all of one value, and brighter than the next one by this
# factor (2.4 at most in clean scans, where vessels are the brightest).
MOST_SPIKES, SPIKE_FACTOR = 50, 3.0
# Negative values below minus this share of bright tissue are no noise and no ripples.
CLEARLY_NEGATIVE = 0.5
# Raised values are noticed from this share of bright tissue on (0.00 in clean scans).
LEAST_PEDESTAL = 0.05
# How far air may be from the darkest of a scan to be its darkest, as a share of bright tissue.
AIR_RANGE = 0.1
# Padding fills this share of a scan at least, and of a face of its field of view.
LEAST_PADDING, LEAST_FACE = 0.002, 0.1
# How much air beside padding varies at most, and how far padding is from it, in bright tissue.
QUIET, FAR = 0.05, 0.1
# The border of padding that was interpolated, in voxels.
BLURRED = 2
# Noise between tissue and nothing, as MP2RAGE leaves it: in air, relative to bright tissue, and the
# correlation of neighbours.
WILD_AIR, LARGEST_CORRELATION = 0.15, 0.5
WRAPPED_BITS = (8, 16)


class Mended(NamedTuple):
    """Values of a scan, and what was done to them.

    Attributes
    ----------
    values : (X, Y, Z) float32 array
    remarks : tuple of str
        A sentence for all that was found.
    """

    values: np.ndarray
    remarks: tuple[str, ...] = ()


def mend_intensities(image: nib.Nifti1Image, *, step: float, name: str) -> Mended:
    """Take away what is not tissue nor air: padding, hot voxels, overflow, a pedestal.

    Parameters
    ----------
    image : nibabel.Nifti1Image
        RAS+, finite values.
    step : float
        What one count of the file is in the values, as ``scl_slope`` says.
    name : str
        Of its file.

    Raises
    ------
    BadScanError
        If tissue holds strongly negative values that cannot be explained.
    """
    values = np.asanyarray(image.dataobj)
    remarks: list[str] = []
    values, said = _without_padding(image)
    remarks += said
    values, said = _unwrapped(values, step)
    remarks += said
    values, said = _without_spikes(values)
    remarks += said
    _refuse_negative(values, name)
    values, said = _without_pedestal(values)
    remarks += said
    remarks += _wild_air(values)
    return Mended(values, tuple(f"{name}: {remark}." for remark in remarks))


def _bright(values: np.ndarray, darkest: float) -> float:
    """Return how much brighter than the darkest bright tissue is; 0 if nothing is."""
    above = values[values > darkest]
    return float(np.percentile(above, 98) - darkest) if above.size else 0.0


def _faces(values: np.ndarray) -> list[np.ndarray]:
    """Return the six faces of a field of view."""
    return [values.take(end, axis) for axis in range(3) for end in (0, -1)]


def _without_padding(image: nib.Nifti1Image) -> tuple[np.ndarray, list[str]]:
    """Give regions of one value at the border of the field of view the value of air."""
    values = np.asanyarray(image.dataobj)
    padded, remarks = np.zeros(values.shape, bool), []
    for value in _border_values(values):
        same = values == value
        rest = values[~same & ~padded]
        if same.mean() < LEAST_PADDING or rest.size < LEAST_PADDING * values.size:
            continue
        low, middle = np.percentile(rest, [1, 50])
        bright = _bright(rest, low)
        if bright == 0 or abs(value - low) <= FAR * bright:
            continue
        region = _touching_border(same)
        if region.mean() < LEAST_PADDING:
            continue
        rim = ndimage.binary_dilation(region, iterations=BLURRED + 2) & ~same
        rim &= ~ndimage.binary_dilation(region, iterations=BLURRED) & ~padded
        beside = np.percentile(values[rim], [10, 50]) if rim.any() else np.array([low, middle])
        is_air = np.ptp(beside) < QUIET * bright and beside[0] - low < QUIET * bright
        top = low + bright
        is_beyond = value > top + bright or value < low - bright
        if not (is_air or is_beyond):
            continue
        # Skull-stripped scans have a background of any value, which is no padding of a head.
        if value == background_level(values) and strip_mask(image) is not None:
            continue
        # What was interpolated between padding and air is no tissue either.
        shell = ndimage.binary_dilation(region, iterations=BLURRED)
        clear = values[~shell & ~padded]
        if clear.size:
            low = np.percentile(clear, 1)
            bright = _bright(clear, low)
        beyond = (values > low + 3 * bright) | (values < low - bright / 2)
        region |= beyond & (shell | _touching_border(beyond))
        padded |= region
        remarks.append(
            f"{region.mean():.0%} of its voxels are padding of the value {value:g}, which was "
            "taken for air"
        )
    if not remarks:
        return values, []
    air = np.percentile(values[~padded], 1)
    return np.where(padded, air, values).astype(np.float32), remarks


def _border_values(values: np.ndarray) -> list[float]:
    """Return the values that fill much of a face of the field of view, or its corners."""
    found = set(map(float, values[np.ix_(*[(0, -1)] * 3)].ravel()))
    for face in _faces(values):
        unique, counts = np.unique(face, return_counts=True)
        found.update(map(float, unique[counts >= LEAST_FACE * counts.sum()]))
    return sorted(found)


def _touching_border(mask: np.ndarray) -> np.ndarray:
    """Return the part of a mask that is connected with the border of the field of view."""
    labels, _ = ndimage.label(mask)
    border = {int(label) for face in _faces(labels) for label in np.unique(face)}
    return np.isin(labels, list(border - {0}))


def _unwrapped(values: np.ndarray, step: float) -> tuple[np.ndarray, list[str]]:
    """Undo an overflow of 8- or 16-bit integers, where that makes the scan smoother."""
    if values.min() >= 0:
        return values, []
    background = background_level(values)
    for bits in WRAPPED_BITS:
        period = 2**bits * step
        negative = (values < 0) & (values != background)
        if values.min() < -period / 2 or values.max() >= period / 2 or not negative.any():
            continue
        if values.max() < 0.375 * period or values[negative].min() > -0.25 * period:
            continue
        unwrapped = np.where(negative, values + period, values).astype(np.float32)
        if _roughness(unwrapped, negative) < _roughness(values, negative):
            return unwrapped, [
                f"{np.count_nonzero(negative)} voxels were negative because {bits}-bit integers "
                "cannot hold their brightness; they were given it back"
            ]
    return values, []


def _roughness(values: np.ndarray, where: np.ndarray) -> float:
    """Return the sum of the differences between voxels of a mask and their neighbours."""
    total = 0.0
    for axis in range(3):
        near = np.delete(where, 0, axis) | np.delete(where, -1, axis)
        total += float(np.abs(np.diff(values, axis=axis))[near].sum(dtype=np.float64))
    return total


def _without_spikes(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Give voxels that are far beyond all others the median of their neighbourhood.

    They are a few, or any number that share one value, as text has that was burned into a scan.
    """
    brightest = values == values.max()
    # Nearly all scans have one such voxel, and need no copy.
    rest = values[~brightest] if np.count_nonzero(brightest) > MOST_SPIKES else values.ravel()
    if rest.size <= 10 * MOST_SPIKES:
        return values, []
    low, top = np.partition(rest, (MOST_SPIKES, rest.size - MOST_SPIKES - 1))[
        [MOST_SPIKES, -MOST_SPIKES - 1]
    ]
    bright = max(top, 0)
    hot = values > SPIKE_FACTOR * bright if bright > 0 else np.zeros(values.shape, bool)
    if low >= -CLEARLY_NEGATIVE * bright:
        hot |= values < min(low, 0) - CLEARLY_NEGATIVE * bright
    count = np.count_nonzero(hot)
    if count == 0:
        return values, []
    mended = values.copy()
    for place in np.argwhere(hot):
        around = tuple(slice(max(0, at - 2), at + 3) for at in place)
        near = values[around][~hot[around]]
        mended[tuple(place)] = np.median(near) if near.size else low
    some = "1 voxel is" if count == 1 else f"{count} voxels are"
    return mended, [
        f"{some} far beyond all others (up to {values[hot][np.abs(values[hot]).argmax()]:g}, where "
        f"tissue has up to {top:g}) and got the value of the neighbourhood"
    ]


def _refuse_negative(values: np.ndarray, name: str) -> None:
    """Raise where many voxels are as negative as tissue is bright."""
    if values.min() >= 0:
        return
    shown = values != background_level(values)
    positive = values[shown & (values > 0)]
    if positive.size == 0:
        return  # centred, which is told elsewhere
    strongly = shown & (values < -CLEARLY_NEGATIVE * np.percentile(positive, 99))
    count = np.count_nonzero(strongly)
    if count > MOST_SPIKES and count < 0.1 * positive.size:
        raise BadScanError(
            f"The scan {name} has {count} voxels that are as negative as tissue is bright "
            f"(down to {values[strongly].min():g}), as integers that are too small for the "
            "brightest tissue leave them. Convert it again from DICOM with larger ones."
        )


def _without_pedestal(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Take off what was added to every voxel, air included."""
    darkest = float(np.percentile(values, 1))
    bright = _bright(values, darkest)
    if bright == 0 or darkest <= LEAST_PEDESTAL * bright:
        return values, []
    faces = np.concatenate([face.ravel() for face in _faces(values)])
    # Where the field of view holds no air nothing is known; where air is bright it is padding.
    if np.percentile(faces, 10) - darkest > AIR_RANGE * bright:
        return values, []
    return np.maximum(values - np.float32(darkest), 0), [
        f"air is not dark: {darkest:g}, or {darkest / bright:.0%} of bright tissue, was taken off "
        "every voxel"
    ]


def _wild_air(values: np.ndarray) -> list[str]:
    """Say so where air is noise over the whole range of tissue."""
    bright = _bright(values, float(np.percentile(values, 1)))
    if bright == 0:
        return []
    # The upper corners hold air in every head.
    sizes = [max(2, length // 8) for length in values.shape]
    wild = 0
    corners = [
        tuple(
            slice(-size, None) if end else slice(None, size)
            for end, size in zip(ends, sizes, strict=True)
        )
        for ends in np.ndindex(2, 2, 2)
    ]
    for corner in corners:
        air = values[corner].astype(np.float64)
        if air.std() < WILD_AIR * bright:
            continue
        one, other = air[:-1].ravel(), air[1:].ravel()
        wild += np.corrcoef(one, other)[0, 1] < LARGEST_CORRELATION
    if wild < len(corners) / 2:
        return []
    return [
        "air holds noise as bright as tissue, as in uniform (UNI) images of MP2RAGE: brain mask "
        "and findings are not to be trusted. Give the denoised image (after O'Brien et al. 2014)"
    ]
