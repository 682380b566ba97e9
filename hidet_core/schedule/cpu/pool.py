"""Pooling on CPUs: NHWC, lanes along the channels, windows clipped to the image instead of padded.

A window that lies inside the image is unrolled; the loops of others run over [first, last) of the
positions inside, so that no padding is read. What the definition does with the total (an average's
divisor) is taken from the definition itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hidet_core.ir.expr import Expr, both, unary, wrap
from hidet_core.ir.widen import wide_type
from hidet_core.lang import (
    Tensor,
    build,
    ceildiv,
    lanes,
    let,
    maximum,
    minimum,
    parallel,
    range_,
    register,
    repeat,
    spatial,
    unroll,
    when,
)
from hidet_core.target.cpu import Cpu

from ..config import Config
from ..problem import Problem, Scheduled
from ..reducing import combine, find_reduce, identity, inside_term, instantiate, with_total
from ..template import Template
from ..work import estimate, scalars_of

MAX_UNROLLED = 16  # positions of a window


@dataclass(frozen=True)
class PoolConfig(Config):
    """nv: vectors of channels that one task holds."""

    nv: int


class Pool2d(Template):
    """pool2d of x[N, H, W, C]."""

    ops = ("pool2d",)

    def accepts(self, problem: Problem) -> bool:
        dtype = problem.output.dtype
        return dtype.is_float or (dtype.is_byte and problem.attrs["kind"] == "max")

    def space(self, problem: Problem, target: Cpu) -> Iterator[PoolConfig]:
        for nv in (4, 2, 1):
            yield PoolConfig(nv)

    def cost(self, problem: Problem, config: PoolConfig, target: Cpu) -> float:
        width = config.nv * target.lanes(wide_type(problem.output.dtype).bytes)
        channels = estimate((problem.output.shape[3],))
        return -(-channels // width) * (config.nv + 1)

    def build(self, problem: Problem, config: PoolConfig, target: Cpu) -> Scheduled:
        x, out = problem.inputs[0], problem.output
        width = config.nv * target.lanes(wide_type(out.dtype).bytes)
        images, height, columns, channels = out.shape
        with build(problem.name, [x, out], scalars_of(x, out)) as slot:
            for n, oh, block in parallel(images, height, ceildiv(channels, width)):
                for ow in range_(columns, "ow"):
                    _window(problem, (n, oh, ow, block * width), width // config.nv, config.nv)
        kernel = problem.attrs["kernel"]
        task_ns = estimate((columns,)) * (kernel[0] * kernel[1] * config.nv * 0.4 + 4)
        return Scheduled(slot.program, {}, str(config), task_ns)


def _window(problem: Problem, at: tuple[Expr, Expr, Expr, Expr], lanes_wide: int, nv: int) -> None:
    """One output pixel: nv vectors of channels from at[3] on."""
    x, out, definition = problem.inputs[0], problem.output, problem.definitions[-1]
    n, oh, ow, first = at
    node = find_reduce(definition.value)
    assert node is not None
    acc = register(node.dtype, [nv * lanes_wide], "acc")
    channels = wrap(out.shape[3])
    for (j,) in _channels(nv, lanes_wide):
        acc[j] = identity(node.op, node.dtype)
    dilation_h, dilation_w = problem.attrs["dilations"]
    top, left = (_start(problem, axis, position) for axis, position in ((0, oh), (1, ow)))

    def take(r: Expr, s: Expr) -> None:
        for (j,) in _channels(nv, lanes_wide):
            with when(first + j < channels):
                element = Tensor(x)[n, top + r * dilation_h, left + s * dilation_w, first + j]
                acc[j] = combine(node.op, acc[j], inside_term(node, element))

    whole = both(_is_inside(problem, 0, top), _is_inside(problem, 1, left))
    kernel = problem.attrs["kernel"]
    with when(whole):
        loop = unroll if kernel[0] * kernel[1] <= MAX_UNROLLED else range_
        for r in loop(kernel[0], "r"):
            for s in loop(kernel[1], "s"):
                take(r, s)
    with when(unary("not", whole)):
        (r0, r1), (s0, s1) = _clip(problem, 0, top), _clip(problem, 1, left)
        for r in range_(r1 - r0, "r"):
            for s in range_(s1 - s0, "s"):
                take(r0 + r, s0 + s)
    for (j,) in _channels(nv, lanes_wide):
        with when(first + j < channels):
            index = (n, oh, ow, first + j)
            value = instantiate(
                definition.value, dict(zip(definition.axes, index, strict=True)), {}
            )
            inner = find_reduce(value)
            assert inner is not None
            Tensor(out)[index] = with_total(value, inner, acc[j])


def _channels(nv: int, lanes_wide: int) -> Iterator[tuple[Expr]]:
    return lanes(repeat(nv) * spatial(lanes_wide))


def _start(problem: Problem, axis: int, position: Expr) -> Expr:
    """Where in the image a window begins."""
    start = position * problem.attrs["strides"][axis] - problem.attrs["pads"][axis]
    return let("start", start)


def _is_inside(problem: Problem, axis: int, start: Expr) -> Expr:
    """Whether all of a window is."""
    kernel, dilation = problem.attrs["kernel"][axis], problem.attrs["dilations"][axis]
    size = wrap(problem.inputs[0].shape[1 + axis])
    return both(start >= 0, start + (kernel - 1) * dilation < size)


def _clip(problem: Problem, axis: int, start: Expr) -> tuple[Expr, Expr]:
    """First and last + 1 position of a window inside the image."""
    kernel, dilation = problem.attrs["kernel"][axis], problem.attrs["dilations"][axis]
    size = wrap(problem.inputs[0].shape[1 + axis])
    first = maximum((dilation - 1 - start) // dilation, 0)
    last = minimum((size - start + (dilation - 1)) // dilation, kernel)
    return let("first", first), let("last", maximum(last, first))
