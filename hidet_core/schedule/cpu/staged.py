"""Contractions whose rows a prologue computes: each task computes its rows once, into its own
memory, for all panels.

    for panel: for block: sums += f(x[row, k]) * b
        ->   stage[row, k] = f(x[row, k]); for panel: for block: sums += stage[row, k] * b

This is how a fused prologue with arithmetic (BN + Relu before a 1x1 convolution) costs one pass
over the rows instead of one per panel and per vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hidet_core.ir.expr import Expr, load
from hidet_core.lang import ceildiv, local, minimum, parallel, range_

from .contraction import Contraction, TileConfig, write_tiles
from .span import span

STAGE_BYTES = 192 * 1024


def stage_rows(config: TileConfig, depth: int) -> int:
    """Rows of one task: a multiple of the tile's rows whose stage stays in the core's own cache."""
    blocks = max(1, min(config.blocks, STAGE_BYTES // (depth * 4 * config.mr)))
    return blocks * config.mr


def write_staged_contraction(spec: Contraction, config: TileConfig, vector_lanes: int) -> None:
    """Like write_contraction, for one k loop of constant extent."""
    (depth,) = spec.k_extents
    assert isinstance(depth, int)
    count = stage_rows(config, depth)
    stage = local("f32", [count, -(-depth // vector_lanes) * vector_lanes], "stage")
    chunks = ceildiv(spec.rows, count)
    panels = ceildiv(spec.cols, config.nv * vector_lanes)
    for group, chunk in parallel(spec.groups, chunks):
        first = chunk * count
        for row in range_(minimum(spec.rows - first, count), "row"):
            for k in span(depth, vector_lanes):
                stage[row, k] = spec.a(group, first + row, (k,))

        def staged(group: Expr, row: Expr, ks: Sequence[Expr], first: Any = first) -> Expr:
            return load(stage.buffer, row - first, ks[0])

        for panel in range_(panels, "panel"):
            write_tiles(replace(spec, a=staged), config, vector_lanes, (group, panel, first), count)
