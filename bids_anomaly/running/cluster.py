"""Nipype's SLURM plugin, mended: steps ask for what they need, lost jobs are told as such."""

import getpass
import math
import os

from nipype.pipeline.plugins.slurm import SLURMPlugin

from bids_anomaly.running.processes import KILLED, CrashFirst

# A step's own memory is an estimate, and SLURM kills at its limit.
SPARE_GB = 1.0
# What Nipype says of a job that ended without a result: killed, out of memory or time, node lost.
JOB_WITHOUT_RESULT = "results file does not exist"


class StepwiseSLURM(CrashFirst, SLURMPlugin):
    """Submit each node as a job with its CPUs, memory and GPU; ``sbatch_args`` have the last word.

    Nipype's own plugin submits all nodes with the same arguments, needs ``LOGNAME``, and takes a
    job that SLURM killed for an error of the program.
    """

    def _submit_batchtask(self, scriptfile, node):
        os.environ.setdefault("LOGNAME", getpass.getuser())
        wanted = f"{resources(node)} {self._sbatch_args or ''}"
        node.plugin_args = {"sbatch_args": wanted, "overwrite": True}
        return super()._submit_batchtask(scriptfile, node)

    def _get_result(self, taskid):
        result = super()._get_result(taskid)
        if result and JOB_WITHOUT_RESULT in "".join(result["traceback"] or ()):
            result["traceback"] = [f"{KILLED}: the job {taskid} ended without a result"]
        return result


def resources(node) -> str:
    """Return the arguments of ``sbatch`` for what a node declares that it uses.

    Parameters
    ----------
    node : nipype.pipeline.engine.Node
        With ``n_procs`` and ``mem_gb``; a GPU node has the input ``use_gpu`` set.
    """
    megabytes = math.ceil(1024 * (node.mem_gb + SPARE_GB))
    arguments = f"--cpus-per-task={node.n_procs} --mem={megabytes}M"
    return arguments + (" --gres=gpu:1" if node.is_gpu_node() else "")
