"""What each reconstruction method is, a row for each, for whoever has to name or choose one.

A new method is a row here, a module of its name beside this one, and a recipe by which it is
trained in :mod:`bids_anomaly.training.recipes`. Commands read the rows before anything else is
imported, so they need the standard library alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

# What weights are for.
RELEASE, COMPARISON = "release", "comparison"
COMPARISON_IN_WORDS = "from a short training, to compare methods and not to find disease"
# Keys of bids_anomaly.synthesis.corrupt.KINDS.
NOISES = ("simplex", "gaussian", "coarse", "pyramid")


@dataclass(frozen=True, kw_only=True)
class Method:
    """One reconstruction method.

    Attributes
    ----------
    name : str
        Also that of its module beside this one, and of the function in it.
    words : str
        What it is, with its article, for the methods text.
    references : tuple of str
        The work that it follows, to be cited; the module says what is the same and what differs.
    learns : bool
        Whether it has a network, which is trained.
    anomalies : str
        What it learns to take away beside noise, if anything.
    noise : str or None
        One of :data:`NOISES`, with which it is trained unless another is asked for; None if it
        learns without.
    makes_image : bool
        Whether it makes a pseudo-healthy image, and not a score alone.
    needs : tuple of str
        What its bundles have to say in ``bundle.json`` beside what all say.
    levels : str
        What the levels of corruption in its bundles are to it; empty if it knows none.
    takes_steps : bool
        Whether ``--steps`` means anything to it.
    steps : int or None
        How many it takes where nobody asks for another number; None is one for each level of the
        bundle.
    most_steps : int or None
        How many it takes at most.
    status : str
        :data:`RELEASE` or :data:`COMPARISON`: what the weights that come with the package are for.
    """

    name: str
    words: str
    references: tuple[str, ...]
    learns: bool = True
    anomalies: str = ""
    noise: str | None = None
    makes_image: bool = True
    needs: tuple[str, ...] = ()
    levels: str = ""
    takes_steps: bool = False
    steps: int | None = None
    most_steps: int | None = None
    status: str = COMPARISON

    def steps_taken(self, asked: int | None, levels: Sequence[float]) -> int | None:
        """Return in how many steps a scan is reconstructed.

        Parameters
        ----------
        asked : int or None
            What was asked for.
        levels : sequence of float
            Levels of corruption that the bundle names.

        Returns
        -------
        int or None
            None where the method knows no steps.
        """
        if not self.takes_steps:
            return None
        taken = asked or self.steps or len(levels)
        return min(taken, self.most_steps) if self.most_steps else taken


BAUR_2021 = (
    "Baur C, Denner S, Wiestler B, Navab N, Albarqouni S (2021). Autoencoders for unsupervised "
    "anomaly segmentation in brain MR images: A comparative study. Medical Image Analysis 69, "
    "101952. https://doi.org/10.1016/j.media.2020.101952"
)
BEHRENDT_2023 = (
    "Behrendt F, Bhattacharya D, Krüger J, Opfer R, Schlaefer A (2023). Patched Diffusion Models "
    "for Unsupervised Anomaly Detection in Brain MRI. Medical Imaging with Deep Learning. "
    "arXiv:2303.03758. https://arxiv.org/abs/2303.03758"
)
KASCENAS_2022 = (
    "Kascenas A, Pugeault N, O'Neil AQ (2022). Denoising Autoencoders for Unsupervised Anomaly "
    "Detection in Brain MRI. Medical Imaging with Deep Learning, PMLR 172, 653-664. "
    "https://proceedings.mlr.press/v172/kascenas22a.html"
)

ROWS = (
    Method(
        name="threshold",
        words="the smoothed intensity itself, without a network",
        references=(
            "Meissen F, Kaissis G, Rueckert D (2021). Challenging Current Semi-Supervised Anomaly "
            "Segmentation Methods for Brain MRI. arXiv:2109.06540. "
            "https://arxiv.org/abs/2109.06540",
        ),
        learns=False,
        makes_image=False,
        status=RELEASE,
    ),
    Method(
        name="ae",
        words="a convolutional autoencoder",
        references=(BAUR_2021,),
    ),
    Method(
        name="vae",
        words="a variational autoencoder",
        references=(BAUR_2021,),
    ),
    Method(
        name="fanogan",
        words="a generative adversarial network with an encoder (f-AnoGAN)",
        references=(
            "Schlegl T, Seeböck P, Waldstein SM, Langs G, Schmidt-Erfurth U (2019). f-AnoGAN: Fast "
            "unsupervised anomaly detection with generative adversarial networks. Medical Image "
            "Analysis 54, 30-44. https://doi.org/10.1016/j.media.2019.01.010",
        ),
    ),
    Method(
        name="dae",
        words="a denoising autoencoder",
        references=(KASCENAS_2022,),
        noise="coarse",
    ),
    Method(
        name="anoddpm",
        words="a denoising diffusion model (AnoDDPM)",
        references=(
            "Wyatt J, Leach A, Schmon SM, Willcocks CG (2022). AnoDDPM: Anomaly Detection with "
            "Denoising Diffusion Probabilistic Models using Simplex Noise. IEEE/CVF Conference on "
            "Computer Vision and Pattern Recognition Workshops, 650-656. "
            "https://doi.org/10.1109/CVPRW56347.2022.00080",
        ),
        noise="simplex",
        needs=("levels",),
        levels="to which noise is added, and from which steps lead back",
        takes_steps=True,
        steps=10,
        most_steps=250,
    ),
    Method(
        name="pddpm",
        words="a patched denoising diffusion model (pDDPM)",
        references=(BEHRENDT_2023,),
        noise="simplex",
        needs=("levels",),
        levels="to which noise is added to one patch after another",
    ),
    Method(
        name="cddpm",
        words="a conditioned denoising diffusion model (cDDPM)",
        references=(
            "Behrendt F, Bhattacharya D, Mieling R, Maack L, Krüger J, Opfer R, Schlaefer A "
            "(2023). Guided Reconstruction with Conditioned Diffusion Models for Unsupervised "
            "Anomaly Detection in Brain MRIs. arXiv:2312.04215. https://arxiv.org/abs/2312.04215",
        ),
        noise="simplex",
        needs=("levels",),
        levels="to which noise is added, with one prediction from each",
    ),
    Method(
        name="cadd",
        words="a diffusion model of volumes conditioned on age and sex (CADD)",
        references=(
            "Lawry Aguila A, Ijishakin A, Iglesias JE, et al. (2025). CADD: Context aware disease "
            "deviations via restoration of brain images using normative conditional diffusion "
            "models. arXiv:2508.03594. https://arxiv.org/abs/2508.03594",
        ),
        noise="gaussian",
        needs=("levels", "covariates"),
        levels="from which steps lead back: to find what is doubtful, and to paint it anew",
        takes_steps=True,
        steps=3,
    ),
    Method(
        name="guided",
        words="a diffusion model of volumes guided by the scan",
        references=(
            "Lawry Aguila A, et al. (2025). Conditional diffusion models for guided anomaly "
            "detection in brain images using fluid-driven anomaly randomization. "
            "arXiv:2506.10233. https://arxiv.org/abs/2506.10233",
            "Liu P, et al. (2025). Unraveling normal anatomy via fluid-driven anomaly "
            "randomization. IEEE/CVF Conference on Computer Vision and Pattern Recognition.",
        ),
        anomalies="fluid-driven anomalies",
        noise="gaussian",
        needs=("levels",),
        levels="of noise from which steps lead to the healthy volume",
        takes_steps=True,
        steps=3,
    ),
    Method(
        name="features",
        words="a network whose features are compared with those of healthy people",
        references=(
            "Roth K, Pemula L, Zepeda J, Schölkopf B, Brox T, Gehler P (2022). Towards Total "
            "Recall in Industrial Anomaly Detection. IEEE/CVF Conference on Computer Vision and "
            "Pattern Recognition, 14318-14328.",
            "Lagogiannis I, Meissen F, Kaissis G, Rueckert D (2023). Unsupervised Pathology "
            "Detection: A Deep Dive Into the State of the Art. arXiv:2303.00609. "
            "https://arxiv.org/abs/2303.00609",
        ),
        noise="coarse",
        makes_image=False,
    ),
    Method(
        name="restore",
        words="a few-step restoration network",
        references=(
            "Naval Marimont S, Baugh M, Siomos V, Tzelepis C, Kainz B, Tarroni G (2024). DISYRE: "
            "Diffusion-Inspired SYnthetic REstoration for Unsupervised Anomaly Detection. IEEE "
            "International Symposium on Biomedical Imaging. arXiv:2311.15453. "
            "https://arxiv.org/abs/2311.15453",
            BEHRENDT_2023,
            KASCENAS_2022,
        ),
        anomalies="procedural anomalies",
        needs=("levels",),
        levels="of corruption at which it looks for anomalies",
        takes_steps=True,
        status=RELEASE,
    ),
)
METHODS: Mapping[str, Method] = MappingProxyType({row.name: row for row in ROWS})
# What bids-anomaly-train offers.
TRAINED = tuple(row.name for row in ROWS if row.learns)
