"""Lowering: scheduled program -> lowered program (specs in ir/verify.py), as one ordered list of
passes.
"""

from __future__ import annotations

from hidet_core.target import Target

from .expand_mapping import expand_mapping
from .flatten_index import flatten_index
from .unroll_loops import unroll_loops
from .vectorize_lanes import vectorize_lanes
from .wait_for_grid import wait_for_grid
from .widen_halves import widen_halves

# 16-bit floats first: later passes need not know of them
# lanes before unrolling: the vectoriser sees each statement once, not once per copy
LOWERING = (widen_halves, expand_mapping, flatten_index, vectorize_lanes, unroll_loops)
# NVRTC unrolls: the source stays short
CUDA_LOWERING = (widen_halves, expand_mapping, flatten_index, vectorize_lanes)

__all__ = [
    "CUDA_LOWERING",
    "LOWERING",
    "expand_mapping",
    "flatten_index",
    "lowering_for",
    "unroll_loops",
    "vectorize_lanes",
    "wait_for_grid",
    "widen_halves",
]


def lowering_for(target: Target):  # type: ignore[no-untyped-def]
    """The passes of a kind of target, in order."""
    return LOWERING if target.kind == "cpu" else CUDA_LOWERING
