"""The settings of one run, recorded as JSON with its outputs."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

# The name in TemplateFlow of the space that results are brought to; its images are in
# bids_anomaly.preprocessing.template.
TEMPLATE = "MNI152NLin2009aSym"
# What else TemplateFlow has that results can be brought to: the default of fMRIPrep, and that of
# FSL. Both have voxels of 1 and 2 mm, which it labels res-01 and res-02.
OTHER_TEMPLATES = ("MNI152NLin2009cAsym", "MNI152NLin6Asym")
RESOLUTIONS = (1, 2)
DEFAULT_RESOLUTION = 2
NATIVE = "native"
PATHS = (
    "bids_dir",
    "output_dir",
    "bids_filter_file",
    "use_plugin",
    "work_dir",
    "bids_database_dir",
    "lesion_roi",
    "fs_subjects_dir",
)
TUPLES = (
    "participant_labels",
    "excluded_participants",
    "session_labels",
    "modalities",
    "output_spaces",
)

# Folder in a work folder of the datasets that are made of scans given one by one.
OWN_DATASETS = "bids_anomaly_scans"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one run of ``bids-anomaly BIDS_DIR OUTPUT_DIR {participant,group}`` was asked to do.

    The defaults of the command line are those of this class; the device and the three sizes of the
    machine are filled in by the parser, which looks at the machine.

    Attributes
    ----------
    bids_dir, output_dir : Path
        Absolute paths of the dataset that is read and of the derivatives that are written.
    analysis_level : {'participant', 'group'}
        Scans one by one, or all finished participants together.
    participant_labels, session_labels : tuple of str
        Labels without ``sub-`` and ``ses-``; empty for all.
    excluded_participants : tuple of str
        Labels without ``sub-`` of those who are left out.
    bids_filter_file : Path or None
        JSON file of BIDS entities by query name.
    modalities : tuple of str
        BIDS suffixes; empty for every modality found that a model bundle exists for.
    model : str
        Family of packaged model bundles, or the path of a bundle folder.
    steps : int or None
        Levels at which the image is predicted; None for what the bundle says.
    device : str
        ``'cpu'`` or ``'cuda:N'``, N counting the GPUs that this process can see.
    batch_size : int or None
        Samples that pass the network together; None for what fits the device.
    derivatives : tuple of (str, Path)
        Names and folders of preprocessed derivatives to reuse.
    fs_subjects_dir : Path or None
        Folder of subjects of FreeSurfer or FastSurfer, whose brains are taken.
    brain_extraction : {'deepbet', 'hd-bet', 'template', 'none'}
        How the brain is found.
    output_spaces : tuple of str
        ``'native'``, the own template, and other templates with a resolution, such as
        ``'MNI152NLin2009cAsym:res-2'``. Reports show maps of one of the first two.
    lesion_roi : Path or None
        Dataset that gets lesion masks for other programs.
    healthy_fpr : float
        Fraction of healthy voxels that may be called anomalous, between 0 and 0.5.
    min_lesion_volume : float
        Smallest lesion that is kept, in mm3.
    seed : int
        Seed of every random number of the run.
    stage : {'preprocess', 'reconstruct', 'all'}
        Part of the work that is done now.
    nprocs, omp_nthreads : int
        CPUs for the whole run and threads for one step.
    mem_gb : float
        Memory for the whole run, in GB of 1024 MB.
    use_plugin : Path or None
        Nipype plugin configuration.
    work_dir : Path
        Folder of intermediate files.
    clean_workdir, stop_on_first_crash, reports_only, dry_run, strict, skip_bids_validation : bool
        Switches of the command line.
    bids_database_dir : Path or None
        Folder of the pybids index, reused when it exists.
    primary : str or None
        Modality whose scan leads, where a session has one; None for the order of
        :data:`bids_anomaly.modalities.PRIMARY_ORDER`.
    controls : str or None
        ``COLUMN=VALUE`` of ``participants.tsv`` that says who the controls are.
    tfce : bool
        Whether groups are also compared with threshold-free cluster enhancement.
    verbosity : int
        How often ``-v`` was given.
    """

    bids_dir: Path
    output_dir: Path
    analysis_level: str
    participant_labels: tuple[str, ...] = ()
    excluded_participants: tuple[str, ...] = ()
    session_labels: tuple[str, ...] = ()
    bids_filter_file: Path | None = None
    modalities: tuple[str, ...] = ()
    model: str = "restore"
    steps: int | None = None
    device: str = "cpu"
    batch_size: int | None = None
    derivatives: tuple[tuple[str, Path], ...] = ()
    fs_subjects_dir: Path | None = None
    brain_extraction: str = "deepbet"
    output_spaces: tuple[str, ...] = (NATIVE, TEMPLATE)
    lesion_roi: Path | None = None
    healthy_fpr: float = 0.002
    min_lesion_volume: float = 24.0
    seed: int = 0
    stage: str = "all"
    nprocs: int = 1
    omp_nthreads: int = 1
    mem_gb: float = 4.0
    use_plugin: Path | None = None
    work_dir: Path = Path("work")
    clean_workdir: bool = False
    stop_on_first_crash: bool = False
    reports_only: bool = False
    dry_run: bool = False
    strict: bool = False
    skip_bids_validation: bool = False
    bids_database_dir: Path | None = None
    primary: str | None = None
    controls: str | None = None
    tfce: bool = False
    verbosity: int = 0

    @property
    def has_own_dataset(self) -> bool:
        """Whether the dataset is made in the work folder, of scans given one by one."""
        return self.bids_dir.parent == self.work_dir / OWN_DATASETS

    def to_json_dict(self) -> dict[str, Any]:
        """Express the settings in what JSON knows.

        Returns
        -------
        dict
            Names of settings to strings, numbers, booleans, None, lists and, for `derivatives`,
            a dict of name to path.
        """
        record = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in PATHS:
            record[name] = None if record[name] is None else str(record[name])
        for name in TUPLES:
            record[name] = list(record[name])
        record["derivatives"] = {name: str(folder) for name, folder in self.derivatives}
        return record


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What one step of a run may use.

    Attributes
    ----------
    device : str
        ``'cpu'`` or ``'cuda:N'``.
    batch_size : int or None
        Samples that pass a network together; None for what fits the device.
    omp_nthreads : int
        Threads on the CPU.
    """

    device: str = "cpu"
    batch_size: int | None = None
    omp_nthreads: int = 1

    @property
    def has_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device != "cpu"
