"""How to cite the tool, and the work that a run of it stands on."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class Work(NamedTuple):
    """A published work.

    Attributes
    ----------
    about : str
        What it stands behind.
    reference : str
        Plain text.
    """

    about: str
    reference: str


class Cited(Protocol):
    """What is in a run by choice: a reconstruction method, or a tool that finds brains."""

    name: str
    references: tuple[str, ...]


REVIEW = Work(
    "Review of pseudo-healthy reconstruction",
    "Mahé Y, Bannier E, Leplaideur S, Fromont E, Galassi F (2025). Unsupervised Deep "
    "Generative Models for Anomaly Detection in Neuroimaging: A Systematic Scoping Review. "
    "arXiv:2510.14462. https://arxiv.org/abs/2510.14462",
)
AFFINE = Work(
    "ANTs: affine registration",
    "Avants BB, Tustison NJ, Song G, Cook PA, Klein A, Gee JC (2011). A reproducible "
    "evaluation of ANTs similarity metric performance in brain image registration. "
    "NeuroImage 54(3), 2033-2044. https://doi.org/10.1016/j.neuroimage.2010.09.025",
)
DEFORMATION = Work(
    "SyN: deformable registration",
    "Avants BB, Epstein CL, Grossman M, Gee JC (2008). Symmetric diffeomorphic image "
    "registration with cross-correlation: evaluating automated labeling of elderly and "
    "neurodegenerative brain. Medical Image Analysis 12(1), 26-41. "
    "https://doi.org/10.1016/j.media.2007.06.004",
)
BIAS = (
    Work(
        "Bias field: tissues and a smooth field",
        "Ashburner J, Friston KJ (2005). Unified segmentation. NeuroImage 26(3), 839-851. "
        "https://doi.org/10.1016/j.neuroimage.2005.02.018",
    ),
    Work(
        "Bias field: lesions as outliers",
        "Van Leemput K, Maes F, Vandermeulen D, Colchester A, Suetens P (2001). Automated "
        "segmentation of multiple sclerosis lesions by model outlier detection. IEEE Transactions "
        "on Medical Imaging 20(8), 677-688. https://doi.org/10.1109/42.938237",
    ),
)
DENOISING = Work(
    "Denoising by total variation",
    "Chambolle A (2004). An algorithm for total variation minimization and applications. Journal "
    "of Mathematical Imaging and Vision 20, 89-97. "
    "https://doi.org/10.1023/B:JMIV.0000011325.36760.1e",
)
TEMPLATES = Work(
    "TemplateFlow: other templates",
    "Ciric R, Thompson WH, Lorenz R, et al. (2022). TemplateFlow: FAIR-sharing of multi-scale, "
    "multi-species brain models. Nature Methods 19, 1568-1571. "
    "https://doi.org/10.1038/s41592-022-01681-2",
)
SOFTWARE = (
    Work(
        "Nipype: workflow engine",
        "Gorgolewski K, Burns CD, Madison C, Clark D, Halchenko YO, Waskom ML, Ghosh SS (2011). "
        "Nipype: a flexible, lightweight and extensible neuroimaging data processing framework in "
        "Python. Frontiers in Neuroinformatics 5, 13. https://doi.org/10.3389/fninf.2011.00013",
    ),
    Work(
        "pybids: reading the dataset",
        "Yarkoni T, Markiewicz CJ, de la Vega A, et al. (2019). PyBIDS: Python tools for BIDS "
        "datasets. Journal of Open Source Software 4(40), 1294. "
        "https://doi.org/10.21105/joss.01294",
    ),
)


def works_behind(
    methods: Iterable[Cited],
    brain_tools: Iterable[Cited],
    *,
    bias: bool,
    deformation: bool,
    denoising: bool,
    templates: bool,
) -> list[Work]:
    """Return what the results of a run stand on, each work once.

    Parameters
    ----------
    methods : iterable of Method
        By which scans were reconstructed.
    brain_tools : iterable of BrainTool
        By which brains were found.
    bias : bool
        Whether bias fields were estimated here.
    deformation : bool
        Whether scans were registered to the template by a deformation here.
    denoising : bool
        Whether a scan was denoised before it was scored.
    templates : bool
        Whether results were brought to other templates than the app's own.
    """
    chosen = [
        Work(f"{row.name}: {task}", reference)
        for task, rows in (("reconstruction", methods), ("brain extraction", brain_tools))
        for row in rows
        for reference in row.references
    ]
    works = [REVIEW, *chosen]
    if bias:
        works += BIAS
    works.append(AFFINE)
    if deformation:
        works.append(DEFORMATION)
    if denoising:
        works.append(DENOISING)
    if templates:
        works.append(TEMPLATES)
    by_reference: dict[str, Work] = {}
    for work in (*works, *SOFTWARE):
        by_reference.setdefault(work.reference, work)
    return list(by_reference.values())


def cite(version: str, works: Iterable[Work]) -> str:
    """Say how to cite a run of bids-anomaly.

    Parameters
    ----------
    version : str
        Version of bids-anomaly that ran.
    works : iterable of Work
        What the run stands on.

    Returns
    -------
    str
        Plain text, one paragraph a reference.
    """
    lines = [f"Please cite the tool as: bids-anomaly {version}, and what it stands on:"]
    lines += [f"{about}\n  {reference}" for about, reference in works]
    return "\n\n".join(lines)
