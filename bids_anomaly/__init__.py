"""bids-anomaly: pseudo-healthy reconstruction and anomaly maps for BIDS datasets."""

from importlib import import_module

__version__ = "0.2.0"
__all__ = ["__version__", "analyse"]


def __getattr__(name: str):
    """Import :func:`analyse` when it is used; the commands do without."""
    if name == "analyse":
        return import_module("bids_anomaly.analysis").analyse
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
