"""Nipype's process pool, mended: a killed worker ends a node, and sessions are finished in turn."""

import gc
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from copy import copy
from functools import partial
from itertools import chain
from multiprocessing import active_children, get_context
from traceback import format_exception

import numpy as np
from nipype.pipeline.plugins.multiproc import MultiProcPlugin, process_initializer, run_node
from scipy.sparse import lil_matrix

KILLED = "WorkerKilled"


class StepsFailed(Exception):
    """How a run ends of which steps failed, when the status callback was told of each of them."""


class CrashFirst:
    """Hands a failed node its traceback and crash file before anybody is told, not after.

    Both are attributes of the node: ``_traceback``, and ``_crash_file``, None if the file could not
    be written. A run in which nodes failed ends with :class:`StepsFailed`, where Nipype raises the
    first node's error again, which looks like any other error.
    """

    def run(self, graph, config, updatehash=False):
        """Run the nodes of a graph."""
        self._all_ended = False
        try:
            super().run(graph, config, updatehash=updatehash)
        except Exception as error:
            if self._all_ended:
                raise StepsFailed from error
            raise

    def _postrun_check(self):
        super()._postrun_check()
        self._all_ended = True

    def _clean_queue(self, jobid, graph, result=None):
        if result is None:
            result = {"result": None, "traceback": format_exception(*sys.exc_info())}
        node, trace = self.procs[jobid], result["traceback"]
        node._crash_file = None
        with suppress(OSError):  # The disk is full: the traceback itself says so.
            # A copy, because Nipype adds to it what hinders it in writing the file.
            node._crash_file = super()._report_crash(
                node, result=result | {"traceback": copy(trace)}
            )
        node._traceback = trace
        try:
            return super()._clean_queue(jobid, graph, result=result)
        except RuntimeError as error:
            # What --stop-on-first-crash ends a run with, and no error of the callback.
            if str(error) == "".join(trace):
                raise StepsFailed from error
            raise

    def _report_crash(self, node, result=None):
        return node._crash_file


class Dependencies(lil_matrix):
    """Which steps (columns) wait for which others (rows), as Nipype keeps it.

    Nipype adds up the columns at each look, twice. With the steps of hundreds of people that takes
    longer in a sparse matrix of this kind than the pause between two looks.
    """

    def sum(self, axis=None, **options):
        """Add up the entries, of each column for `axis` 0."""
        if axis != 0:
            return super().sum(axis, **options)
        columns = np.fromiter(chain.from_iterable(self.rows), np.intp)
        entries = np.fromiter(chain.from_iterable(self.data), float)
        return np.asmatrix(np.bincount(columns, entries, minlength=self.shape[1]))


class SurvivingMultiProc(CrashFirst, MultiProcPlugin):
    """Run nodes in processes of this machine.

    When the operating system kills a worker (most often for memory), Nipype's own plugin waits for
    its result for ever. This one counts what was running as failed and goes on with a new pool.
    When a run is over, nothing runs or writes any more, however it ended.
    """

    def run(self, graph, config, updatehash=False):
        """Run the nodes of a graph; wait for those that have begun, unless it is interrupted."""
        try:
            super().run(graph, config, updatehash=updatehash)
        except KeyboardInterrupt:
            # A step may take minutes; SLURM and docker kill what has not ended after seconds.
            for worker in active_children():
                worker.terminate()
            raise
        finally:
            gc.unfreeze()
            self.pool.shutdown(cancel_futures=True)

    def _generate_dependency_list(self, graph):
        super()._generate_dependency_list(graph)
        self.depidx = Dependencies(self.depidx)
        # Nipype collects garbage at each look. The steps of a hundred people are many objects, none
        # of them garbage before the end.
        gc.freeze()

    def _submit_job(self, node, updatehash=False):
        self._taskid += 1
        try:
            future = self.pool.submit(run_node, node, updatehash, self._taskid)
        except BrokenProcessPool:
            self.pool = ProcessPoolExecutor(
                max_workers=self.processors,
                initializer=process_initializer,
                initargs=(self._cwd,),
                mp_context=get_context(self.plugin_args.get("mp_context")),
            )
            future = self.pool.submit(run_node, node, updatehash, self._taskid)
        self._task_obj[self._taskid] = future
        future.add_done_callback(partial(self._finished, self._taskid))
        return self._taskid

    def _sort_jobs(self, jobids, scheduler=None):
        # One session after another: a run that is interrupted leaves whole sessions, not first
        # steps of all of them. The second part of a name is that of the session's workflow.
        return sorted(jobids, key=lambda job: self.procs[job].fullname.split(".")[1])

    def _finished(self, task, future):
        if future.cancelled():  # The run was over before the step began.
            return
        error = future.exception()
        if error is None:
            self._taskresult[task] = future.result()
            return
        killed = isinstance(error, BrokenProcessPool)
        trace = [f"{KILLED}: {error}"] if killed else format_exception(error)
        self._taskresult[task] = {"result": None, "traceback": trace, "taskid": task}
