"""How to cite the tool, and the work it stands on."""

REFERENCES = (
    (
        "Review of pseudo-healthy reconstruction",
        "Mahé Y, Bannier E, Leplaideur S, Fromont E, Galassi F (2025). Unsupervised Deep "
        "Generative Models for Anomaly Detection in Neuroimaging: A Systematic Scoping Review. "
        "arXiv:2510.14462. https://arxiv.org/abs/2510.14462",
    ),
    (
        "ANTs: affine registration",
        "Avants BB, Tustison NJ, Song G, Cook PA, Klein A, Gee JC (2011). A reproducible "
        "evaluation of ANTs similarity metric performance in brain image registration. "
        "NeuroImage 54(3), 2033-2044. https://doi.org/10.1016/j.neuroimage.2010.09.025",
    ),
    (
        "SyN: deformable registration",
        "Avants BB, Epstein CL, Grossman M, Gee JC (2008). Symmetric diffeomorphic image "
        "registration with cross-correlation: evaluating automated labeling of elderly and "
        "neurodegenerative brain. Medical Image Analysis 12(1), 26-41. "
        "https://doi.org/10.1016/j.media.2007.06.004",
    ),
    (
        "Bias field: tissues and a smooth field",
        "Ashburner J, Friston KJ (2005). Unified segmentation. NeuroImage 26(3), 839-851. "
        "https://doi.org/10.1016/j.neuroimage.2005.02.018",
    ),
    (
        "Bias field: lesions as outliers",
        "Van Leemput K, Maes F, Vandermeulen D, Colchester A, Suetens P (2001). Automated "
        "segmentation of multiple sclerosis lesions by model outlier detection. IEEE Transactions "
        "on Medical Imaging 20(8), 677-688. https://doi.org/10.1109/42.938237",
    ),
    (
        "deepbet: brain extraction",
        "Fisch L, Zumdick S, Barkhau C, Emden D, Ernsting J, Leenings R, Sarink K, Winter NR, "
        "Risse B, Dannlowski U, Hahn T (2024). deepbet: Fast brain extraction of T1-weighted MRI "
        "using Convolutional Neural Networks. Computers in Biology and Medicine 179, 108845. "
        "https://doi.org/10.1016/j.compbiomed.2024.108845",
    ),
    (
        "Nipype: workflow engine",
        "Gorgolewski K, Burns CD, Madison C, Clark D, Halchenko YO, Waskom ML, Ghosh SS (2011). "
        "Nipype: a flexible, lightweight and extensible neuroimaging data processing framework in "
        "Python. Frontiers in Neuroinformatics 5, 13. https://doi.org/10.3389/fninf.2011.00013",
    ),
    (
        "pybids: reading the dataset",
        "Yarkoni T, Markiewicz CJ, de la Vega A, et al. (2019). PyBIDS: Python tools for BIDS "
        "datasets. Journal of Open Source Software 4(40), 1294. "
        "https://doi.org/10.21105/joss.01294",
    ),
)


def cite(version: str) -> str:
    """Say how to cite a run of bids-anomaly.

    Parameters
    ----------
    version : str
        Version of bids-anomaly that ran.

    Returns
    -------
    str
        Plain text, one paragraph a reference.
    """
    lines = [f"Please cite the tool as: bids-anomaly {version}, and what it stands on:"]
    lines += [f"{about}\n  {reference}" for about, reference in REFERENCES]
    return "\n\n".join(lines)
