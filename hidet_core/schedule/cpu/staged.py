"""Contractions whose rows a prologue computes: each task computes its rows once, into its own
memory, for all panels.

    for panel: for block: sums += f(x[row, k]) * b
        ->   stage[row, k] = f(x[row, k]); for panel: for block: sums += stage[row, k] * b

This is how a fused prologue with arithmetic (BN + Relu before a 1x1 convolution) costs one pass
over the rows instead of one per panel and per vector. Where the rows are so few that they are one
or two tasks (decoding), several tasks compute the same rows, each for some of the panels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hidet_core.compute.dims import Dim
from hidet_core.ir.expr import Expr, load, wrap
from hidet_core.lang import ceildiv, local, maximum, minimum, parallel, range_

from .contraction import Contraction, TileConfig, write_tiles
from .span import span

STAGE_BYTES = 192 * 1024
MOST_PARTS = 16
PART_PANELS = 4  # of a task, so that its rows are worth computing


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
    each = ceildiv(panels, _parts(chunks, panels))
    for group, chunk, part in parallel(spec.groups, chunks, ceildiv(panels, each)):
        first, begin = chunk * count, part * each
        for row in range_(minimum(spec.rows - first, count), "row"):
            for k in span(depth, vector_lanes):
                stage[row, k] = spec.a(group, first + row, (k,))

        def staged(group: Expr, row: Expr, ks: Sequence[Expr], first: Any = first) -> Expr:
            return load(stage.buffer, row - first, ks[0])

        for panel in range_(minimum(panels - begin, each), "panel"):
            at = (group, begin + panel, first)
            write_tiles(replace(spec, a=staged), config, vector_lanes, at, count)


def _parts(chunks: Dim, panels: Dim) -> Dim:
    """In how many parts the panels are taken: MOST_PARTS where all rows are one chunk."""
    few = ceildiv(panels, PART_PANELS)
    if isinstance(chunks, int) and isinstance(few, int):
        return max(1, min(MOST_PARTS // max(chunks * chunks, 1), few))
    return maximum(minimum(wrap(MOST_PARTS) // maximum(wrap(chunks * chunks), 1), few), 1)
