"""What steps import: the process that workers are forked from does so once for all of them.

None of it may ask for a GPU when it is imported, as deepbet does, or workers could not use one.
"""

# ruff: noqa: E402, F401
import atexit
import os
import signal

# Ctrl-C goes to all processes of a run. This one ends when the run does, and says nothing.
before = signal.signal(signal.SIGINT, signal.SIG_IGN)

import nilearn.datasets
import nipype.pipeline.plugins.multiproc

import bids_anomaly.preprocessing.registration
import bids_anomaly.reconstruction.registry
import bids_anomaly.reports.session
import bids_anomaly.scoring.maps

signal.signal(signal.SIGINT, before)
# Nothing is to be tidied up at its end, and to take apart all of this would take a second.
atexit.register(os._exit, 0)
