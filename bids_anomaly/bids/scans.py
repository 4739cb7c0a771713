"""What a run works on: sessions, their scans, and what another pipeline made of a scan."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bids_anomaly.modalities import primary_modality

TRANSFORMS_TOO = " (transforms too)"


@dataclass(frozen=True)
class Prepared:
    """What another pipeline made of a scan.

    Attributes
    ----------
    dataset : str
        Name of the derivative dataset, as in BIDS URIs.
    folder : Path
        Where it is.
    pipeline : str
        What made it, such as ``fMRIPrep 23.2.0``.
    brain : Path
        Brain mask in the grid of the scan.
    to_template, from_template : Path or None
        ITK transforms between the scan and the template of the models, if there are both.
    """

    dataset: str
    folder: Path
    pipeline: str
    brain: Path
    to_template: Path | None = None
    from_template: Path | None = None

    @property
    def origin(self) -> str:
        """What was taken from where, such as ``fMRIPrep 23.2.0 (transforms too)``."""
        return self.pipeline + (TRANSFORMS_TOO if self.deforms else "")

    @property
    def deforms(self) -> bool:
        """Whether it came with the deformation to the template, there and back."""
        return self.to_template is not None and self.from_template is not None


@dataclass(frozen=True)
class GivenBrain:
    """A brain mask in the grid of a raw scan, which nobody has to find any more.

    Attributes
    ----------
    path : Path
        Absolute.
    pipeline : str
        What made it.
    """

    path: Path
    pipeline: str


@dataclass(frozen=True)
class Segmentation:
    """What FreeSurfer or FastSurfer found in a raw scan, in a grid of theirs.

    Attributes
    ----------
    path : Path
        Absolute; a label map or an image of the brain alone.
    pipeline : str
        What made it.
    above : int
        Values above it are brain.
    picture : Path or None
        The scan as they saw it, in the same grid, if they kept it.
    """

    path: Path
    pipeline: str
    above: int
    picture: Path | None


@dataclass(frozen=True)
class Scan:
    """One image, and what its name says.

    Attributes
    ----------
    path : Path
        Absolute.
    entities : mapping
        Labels by short key, in the order and the spelling of the file name:
        ``{"sub": "01", "ses": "1", "acq": "x", "run": "01"}``.
    suffix : str
        The modality: ``T1w``, ``T2w``, ``FLAIR``.
    prepared : Prepared or None
        Who prepared the image, if it is not a raw one; its entities are those of the raw scans
        that it stands for.
    sources : tuple of str
        BIDS URIs of what it is read from: its file, and what was prepared with it.
    brain : GivenBrain, Segmentation or None
        Where the brain mask of a raw scan is from; None where it is found here.
    """

    path: Path
    entities: Mapping[str, str] = field(hash=False)
    suffix: str
    prepared: Prepared | None = None
    sources: tuple[str, ...] = ()
    brain: GivenBrain | Segmentation | None = None

    @property
    def name(self) -> str:
        """File name without its extension."""
        return self.path.name.removesuffix(".gz").removesuffix(".nii")

    @property
    def comes_deformed(self) -> bool:
        """Whether the deformation to the template came with it and is not registered here."""
        return self.prepared is not None and self.prepared.deforms


@dataclass(frozen=True)
class Session:
    """The scans of one participant at one timepoint.

    Attributes
    ----------
    participant : str
        Label without ``sub-``.
    session : str or None
        Label without ``ses-``. None if the participant's scans are not in sessions.
    scans : tuple of Scan
        At least one. T1w first, then in the order of the requested modalities, then by file name;
        the first is the reference.
    known : mapping
        The row of the participant in ``participants.tsv``.
    """

    participant: str
    session: str | None
    scans: tuple[Scan, ...]
    known: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def label(self) -> str:
        """How the session's files begin: ``sub-01`` or ``sub-01_ses-1``."""
        participant = f"sub-{self.participant}"
        return participant if self.session is None else f"{participant}_ses-{self.session}"

    @property
    def sources(self) -> tuple[str, ...]:
        """BIDS URIs of what all its scans are read from."""
        return tuple(uri for scan in self.scans for uri in scan.sources)

    def primary(self, asked_for: str | None) -> Scan:
        """Return the scan that leads, the first of its modality.

        Parameters
        ----------
        asked_for : str or None
            See :func:`bids_anomaly.modalities.primary_modality`.
        """
        modality = primary_modality([scan.suffix for scan in self.scans], asked_for)
        return next(scan for scan in self.scans if scan.suffix == modality)
