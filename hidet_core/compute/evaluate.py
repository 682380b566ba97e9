"""Evaluation of definitions with NumPy: constant folding, and the reference of tests.

Axes become broadcast index arrays, a Reduce adds trailing dims; big boxes are cut so that
temporaries stay small. Arithmetic is done in the definition's own dtypes, that of 16-bit floats in
float32 as everywhere (ir/widen.py); `wide=True` accumulates float32 sums in float64. bfloat16,
which NumPy lacks, is held as float32 between the arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import BITS, DType, bf16, f32
from hidet_core.ir.expr import Binary, Buffer, Cast, Const, Expr, Load, Reduce, Select, Unary, Var
from hidet_core.ir.halves import as_dtype, single
from hidet_core.ir.widen import widened

from .definition import Definition, the_reduce
from .dims import Dim

BOX_ELEMENTS = 1 << 22
Arrays = Mapping[Buffer, np.ndarray]
Symbols = Mapping[Var, int]
Range = tuple[int, int]


def evaluate(
    definitions: Sequence[Definition],
    inputs: Arrays,
    symbols: Symbols | None = None,
    wide: bool = False,
) -> dict[Buffer, np.ndarray]:
    """The arrays of all definitions' outs, by buffer."""
    arrays, symbols = dict(inputs), symbols or {}
    results: dict[Buffer, np.ndarray] = {}
    for definition in definitions:
        results[definition.out] = arrays[definition.out] = _tensor(
            definition, arrays, symbols, wide
        )
    return results


def dim_value(dim: Dim, symbols: Symbols) -> int:
    """The value of a dim."""
    if isinstance(dim, int):
        return dim
    return int(_Evaluator({}, symbols, False).value(dim))


