"""The parameters of a program after fusion: those that its body really uses."""

from __future__ import annotations

from collections.abc import Collection

from hidet_core.ir.expr import Buffer, Expr, Load, Var, free_vars
from hidet_core.ir.node import rebuild, walk
from hidet_core.ir.stmt import Place, Program, Store
from hidet_core.ir.tensor_map import SCOPE

GIVEN = ("global", SCOPE)  # scopes of parameters


def trim_signature(
    program: Program, symbols: Collection[Var], name: str, stored: Collection[Buffer] = ()
) -> Program:
    """The program under another name, with the global buffers and symbols that it uses, in order of
    appearance.

    stored: the tensors that it is there for. They stay parameters where a size of 0 leaves nothing
    to store.
    """
    params: dict[Buffer, None] = {}
    used: dict[Var, None] = {}
    for node in walk((program.tasks, program.body)):
        if isinstance(node, (Load, Store, Place)) and node.buffer.scope in GIVEN:
            params[node.buffer] = None
        if isinstance(node, Var):
            used[node] = None
    params |= dict.fromkeys(buffer for buffer in stored if buffer not in params)
    for buffer in params:
        for dim in (*buffer.shape, *(buffer.strides or ())):
            if isinstance(dim, Expr):
                used |= dict.fromkeys(free_vars(dim))
    scalars = tuple(var for var in used if var in symbols)
    return rebuild(program, {"name": name, "params": tuple(params), "scalars": scalars})
