"""The passes of the graph, in order. Each is a function Graph -> Graph, in the file of its name.

`run_passes(graph)` runs them all; `after`, where given, is called with each result (to verify,
time or dump it).
"""

from __future__ import annotations

from collections.abc import Callable

from hidet_core.graph.graph import Graph

from .append_caches import append_caches
from .canonicalize import canonicalize
from .copy_masks import copy_masks
from .drop_identity import drop_identity
from .eliminate_common import eliminate_common
from .eliminate_dead import eliminate_dead
from .fold_affine import fold_affine
from .fold_constants import fold_constants
from .fold_pads import fold_pads
from .fuse_attention import fuse_attention
from .fuse_norm import fuse_norm
from .fuse_rolls import fuse_rolls
from .fuse_rotary import fuse_rotary
from .hoist_elementwise import hoist_elementwise
from .merge_projections import merge_projections
from .pick_slices import pick_slices
from .quantize_contractions import quantize_contractions
from .separate_outputs import separate_outputs
from .sink_transposes import sink_transposes
from .split_concats import split_concats

Pass = Callable[[Graph], Graph]

PASSES: tuple[Pass, ...] = (
    drop_identity,
    quantize_contractions,
    fold_constants,
    fuse_rotary,
    pick_slices,
    fuse_rolls,
    fuse_attention,
    append_caches,
    eliminate_dead,
    sink_transposes,
    fold_constants,
    canonicalize,
    fuse_norm,
    eliminate_dead,
    fold_affine,
    fold_pads,
    split_concats,
    drop_identity,
    eliminate_common,
    eliminate_dead,
    merge_projections,
    copy_masks,
    hoist_elementwise,
    separate_outputs,
)

__all__ = ["PASSES", "Pass", "run_passes"]


def run_passes(graph: Graph, after: Callable[[str, Graph], None] | None = None) -> Graph:
    """All passes in order."""
    for one in PASSES:
        graph = one(graph)
        if after is not None:
            after(one.__name__, graph)
    return graph
