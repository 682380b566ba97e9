"""Contractions of 8-bit integers on tensor cores: the template of floats, with sums of i32.

    out[g, m, n] = sum over k of a(g, m, k) * b(g, k, n)        a: u8 or i8, b: constant i8

A product is 16 x 8 with a depth of 32 bytes, whose fragments are words as those of 16-bit floats
are. Only matrices of 16-bit elements can be transposed on their way to registers, so the weights
are constants, packed along k. What is around an image is 0 (graph/storage.py pads with anything
else beforehand).
"""

from __future__ import annotations

from hidet_core.ir.dtypes import i8

from ..problem import Problem
from .contraction import packs
from .tensor_core import TensorCore


class TensorCoreInt8(TensorCore):
    """matmul and conv2d of 8-bit integers with constant weights."""

    def accepts(self, problem: Problem) -> bool:
        x, w = problem.inputs
        if not x.dtype.is_byte or w.dtype != i8 or not packs(problem):
            return False
        padded = problem.op == "conv2d" and any(problem.attrs["pads"])
        return not (padded and (problem.computed[0] or problem.attrs.get("pad_value", 0)))
