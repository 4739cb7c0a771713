"""Nipype workflows, installed as ``bids_anomaly.workflows``: factories that wire, and nothing else."""
