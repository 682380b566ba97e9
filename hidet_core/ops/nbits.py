"""matmul_nbits: a[..., M, K] times weights of 4 or 8 bits in blocks along K -> [..., M, N].

inputs: a; w, u8[N, blocks, bytes]; scale, shift [N, blocks].  attrs: bits, block (elements of one,
a power of two; the last may be cut).  Weight (k, n) is q * scale + shift of its block, where q is
element k % block of the block: of 4 bits, two in a byte, the lower half first. (ONNX Runtime's
MatMulNBits, where shift is -zero point * scale.)
"""

from __future__ import annotations

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute, reduce_over
from hidet_core.compute.dims import same_dim
from hidet_core.compute.types import TensorType
from hidet_core.ir.dtypes import u8
from hidet_core.ir.expr import Buffer, Expr, binary, cast, load
from hidet_core.ir.widen import narrowed, wide_load, wide_type

from .registry import Attrs, Types, operator


def block_bytes(attrs: Attrs) -> int:
    """Bytes of the weights of one block."""
    return int(attrs["block"]) * int(attrs["bits"]) // 8


def _infer(types: Types, attrs: Attrs) -> TensorType:
    a, w, scale, shift = types
    bits, depth = attrs["bits"], a.shape[-1]
    if a.rank < 2 or not a.dtype.is_float or w.dtype != u8 or w.rank != 3 or bits not in (4, 8):
        raise Unsupported(
            "matmul_nbits", f"expected floats [..., M, K] and 4 or 8 bits in u8[N, blocks, bytes], "
            f"got {a}, {w} and {bits} bits"
        )  # fmt: skip
    blocks = -(-depth // attrs["block"]) if isinstance(depth, int) else None
    fits = same_dim(w.shape[1], blocks or 0) and w.shape[2] == block_bytes(attrs)
    sides = all(len(s.shape) == 2 and s.dtype == a.dtype for s in (scale, shift))
    if not fits or not sides:
        raise Unsupported("matmul_nbits", f"{w}, {scale} and {shift} do not fit {a}")
    return TensorType(a.dtype, (*a.shape[:-1], w.shape[0]))


def _define(inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs) -> tuple[Definition, ...]:
    a, w, scale, shift = inputs
    block, wide = attrs["block"], wide_type(a.dtype)

    def weight(k: Expr, n: Expr) -> Expr:
        group, place = k // block, k % block
        if attrs["bits"] == 8:
            whole = load(w, n, group, place)
        else:
            up = cast(place % 2 * 4, u8)
            whole = binary("and", binary("shr", load(w, n, group, place // 2), up), 15)
        return cast(whole, wide) * wide_load(scale, n, group) + wide_load(shift, n, group)

    def value(*axes: Expr) -> Expr:
        def term(k: Expr) -> Expr:
            return wide_load(a, *axes[:-1], k) * weight(k, axes[-1])

        return narrowed(reduce_over("sum", (a.shape[-1],), term), out.dtype)

    return (compute("matmul_nbits", out.dtype, out.shape, value),)


operator("matmul_nbits", "anchor", _infer, _define)
