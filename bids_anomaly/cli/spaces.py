"""The spaces that results are brought to, and the way to those of other templates than our own."""

from collections.abc import Callable, Mapping
from pathlib import Path

from bids_anomaly.bids.naming import space_entities
from bids_anomaly.bids.writing import replacing
from bids_anomaly.exceptions import CannotWriteError
from bids_anomaly.preprocessing.template import OUTPUT_SPACE, Grid, TemplateSpace
from bids_anomaly.preprocessing.templateflow import (
    OtherTemplate,
    find_template,
    load_template,
    templateflow_home,
)
from bids_anomaly.running.workfolder import TEMPLATES_NAME
from bids_anomaly.settings import NATIVE, TEMPLATE, Settings


def spaces_of_run(settings: Settings) -> dict[str, TemplateSpace | None]:
    """Return what ``--output-spaces`` names: grids, and the files by which they are reached.

    The files need not be there before :func:`reach_templates`.

    Parameters
    ----------
    settings : Settings
        Of the run.

    Returns
    -------
    dict
        By name, in the order that was asked for; None for the grids of the scans.

    Raises
    ------
    MissingInputError
        If TemplateFlow's folder lacks a template.
    BadTemplateError
        If an image of it cannot be read.
    """
    spaces: dict[str, TemplateSpace | None] = {}
    templates = _other_templates(settings)
    for space in settings.output_spaces:
        if space == NATIVE:
            spaces[space] = None
        elif space == TEMPLATE:
            spaces[space] = OUTPUT_SPACE
        else:
            named = space_entities(space)
            template = templates[named["space"]]
            there, back = _way(settings, template)
            grid = Grid.of(load_template(template.images[int(named["res"])]))
            spaces[space] = TemplateSpace.of(grid, there=there, back=back)
    return spaces


def reach_templates(settings: Settings, tell: Callable[[str], None]) -> None:
    """Make the way to each other template, unless an earlier run has left it in the work folder.

    Runs side by side in a work folder may make it at the same time: they make the same.

    Parameters
    ----------
    settings : Settings
        Of the run.
    tell : callable
        Is told what takes a while.

    Raises
    ------
    MissingInputError, BadTemplateError
        See :func:`bids_anomaly.preprocessing.spaces.write_way`.
    CannotWriteError
        If the work folder is full, or cannot be written.
    """
    from bids_anomaly.preprocessing.spaces import write_way

    for name, template in _other_templates(settings).items():
        way = _way(settings, template)
        if all(map(_is_whole, way)):
            continue
        how = "with the transforms of TemplateFlow" if template.transforms else "by registration"
        tell(f"Bringing {TEMPLATE} to {name} {how}, once for everybody.")
        with replacing(way[0]) as there, replacing(way[1]) as back:
            write_way(there, back, template, seed=settings.seed)


def _other_templates(settings: Settings) -> Mapping[str, OtherTemplate]:
    """Find the other templates that results are brought to, by name."""
    resolutions: dict[str, set[int]] = {}
    for space in settings.output_spaces:
        named = space_entities(space)
        if "res" in named:
            resolutions.setdefault(named["space"], set()).add(int(named["res"]))
    home = templateflow_home()
    return {name: find_template(name, numbers, home) for name, numbers in resolutions.items()}


def _way(settings: Settings, template: OtherTemplate) -> tuple[Path, Path]:
    """Return where the way to a template is kept: another one where it is made of other files."""
    folder = settings.work_dir / TEMPLATES_NAME
    stem = f"{template.name}_{template.digest[:12]}_seed-{settings.seed}"
    return folder / f"{stem}_there.nii.gz", folder / f"{stem}_back.nii.gz"


def _is_whole(path: Path) -> bool:
    from bids_anomaly.preprocessing.registration import require_whole

    try:
        require_whole(path)
    except CannotWriteError:
        return False
    return True
