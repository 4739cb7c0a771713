"""Tell from its name whether a scan was taken after a contrast agent."""

import re
from collections.abc import Mapping

# Labels of acq- or rec- that say so, in any case: the agent, or that there was one.
_AGENTS = (
    "gado", "gdtpa", "gddtpa", "dotarem", "clariscan", "magnevist", "omniscan", "prohance",
    "multihance", "elucirem", "vueway", "postgd", "postgad", "contrast", "enhanced", "cplus",
)  # fmt: skip
_WHOLE = {
    "ce",
    "gd",
    "gad",
    "post",
    "postce",
    "postc",
    "wc",
    "cet1",
    "t1ce",
    "t1c",
    "t1gd",
    "ceflair",
}
_WITHOUT = re.compile(
    r"(?:^|[a-z0-9])(?:pre|no|non|un|without|w/?o|native)(?:gd|gad|contrast|enhanced|ce)"
)
# As in MPRAGEGd, T1GD and gdMPRAGE.
_ELEMENT = re.compile(r"Gd(?![a-z])|GD(?![A-Za-z])|^gd(?=[A-Z0-9])|(?<=[0-9])gd$")


def after_contrast_agent(entities: Mapping[str, str]) -> str | None:
    """Return the part of a name that says that a contrast agent was given.

    Parameters
    ----------
    entities : mapping
        Of a scan, by short key.

    Returns
    -------
    str or None
        Such as ``ce-gadolinium`` or ``acq-postGd``; None if there is nothing of the kind.
    """
    if "ce" in entities:
        label = entities["ce"]
        return None if label.lower() in ("none", "no", "pre", "without") else f"ce-{label}"
    for key in ("acq", "rec"):
        if key in entities and _names_agent(entities[key]):
            return f"{key}-{entities[key]}"
    return None


def _names_agent(label: str) -> bool:
    low = label.lower()
    if _WITHOUT.search(low) or low.startswith(("pre", "non", "without")):
        return False
    return (
        low in _WHOLE
        or any(agent in low for agent in _AGENTS)
        or _ELEMENT.search(label) is not None
    )
