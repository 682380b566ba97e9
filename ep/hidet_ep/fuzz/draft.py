"""A model that is being drawn: values with their shapes in every run and bounds of their elements.

A dim is the tuple of its sizes in the runs of the case, so symbolic arithmetic is arithmetic on
tuples; the sizes of two symbols differ in some run, and equal tuples mean equal dims. Bounds keep
numbers finite: a generator asks for operands within a range (`take`), and says what its result's
is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper

from .draws import Draws
from .dtypes import FLOATS, KINDS, as_dtype, is_float


class Dim(tuple):
    """Sizes of one dim, one per run."""

    def map(self, function: Callable[..., int], *others: Dim | int) -> Dim:
        rows = [other if isinstance(other, Dim) else (other,) * len(self) for other in others]
        return Dim(function(*sizes) for sizes in zip(self, *rows, strict=True))

    def plus(self, other: Dim | int) -> Dim:
        return self.map(lambda a, b: a + b, other)

    def times(self, other: Dim | int) -> Dim:
        return self.map(lambda a, b: a * b, other)

    def over(self, other: Dim | int) -> Dim:
        return self.map(lambda a, b: a // b, other)

    @property
    def fixed(self) -> int | None:
        """The size, None for a symbolic dim."""
        return self[0] if len(set(self)) == 1 else None


Shape = tuple[Dim, ...]


class Unfit(Exception):
    """A generator asked for something that this draft cannot have; its node is left out."""


@dataclass(frozen=True)
class Val:
    """A tensor of the model. array: of a constant; low, high: its elements lie between."""

    name: str
    dtype: str
    shape: Shape
    low: float
    high: float
    array: np.ndarray | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def is_static(self) -> bool:
        return all(dim.fixed is not None for dim in self.shape)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of a static value."""
        return tuple(dim[0] for dim in self.shape)

    @property
    def is_filled(self) -> bool:
        return all(min(dim) > 0 for dim in self.shape)

    @property
    def elements(self) -> int:
        """In the largest run."""
        return max(elements(self.shape))

    @property
    def magnitude(self) -> float:
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True)
class Want:
    """What an operand has to be. test: anything else."""

    dtypes: Sequence[str]
    low: float = -math.inf
    high: float = math.inf
    rank: tuple[int, int] = (0, 6)
    filled: bool = False
    static: bool = False
    test: Callable[[Val], bool] = lambda value: True

    def fits(self, value: Val) -> bool:
        return (
            value.dtype in self.dtypes
            and self.rank[0] <= value.rank <= self.rank[1]
            and (value.is_filled or not self.filled)
            and (value.is_static or not self.static)
            and self.test(value)
        )

    def holds(self, value: Val) -> bool:
        return self.low <= value.low and value.high <= self.high


def elements(shape: Shape) -> tuple[int, ...]:
    """In each run."""
    return tuple(math.prod(sizes) for sizes in zip(*shape, strict=True)) if shape else (1,)


SIZES = ((1, 3), (2, 3), (3, 4), (4, 4), (5, 3), (7, 2), (8, 3), (9, 1), (13, 1), (16, 2), (17, 2),
         (31, 1), (33, 1), (65, 0.5))  # fmt: skip
DEFAULT_BOUND = 2.0
SPECIALS = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40)
SPECIAL_SHARE = 0.15
STYLES = ("smooth", "smooth", "coarse", "few")


