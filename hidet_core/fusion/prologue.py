"""Fuse prologues into a scheduled program (Hidet, ASPLOS'23, section 5.2: post-scheduling fusion).

takes: spec "scheduled", loads inputs that fused operators compute
gives: spec "scheduled", loads only real tensors
rewrite, for x[i] = f(y[map(i)], ...):

    load(x, i)   ->   f(load(y, map(i)), ...)          through chains of any depth
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hidet_core.compute.definition import Definition
from hidet_core.ir.expr import Buffer, Expr, Load
from hidet_core.ir.node import rewrite
from hidet_core.ir.stmt import Program
from hidet_core.ir.substitute import substitute

Definitions = Mapping[Buffer, Definition]


def fuse_prologue(program: Program, definitions: Definitions) -> Program:
    """Replace every load of a defined buffer by its value."""
    return inline(program, definitions) if definitions else program


def inline(root: Any, definitions: Definitions) -> Any:
    """root with the loads of defined buffers replaced by what they would load, recursively."""
    return rewrite(
        root, lambda node: _inline_load(node, definitions) if isinstance(node, Load) else None
    )


def _inline_load(node: Load, definitions: Definitions) -> Expr | None:
    definition = definitions.get(node.buffer)
    if definition is None:
        return None
    value = substitute(
        definition.value, dict(zip(definition.axes, node.indices, strict=True)), fresh=True
    )
    return inline(value, definitions)
