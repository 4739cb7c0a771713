"""How the results of people were made, and whether all were made alike."""

from collections import Counter
from collections.abc import Iterable, Mapping

from bids_anomaly.bids.naming import session_entities, sidecar_path
from bids_anomaly.bids.reading import read_object
from bids_anomaly.bids.records import record_path
from bids_anomaly.group.people import Member


def origin_of(member: Member) -> dict[str, str]:
    """Return version, models, their steps and thresholds of a person's results, if they say so.

    Returns
    -------
    dict
        From what is said, such as ``model for T1w``, to its value in words.
    """
    said = {}
    entities = session_entities(member.participant, member.session)
    record = read_object(record_path(member.report.parent, member.label, entities))
    if "version" in record:
        said["version of bids-anomaly"] = str(record["version"])
    for modality in member.modalities:
        model = read_object(sidecar_path(member.files["zscore", modality])).get("Model")
        if isinstance(model, Mapping):
            digest = str(model.get("Digest", "")).removeprefix("sha256:")[:8]
            name = f"{model.get('Name', 'unknown')} {model.get('Version', '')}".strip()
            said[f"model for {modality}"] = f"{name} ({digest})" if digest else name
            if "Steps" in model:
                said[f"number of steps for {modality}"] = str(model["Steps"])
    finding = member.files.get(("anomaly", member.primary))
    content = read_object(sidecar_path(finding)) if finding else {}
    for key, words, unit in (
        ("NominalFalsePositiveRate", "nominal false positive rate", ""),
        ("MinimumLesionVolume", "smallest finding", " mm³"),
    ):
        if key in content:
            said[words] = f"{content[key]}{unit}"
    return said


def count_origins(members: Iterable[Member]) -> dict[str, Counter]:
    """Count the values of what :func:`origin_of` says."""
    counts: dict[str, Counter] = {}
    for member in members:
        for what, value in origin_of(member).items():
            counts.setdefault(what, Counter())[value] += 1
    return counts


def differing_origins(counts: Mapping[str, Counter]) -> list[str]:
    """Return a sentence for everything that is not the same for everybody."""
    return [
        f"Results were not made alike: the {what} is "
        + ", ".join(f"{value} of {count}" for value, count in values.most_common())
        + " sessions. Run the participant level again for those that differ."
        for what, values in counts.items()
        if len(values) > 1
    ]
