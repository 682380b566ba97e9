"""Dims as postfix code, the form in which the native runtime evaluates them, and back.

    n * 4 + 1   ->   symbol 0, constant 4, mul, constant 1, add

Each instruction is one opcode byte; `constant` is followed by an int64, `symbol` by a uint32
index into the plan's symbols. The opcode numbers are part of the file format
(hidet_core/runtime/expression.h).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Binary, Const, Expr, Unary, Var

from .model import Dim

CONSTANT, SYMBOL = 0, 1
OPCODES = {"add": 2, "sub": 3, "mul": 4, "floordiv": 5, "mod": 6, "min": 7, "max": 8}
MAX_STACK = 64
_OPERATIONS = {code: op for op, code in OPCODES.items()}
_INT64 = range(-(1 << 63), 1 << 63)


def encode_dim(dim: Dim, symbols: Mapping[Var, int]) -> bytes:
    """The code of a dim; `symbols` gives the index of each.

    Raises CompilerBug for what the runtime cannot evaluate.
    """
    code, depth = _encode(dim, symbols)
    if depth > MAX_STACK:
        raise CompilerBug(
            "plan", f"a size expression needs {depth} stack values, possible: {MAX_STACK}"
        )
    return code


def _encode(dim: Dim, symbols: Mapping[Var, int]) -> tuple[bytes, int]:
    """(code, stack values it needs)"""
    match dim:
        case bool():
            raise CompilerBug("plan", f"expected an integer size, got {dim}")
        case int() | Const(value=int()):
            value = dim if isinstance(dim, int) else dim.value
            if value not in _INT64:
                raise CompilerBug("plan", f"{value} is no 64-bit integer")
            return struct.pack("<Bq", CONSTANT, value), 1
        case Var():
            if dim not in symbols:
                raise CompilerBug("plan", f"size variable {dim.name!r} is not a symbol of the plan")
            return struct.pack("<BI", SYMBOL, symbols[dim]), 1
        case Unary(op="neg"):
            return _encode_binary("sub", 0, dim.a, symbols)
        case Binary() if dim.op in OPCODES and not dim.dtype.is_float:
            return _encode_binary(dim.op, dim.a, dim.b, symbols)
    raise CompilerBug("plan", f"a size cannot be computed at run time from {dim!r}")


def _encode_binary(op: str, left: Dim, right: Dim, symbols: Mapping[Var, int]) -> tuple[bytes, int]:
    left_code, left_depth = _encode(left, symbols)
    right_code, right_depth = _encode(right, symbols)
    return left_code + right_code + bytes([OPCODES[op]]), max(left_depth, right_depth + 1)


def decode_dim(code: bytes, symbols: Sequence[Var]) -> Dim:
    """The dim of some code, nothing simplified. Raises ValueError for code that is none."""
    stack: list[Dim] = []
    position = 0
    try:
        while position < len(code):
            opcode = code[position]
            position += 1
            if opcode == CONSTANT:
                stack.append(struct.unpack_from("<q", code, position)[0])
                position += 8
            elif opcode == SYMBOL:
                stack.append(symbols[struct.unpack_from("<I", code, position)[0]])
                position += 4
            else:
                right, left = stack.pop(), stack.pop()
                stack.append(_combine(_OPERATIONS[opcode], left, right))
        (dim,) = stack
    except (IndexError, KeyError, ValueError, struct.error) as error:
        raise ValueError(f"size expression {code.hex()} is damaged: {error}") from error
    return dim


def _combine(op: str, left: Dim, right: Dim) -> Expr:
    a, b = (Const(side, i64) if isinstance(side, int) else side for side in (left, right))
    return Binary(op, a, b, i64)
