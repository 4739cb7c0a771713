"""Which scans a user wants: the JSON file of ``--bids-filter-file``."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from bids_anomaly.bids.naming import same_index
from bids_anomaly.bids.reading import read_json
from bids_anomaly.exceptions import MissingInputError, UsageError
from bids_anomaly.modalities import MODALITIES, in_usual_order

logger = logging.getLogger("bids_anomaly")

# Filter files are shared between programs; these queries are about scans that are not read here.
_QUERIES_OF_OTHERS = {"asl", "bold", "dwi", "fmap", "m0scan", "pet", "roi", "sbref"}

# Names as in pybids and in the schema of BIDS, and what stands for them in file names.
_KEYS = {
    "subject": "sub",
    "session": "ses",
    "task": "task",
    "acquisition": "acq",
    "ceagent": "ce",
    "reconstruction": "rec",
    "direction": "dir",
    "run": "run",
    "modality": "mod",
    "echo": "echo",
    "flip": "flip",
    "inv": "inv",
    "inversion": "inv",
    "mt": "mt",
    "mtransfer": "mt",
    "part": "part",
    "chunk": "chunk",
    "space": "space",
    "suffix": "suffix",
    "extension": "extension",
    "datatype": "datatype",
}
_NUMBERED = {"run", "echo", "flip", "inv", "chunk"}


def read_bids_filter(path: Path, modalities: Iterable[str] = MODALITIES) -> dict[str, dict]:
    """Read a filter file: for each query, such as ``T1w``, what its scans must have.

    ``{"T1w": {"session": "1", "acquisition": null, "run": [1, 2], "reconstruction": "*"}}`` asks
    for T1w scans of session 1 without ``acq-``, of the first two runs, with any ``rec-``. Entities
    go by their long or short names, queries by the suffix in any case.

    Parameters
    ----------
    path : Path
        JSON file. A label in quotes is always a label: ``"null"`` is not ``null``.
    modalities : iterable of str
        Suffixes that are read beside those of :data:`bids_anomaly.modalities.MODALITIES`.

    Returns
    -------
    dict
        The content of the file by suffix, for :func:`bids_anomaly.bids.query.find_sessions`.

    Raises
    ------
    MissingInputError
        If the file does not exist or may not be read.
    UsageError
        If it is not such a JSON file, or names unknown queries or entities.
    """
    queries = {suffix.lower(): suffix for suffix in in_usual_order([*MODALITIES, *modalities])}
    filters = {}
    for query, entities in _read_object(path).items():
        if query.lower() in _QUERIES_OF_OTHERS:
            logger.info("The query %s of %s is about scans that are not used here.", query, path)
            continue
        if query.lower() not in queries:
            raise UsageError(
                f"The filter file {path} has the query {query!r}, which does not exist. "
                f"Known: {', '.join(queries.values())}."
            )
        suffix = queries[query.lower()]
        if suffix in filters:
            raise UsageError(f"The filter file {path} has the query {suffix} twice. Merge them.")
        _check_entities(path, suffix, entities)
        filters[suffix] = entities
    return filters


def matches(values: Mapping[str, str], wanted: Mapping) -> bool:
    """Tell whether a scan has what a query asks for.

    Parameters
    ----------
    values : mapping
        The scan's entities by short key, and its ``suffix``, ``extension`` and ``datatype``.
    wanted : mapping
        Entities by long or short name, each with a value or a list of values: a label with or
        without its prefix, ``"*"`` for any label, None for none. Indices match as numbers.

    Returns
    -------
    bool
    """
    return all(
        any(_is(option, key, values.get(key)) for option in _options(value))
        for key, value in ((_KEYS.get(entity, entity), value) for entity, value in wanted.items())
    )


def _is(option: str | int | None, key: str, value: str | None) -> bool:
    if option is None or value is None:
        return option is value
    if option == "*":
        return True
    label = str(option).removeprefix(f"{key}-").removeprefix(".")
    if key in _NUMBERED and same_index(label, value):
        return True
    return label == value.removeprefix(".")


def _options(value: object) -> list:
    return value if isinstance(value, list) else [value]


def _read_object(path: Path) -> dict:
    try:
        content = read_json(Path(path))
    except OSError as error:
        raise MissingInputError(
            f"The filter file {path} cannot be read ({error.strerror}). Correct --bids-filter-file."
        ) from error
    except ValueError as error:
        raise UsageError(f"The filter file {path} is not JSON ({error}). Correct it.") from error
    if not isinstance(content, dict):
        raise UsageError(
            f"The filter file {path} must hold an object by query name, such as "
            '{"T1w": {"session": "1"}}.'
        )
    return content


def _check_entities(path: Path, suffix: str, entities: object) -> None:
    if not isinstance(entities, dict):
        raise UsageError(
            f"The query {suffix} of the filter file {path} must be an object by entity, such as "
            '{"session": "1"}.'
        )
    for entity, value in entities.items():
        if entity not in _KEYS and entity not in _KEYS.values():
            raise UsageError(
                f"The query {suffix} of the filter file {path} names the entity {entity!r}, which "
                f"anatomical scans do not have. Known: {', '.join(_KEYS)}."
            )
        if any(type(option) not in (str, int, type(None)) for option in _options(value)):
            raise UsageError(
                f"The query {suffix} of the filter file {path} asks for {entity} {value!r}. It "
                'must be a label, an index, null, "*" or a list of these.'
            )
    if not matches({"suffix": suffix}, {"suffix": entities.get("suffix", suffix)}):
        raise UsageError(
            f"The query {suffix} of the filter file {path} asks for the suffix "
            f"{entities['suffix']!r}. A query can narrow down the scans of its own suffix only."
        )