@dataclass
class Draft:
    """dtype: the float type of the case. limit: elements of a value. zeros: dims may be 0.
    specials: floats may be NaN, infinite or denormal, whatever their bounds say."""

    draws: Draws
    opset: int
    dtype: str
    runs: int = 1
    symbols: dict[str, Dim] = field(default_factory=dict)
    limit: int = 4096
    zeros: bool = False
    specials: bool = False
    nodes: list[NodeProto] = field(default_factory=list)
    inputs: list[Val] = field(default_factory=list)
    constants: list[Val] = field(default_factory=list)
    values: list[Val] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    feeds: dict[str, list[np.ndarray]] = field(default_factory=dict)
    count: int = 0

    # shapes

    def dim(self, size: int) -> Dim:
        return Dim((size,) * self.runs)

    def dims(self, *sizes: int) -> Shape:
        return tuple(self.dim(size) for size in sizes)

    def size(self) -> Dim:
        """A dim: some number, or one of the symbols."""
        if self.zeros and self.draws.chance(0.15):
            return self.dim(0)
        if self.symbols and self.draws.chance(0.35):
            return self.draws.pick(sorted(self.symbols.values()))
        return self.dim(self.draws.weighted(SIZES))

    def shape(self, low: int, high: int) -> Shape:
        """Of a rank between the two, within the limit."""
        ranks = [(r, (3, 6, 9, 9, 8, 3, 1)[r]) for r in range(low, min(high, 6) + 1)]
        shape = tuple(self.size() for _ in range(self.draws.weighted(ranks)))
        while max(elements(shape)) > self.limit:
            at = self.draws.integer(0, len(shape) - 1)
            shape = (*shape[:at], self.dim(self.draws.integer(1, 3)), *shape[at + 1 :])
        return shape

    def fits(self, shape: Shape) -> bool:
        """Whether a result may have this shape."""
        return max(elements(shape)) <= self.limit and all(min(dim) >= 0 for dim in shape)

    def is_symbol(self, dim: Dim) -> bool:
        """Whether an input may have it: a number or a symbol, no expression of symbols."""
        return dim.fixed is not None or dim in self.symbols.values()

    # sources

    def name(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def source(
        self, dtype: str, shape: Shape, low: float | None = None, high: float | None = None
    ) -> Val:
        """An input of the graph or a constant."""
        static = all(dim.fixed is not None for dim in shape)
        if static and self.draws.chance(0.35):
            return self.constant(dtype, tuple(dim[0] for dim in shape), low, high)
        return self.input(dtype, shape, low, high)

    def input(
        self, dtype: str, shape: Shape, low: float | None = None, high: float | None = None
    ) -> Val:
        """An input; of bf16, which NumPy lacks, a float32 one and a Cast."""
        low, high = self._bounds(dtype, low, high)
        if not all(self.is_symbol(dim) for dim in shape):
            raise Unfit
        if dtype == "bf16":
            wide = self.input("f32", shape, low, high)
            return self.node("Cast", [wide], dtype, shape, (low, high), to=KINDS[dtype].onnx)
        value = Val(self.name("x"), dtype, shape, low, high)
        style = self.draws.pick(STYLES)
        sizes = [tuple(dim[run] for dim in shape) for run in range(self.runs)]
        self.feeds[value.name] = [
            as_dtype(self._data(dtype, each, (low, high), style), dtype) for each in sizes
        ]
        self.inputs.append(value)
        return self._keep(value)

    def constant(
        self,
        dtype: str,
        sizes: Sequence[int],
        low: float | None = None,
        high: float | None = None,
    ) -> Val:
        low, high = self._bounds(dtype, low, high)
        data = self._data(dtype, sizes, (low, high), self.draws.pick(STYLES))
        return self.given(as_dtype(data, dtype), dtype, (low, high))

    def given(
        self, array: np.ndarray, dtype: str = "i64", bounds: tuple[float, float] | None = None
    ) -> Val:
        """A constant with these elements."""
        low, high = bounds or (float(array.min(initial=0)), float(array.max(initial=0)))
        value = Val(self.name("c"), dtype, self.dims(*array.shape), low, high, array)
        self.constants.append(value)
        return self._keep(value) if bounds else self._typed(value)

    def ints(self, numbers: Sequence[int]) -> Val:
        """int64[n] that is no operand of other nodes: axes, pads, shapes."""
        return self.given(np.array(numbers, np.int64))

    def _bounds(self, dtype: str, low: float | None, high: float | None) -> tuple[float, float]:
        kind = KINDS[dtype]
        bound = DEFAULT_BOUND if is_float(dtype) else 10
        low = max(kind.low, -bound if low is None else low)
        return low, min(kind.high, max(bound, low + 1) if high is None else high)

    def _data(
        self, dtype: str, sizes: Sequence[int], bounds: tuple[float, float], style: str
    ) -> np.ndarray:
        low, high = bounds
        if not is_float(dtype):
            return self.draws.integers(sizes, math.ceil(low), math.floor(high))
        if style == "smooth":
            data = self.draws.floats(sizes, low, high)
        else:
            steps = 32 if style == "coarse" else 3
            at = self.draws.integers(sizes, 0, steps).astype(np.float64) / steps
            data = np.asarray(low + (high - low) * at)
        if not self.specials:
            return data
        picked = np.array(SPECIALS)[self.draws.integers(sizes, 0, len(SPECIALS) - 1)]
        return np.where(self.draws.floats(sizes, 0, 1) < SPECIAL_SHARE, picked, data)

    # operands

    def take(self, want: Want) -> Val | None:
        """A value of the draft, late ones preferred, tamed if too large; or a fresh one."""
        fitting = [value for value in self.values if want.fits(value)]
        if fitting and self.draws.chance(0.85):
            late = fitting[-3:] if self.draws.chance(0.7) else fitting
            value = self.draws.pick(late)
            tamed = value if want.holds(value) else self._tamed(value, want)
            if tamed is not None:
                return tamed
        return self.fresh(want)

    def fresh(self, want: Want) -> Val | None:
        dtype = self.prefer(want.dtypes)
        low, high = self._bounds(dtype, None, None)
        low = max(low, want.low)
        high = min(max(high, low + 1), want.high, KINDS[dtype].high)
        for _ in range(6):
            shape = self.shape(*want.rank)
            value = Val("", dtype, shape, low, high)
            if want.fits(value) and low <= high:
                return self.source(dtype, shape, low, high)
        return None

    def prefer(self, dtypes: Sequence[str]) -> str:
        """The float type of the case, or float32, or any."""
        if self.dtype in dtypes and self.draws.chance(0.85):
            return self.dtype
        others = [d for d in dtypes if d not in FLOATS or d in (self.dtype, "f32")]
        return self.draws.pick(others or list(dtypes))

    def _tamed(self, value: Val, want: Want) -> Val | None:
        if not is_float(value.dtype) or want.high - max(want.low, -1.0) < 1.0:
            return None
        if want.low <= -1.0 and want.high >= 1.0:
            return self.node("Tanh", [value], value.dtype, value.shape, (-1.0, 1.0))
        unit = self.node("Sigmoid", [value], value.dtype, value.shape, (0.0, 1.0))
        if want.low <= 0.0:
            return unit
        shift = self.given(as_dtype(np.array(want.low), value.dtype), value.dtype)
        bounds = (want.low, want.low + 1.0)
        return self.node("Add", [unit, shift], value.dtype, value.shape, bounds)

    def partner(self, value: Val, low: float = -math.inf, high: float = math.inf) -> Val:
        """Something that broadcasts with `value` without enlarging it."""
        want = Want((value.dtype,), low, high, test=lambda other: other.shape == value.shape)
        found = [v for v in self.values if want.fits(v) and want.holds(v)]
        if found and self.draws.chance(0.5):
            return self.draws.pick(found)
        shape = value.shape[self.draws.integer(0, value.rank) if self.draws.chance(0.4) else 0 :]
        ones = self.draws.chance(0.5)
        shape = tuple(
            dim if self.is_symbol(dim) and not (ones and self.draws.chance(0.4)) else self.dim(1)
            for dim in shape
        )
        low = None if math.isinf(low) else low
        return self.source(value.dtype, shape, low, None if math.isinf(high) else high)

    # nodes

    def node(
        self,
        op: str,
        inputs: Sequence[Val | None],
        dtype: str,
        shape: Shape,
        bounds: tuple[float, float] = (-1.0, 1.0),
        /,
        domain: str = "",
        **attrs: Any,
    ) -> Val:
        """A node of one result."""
        return self.nodes_of(op, inputs, [(dtype, shape, *bounds)], domain, **attrs)[0]

    def nodes_of(
        self,
        op: str,
        inputs: Sequence[Val | None],
        results: Sequence[tuple[str, Shape, float, float] | None],
        /,
        domain: str = "",
        **attrs: Any,
    ) -> list[Val]:
        """A node of several results; None: left out."""
        names = ["" if value is None else value.name for value in inputs]
        while names and not names[-1]:
            names.pop()
        vals = [None if row is None else Val(self.name("v"), *row) for row in results]
        outputs = ["" if value is None else value.name for value in vals]
        stem = self.name(op.lower())
        node = helper.make_node(op, names, outputs, name=stem, domain=domain, **attrs)
        self.nodes.append(node)
        return [self._keep(value) for value in vals if value is not None]

    def _keep(self, value: Val) -> Val:
        self.values.append(value)
        return self._typed(value)

    def _typed(self, value: Val) -> Val:
        self.types[value.name] = value.dtype
        return value


def tensor(value: Val) -> TensorProto:
    """A constant as an initializer."""
    array = value.array
    assert array is not None, "of constants only"
    kind = KINDS[value.dtype]
    return helper.make_tensor(value.name, kind.onnx, array.shape, array.tobytes(), raw=True)