def _tensor(definition: Definition, arrays: Arrays, symbols: Symbols, wide: bool) -> np.ndarray:
    shape = tuple(dim_value(dim, symbols) for dim in definition.out.shape)
    result = np.empty(shape, _held(definition.out.dtype))
    reduction = the_reduce(definition)
    extents = reduction.extents if reduction is not None else ()
    inner = math.prod(dim_value(extent, symbols) for extent in extents)
    limit = max(BOX_ELEMENTS // max(inner, 1), 1)
    with np.errstate(all="ignore"):
        for box in _boxes([(0, size) for size in shape], limit):
            evaluator = _Evaluator(arrays, symbols, wide)
            evaluator.bind(definition.axes, box)
            value = evaluator.value(widened(definition.value))
            result[tuple(slice(*side) for side in box)] = value
    return as_dtype(result, bf16) if definition.out.dtype == bf16 else result


def _held(dtype: DType) -> np.dtype:
    """The NumPy dtype in which values are computed."""
    return f32.numpy if dtype == bf16 else dtype.numpy


def _boxes(box: list[Range], limit: int) -> list[list[Range]]:
    """The box, cut in halves along its longest side until each piece has at most `limit` points."""
    sizes = [high - low for low, high in box]
    volume = math.prod(sizes)
    if volume == 0:
        return []
    if volume <= limit:
        return [box]
    side = sizes.index(max(sizes))
    low, high = box[side]
    middle = (low + high) // 2
    halves = [(low, middle), (middle, high)]
    return [
        piece for half in halves for piece in _boxes([*box[:side], half, *box[side + 1 :]], limit)
    ]


class _Evaluator:
    """Values of expressions over one box; `rank` is the number of axes bound so far."""

    def __init__(self, arrays: Arrays, symbols: Symbols, wide: bool) -> None:
        self.arrays = arrays
        self.wide = wide
        self.known: dict[int, Any] = {
            id(var): np.asarray(value, np.int64) for var, value in symbols.items()
        }
        self.rank = 0

    def bind(self, axes: Sequence[Var], box: Sequence[Range]) -> None:
        for position, (axis, (low, high)) in enumerate(zip(axes, box, strict=True)):
            shape = [1] * len(axes)
            shape[position] = -1
            self.known[id(axis)] = np.arange(low, high, dtype=np.int64).reshape(shape)
        self.rank = len(axes)

    def value(self, expr: Expr) -> Any:
        if id(expr) not in self.known:
            self.known[id(expr)] = self._compute(expr)
        return self.known[id(expr)]

    def _compute(self, expr: Expr) -> Any:
        match expr:
            case Const(value=value, dtype=dtype):
                return np.asarray(value, _held(dtype))
            case Binary(op=op, a=a, b=b):
                return _binary(op, self.value(a), self.value(b), a.dtype)
            case Unary(op=op, a=a) if op in BITS:
                return np.asarray(self.value(a)).view(BITS[op].numpy)
            case Unary(op=op, a=a):
                return _UNARY[op](self.value(a))
            case Cast(a=a, dtype=dtype):
                return _cast(self.value(a), dtype)
            case Select(cond=cond, a=a, b=b):
                return np.where(self.value(cond), self.value(a), self.value(b))
            case Load(mask=Expr() as mask):
                return self._load_if(self.value(mask), expr)
            case Load(buffer=buffer, indices=indices):
                return _element(buffer, self.arrays[buffer], [self.value(i) for i in indices])
            case Reduce():
                return self._reduce(expr)
            case Var(name=name):
                raise CompilerBug("evaluate", f"no value for variable {name!r}")
            case _:
                raise CompilerBug("evaluate", f"cannot evaluate {type(expr).__name__}")

    def _load_if(self, there: np.ndarray, expr: Load) -> np.ndarray:
        """Elements, 0 where they are not there; indices are clamped first."""
        array = self.arrays[expr.buffer]
        if not array.size:
            return np.zeros(np.shape(there), array.dtype)
        limits = zip(expr.indices, array.shape, strict=True)
        places = [np.clip(self.value(index), 0, size - 1) for index, size in limits]
        element = _element(expr.buffer, array, places)
        return np.where(there, element, np.zeros((), element.dtype))

    def _reduce(self, expr: Reduce) -> np.ndarray:
        """Reduced axes are trailing dims; everything bound before gets as many dims of 1 behind."""
        sizes = [int(self.value(e)) if isinstance(e, Expr) else e for e in expr.extents]
        inner = _Evaluator(self.arrays, {}, self.wide)
        tail = (1,) * len(sizes)
        for key, known in self.known.items():
            inner.known[key] = known.reshape(known.shape + tail) if known.ndim else known
        for position, (axis, size) in enumerate(zip(expr.axes, sizes, strict=True)):
            shape = [1] * (self.rank + len(sizes))
            shape[self.rank + position] = size
            inner.known[id(axis)] = np.arange(size, dtype=np.int64).reshape(shape)
        value = np.asarray(inner.value(expr.value), _held(expr.value.dtype))
        # the body need not depend on every reduced axis: stretch it before reducing
        full = np.broadcast_shapes(value.shape, (1,) * self.rank + tuple(sizes))
        value = np.broadcast_to(value, full)
        return _reduction(expr.op, value, tuple(range(self.rank, len(full))), self.wide)


def _element(buffer: Buffer, array: np.ndarray, indices: list[np.ndarray]) -> np.ndarray:
    """array[indices]; an index out of bounds is an error here, negative ones included."""
    for axis, index in enumerate(indices):
        low, high = (index.min(), index.max()) if index.size else (0, 0)
        if index.size and (low < 0 or high >= array.shape[axis]):
            size = array.shape[axis]
            raise IndexError(f"{buffer.name} axis {axis} of {size} is read at {low}..{high}")
    found = array[tuple(indices)]
    return single(found) if buffer.dtype == bf16 else found


def _reduction(op: str, value: np.ndarray, axes: tuple[int, ...], wide: bool) -> np.ndarray:
    if op == "sum":
        accumulate = np.float64 if wide and value.dtype == np.float32 else value.dtype
        return value.sum(axis=axes, dtype=accumulate).astype(value.dtype)
    if op == "prod":
        return value.prod(axis=axes, dtype=value.dtype)
    if op in ("max", "min"):
        if value.dtype.kind == "f":
            start = -np.inf if op == "max" else np.inf
        else:
            limits = np.iinfo(value.dtype)
            start = limits.min if op == "max" else limits.max
        return (np.max if op == "max" else np.min)(value, axis=axes, initial=start)
    return (np.any if op == "any" else np.all)(value, axis=axes)


def _cast(value: np.ndarray, dtype: DType) -> np.ndarray:
    if dtype.is_bool:
        return value != 0
    return single(as_dtype(value, bf16)) if dtype == bf16 else value.astype(dtype.numpy)


def _binary(op: str, a: np.ndarray, b: np.ndarray, dtype: DType) -> np.ndarray:
    if op in ("floordiv", "mod") and dtype.is_int:
        b = np.where(b == 0, b.dtype.type(1), b)
    return _BINARY[op](a, b)


_erf = np.frompyfunc(math.erf, 1, 1)


def _map_erf(value: np.ndarray) -> np.ndarray:
    return np.asarray(_erf(value), np.float64).astype(value.dtype)


def _sigmoid(value: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-value))).astype(value.dtype)


def _recip(value: np.ndarray) -> np.ndarray:
    return np.reciprocal(value)


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide,
    "floordiv": np.floor_divide, "mod": np.mod, "min": np.minimum, "max": np.maximum,
    "pow": np.power, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "shl": np.left_shift, "shr": np.right_shift, "lt": np.less, "le": np.less_equal,
    "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal,
}  # fmt: skip
_UNARY: dict[str, Callable[[Any], Any]] = {
    "neg": np.negative, "abs": np.abs, "not": np.invert, "exp": np.exp, "log": np.log,
    "sqrt": np.sqrt, "rsqrt": lambda a: np.reciprocal(np.sqrt(a)), "tanh": np.tanh,
    "erf": _map_erf, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin,
    "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh, "floor": np.floor, "ceil": np.ceil, "round": np.rint,
    "trunc": np.trunc, "sign": np.sign, "sigmoid": _sigmoid, "isnan": np.isnan, "isinf": np.isinf,
    "log1p": np.log1p, "expm1": np.expm1, "recip": _recip,
}  # fmt: skip
