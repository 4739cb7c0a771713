"""bids-anomaly: pseudo-healthy reconstruction and anomaly maps for BIDS datasets."""

__version__ = "0.1.0"
