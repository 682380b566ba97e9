"""Values of the function that is being written, with operators: the language of the vector
mathematics.

Every operator emits one LLVM instruction.  Nothing is relaxed and nothing fused but by `fma`: the
error compensation in these functions depends on each rounding.  Python numbers become literals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hidet_core.ir.dtypes import DType, boolean, f32, f64, i32, i64

from ..text import Writer, literal, mangled, type_name

_AS_INT = {"f32": i32, "f64": i64}
_ROUND_MAGIC = {"f32": 1.5 * 2.0**23, "f64": 1.5 * 2.0**52}


class Vec:
    """A float, int or bool value of any number of lanes."""

    __slots__ = ("dtype", "ref", "w")

    def __init__(self, w: Writer, ref: str, dtype: DType) -> None:
        self.w = w
        self.ref = ref
        self.dtype = dtype

    def _of(self, other: Any) -> str:
        return other.ref if isinstance(other, Vec) else literal(other, self.dtype)

    def _op(self, instruction: str, left: str, right: str) -> Vec:
        text = f"{instruction} {type_name(self.dtype)} {left}, {right}"
        return Vec(self.w, self.w.op(text), self.dtype)

    def _arith(self, name: str, other: Any, swap: bool = False) -> Vec:
        left, right = self.ref, self._of(other)
        left, right = (right, left) if swap else (left, right)
        return self._op(("f" if self.dtype.is_float else "") + name, left, right)

    def __add__(self, other: Any) -> Vec:
        return self._arith("add", other)

    def __sub__(self, other: Any) -> Vec:
        return self._arith("sub", other)

    def __rsub__(self, other: Any) -> Vec:
        return self._arith("sub", other, swap=True)

    def __mul__(self, other: Any) -> Vec:
        return self._arith("mul", other)

    def __truediv__(self, other: Any) -> Vec:
        return self._arith("div", other)

    def __rtruediv__(self, other: Any) -> Vec:
        return self._arith("div", other, swap=True)

    def __and__(self, other: Any) -> Vec:
        return self._op("and", self.ref, self._of(other))

    def __or__(self, other: Any) -> Vec:
        return self._op("or", self.ref, self._of(other))

    def __xor__(self, other: Any) -> Vec:
        return self._op("xor", self.ref, self._of(other))

    def __lshift__(self, bits: int) -> Vec:
        return self._op("shl", self.ref, self._of(bits))

    def __rshift__(self, bits: int) -> Vec:
        """Arithmetic: the sign moves in."""
        return self._op("ashr", self.ref, self._of(bits))

    def _compare(self, order: str, other: Any) -> Vec:
        kind = {"une": "ne", "oeq": "eq"}.get(order, "s" + order[1:])
        instruction = f"fcmp {order}" if self.dtype.is_float else f"icmp {kind}"
        text = f"{instruction} {type_name(self.dtype)} {self.ref}, {self._of(other)}"
        return Vec(self.w, self.w.op(text), boolean.vector(self.dtype.lanes))

    def __lt__(self, other: Any) -> Vec:
        return self._compare("olt", other)

    def __gt__(self, other: Any) -> Vec:
        return self._compare("ogt", other)

    def __le__(self, other: Any) -> Vec:
        return self._compare("ole", other)

    def is_(self, other: Any) -> Vec:
        return self._compare("oeq", other)

    def is_not(self, other: Any) -> Vec:
        """True for NaN, whatever the other side."""
        return self._compare("une", other)

    def __neg__(self) -> Vec:
        kind = type_name(self.dtype)
        return Vec(self.w, self.w.op(f"fneg {kind} {self.ref}"), self.dtype)

    def _intrinsic(self, name: str, *others: Any) -> Vec:
        kind = type_name(self.dtype)
        arguments = [(kind, self.ref), *((kind, self._of(other)) for other in others)]
        ref = self.w.call(f"llvm.{name}.{mangled(self.dtype)}", self.dtype, *arguments)
        return Vec(self.w, ref, self.dtype)

    def fma(self, factor: Any, addend: Any) -> Vec:
        """self * factor + addend, rounded once."""
        return self._intrinsic("fma", factor, addend)

    def abs(self) -> Vec:
        return self._intrinsic("fabs")

    def sqrt(self) -> Vec:
        return self._intrinsic("sqrt")

    def floor(self) -> Vec:
        return self._intrinsic("floor")

    def signed_as(self, sign: Vec) -> Vec:
        return self._intrinsic("copysign", sign)

    def bits(self) -> Vec:
        """The bits of a float as an int of its size."""
        return self._cast("bitcast", _AS_INT[self.dtype.scalar.name])

    def as_float(self) -> Vec:
        """The float that has these bits."""
        return self._cast("bitcast", f32 if self.dtype.bits == 32 else f64)

    def literal(self, value: float) -> Vec:
        """That number, in this type."""
        return Vec(self.w, literal(value, self.dtype), self.dtype)

    def to(self, dtype: DType) -> Vec:
        """f32 to f64, f64 to f32, int to float."""
        if self.dtype.scalar == dtype.scalar:
            return self
        if self.dtype.is_int:
            return self._cast("sitofp", dtype)
        return self._cast("fpext" if dtype.bits > self.dtype.bits else "fptrunc", dtype)

    def _cast(self, instruction: str, dtype: DType) -> Vec:
        target = dtype.vector(self.dtype.lanes)
        text = f"{instruction} {type_name(self.dtype)} {self.ref} to {type_name(target)}"
        return Vec(self.w, self.w.op(text), target)

    def poly(self, coefficients: Sequence[float]) -> Vec:
        """The polynomial with these coefficients, lowest first, by Horner's rule."""
        result: Any = coefficients[-1]
        for coefficient in reversed(coefficients[:-1]):
            result = self.fma(result, coefficient)
        return result

    def nearest(self) -> tuple[Vec, Vec]:
        """The nearest whole number, as float and as int; needs abs(self) < 2**22 (f32), 2**51."""
        magic = _ROUND_MAGIC[self.dtype.scalar.name]
        shifted = self + magic
        whole = shifted - magic
        return whole, shifted.bits() - self.literal(magic).bits()


def where(cond: Vec, yes: Any, no: Any) -> Vec:
    """cond ? yes : no, lane by lane; one of them is a Vec."""
    like = yes if isinstance(yes, Vec) else no
    kind, mask = type_name(like.dtype), type_name(cond.dtype)
    left, right = like._of(yes), like._of(no)
    text = f"select {mask} {cond.ref}, {kind} {left}, {kind} {right}"
    return Vec(like.w, like.w.op(text), like.dtype)
