"""Nipype workflows, installed as ``bids_anomaly.workflows``: factories that only wire."""
