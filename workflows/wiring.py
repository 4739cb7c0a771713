"""How nodes and workflows hand things on.

Lists of connections are made anew each time, since Nipype changes those that it is given.
"""

import re
from collections.abc import Sequence

from nipype.interfaces.utility import Merge
from nipype.pipeline.engine import Node, Workflow


def same(*names: str) -> list[tuple[str, str]]:
    """Return what one node hands to another, each under the name that it has."""
    return [(name, name) for name in names]


def inward(*names: str) -> list[tuple[str, str]]:
    """Return what a node hands to a workflow, each under the name that it has."""
    return [(name, f"inputnode.{name}") for name in names]


def outward(*names: str) -> list[tuple[str, str]]:
    """Return what one workflow hands to another, each under the name that it has."""
    return [(f"outputnode.{name}", f"inputnode.{name}") for name in names]


def add_list(
    workflow: Workflow, sources: Sequence[tuple[Node | Workflow, str]], *, name: str
) -> Node:
    """Add a node whose ``out`` lists outputs of others, each given as a node and its output."""
    listed = Node(Merge(len(sources)), name=name, run_without_submitting=True)
    for position, (source, output) in enumerate(sources, start=1):
        workflow.connect(source, output, listed, f"in{position}")
    return listed


def identifier(label: str) -> str:
    """Turn a BIDS name into one that Nipype accepts."""
    return re.sub(r"\W", "_", label)
