"""Depthwise convolution on GPUs: NHWC, a vector of channels and a tile of pixels for each thread.

groups == channels == output channels. Threads side by side have vectors of channels side by side;
each loads the weights of its channels once, then row by row what its tile of output pixels reads:
an element that several windows share is loaded once for all of them. Sums are f32. Where a window
leaves the image it reads the zeros that lie around it in memory (graph/storage.py). A tile that
hangs over the image's edge computes some pixels of the edge again, and does not store them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.compute.dims import Dim, product, simplify
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Expr, cast, is_const, minimum, wrap
from hidet_core.ir.widen import narrowed
from hidet_core.lang import (
    Tensor,
    build,
    ceildiv,
    let,
    parallel,
    register,
    threads,
    unroll,
    when,
)
from hidet_core.target.nvidia import Cuda

from ..config import Config
from ..problem import Problem, Scheduled
from ..template import Template
from ..work import estimate, scalars_of, unravel
from .contraction import widest
from .tile_copy import elements
from .traffic import LAUNCH_NS
from .waves import L2_BYTES, MEMORY_LATENCY, overlapped

ISSUED = 4  # instructions of warps that a multiprocessor starts in a cycle
OTHER_REGISTERS = 32
LOADS_UNDER_WAY = 8  # of a thread, before it waits for the first


@dataclass(frozen=True)
class DepthwiseConfig(Config):
    """down x across: output pixels of a thread; vector: channels of it; threads: of a block."""

    down: int
    across: int
    vector: int
    threads: int


class Depthwise(Template):
    """conv2d with one input and one output channel per group."""

    ops = ("conv2d",)

    def accepts(self, problem: Problem) -> bool:
        x, w = problem.inputs
        groups = problem.attrs["groups"]
        is_depthwise = groups == w.shape[3] and w.shape[2] == 1 and isinstance(x.shape[3], int)
        return is_depthwise and _is_small_float(problem) and not problem.computed[0] and x is not w

    def space(self, problem: Problem, target: Cuda) -> Iterator[DepthwiseConfig]:
        tiles = itertools.product((8, 4, 2, 1), (1, 2, 4), (1, 2, 4, 8), (64, 128))
        for vector, down, across, count in tiles:
            yield DepthwiseConfig(down, across, vector, count)

    def check(self, problem: Problem, config: DepthwiseConfig, target: Cuda) -> None:
        widths = _widths(problem)
        fits = config.vector <= widths and (config.vector * 4 >= widths or widths == 1)
        require(fits, f"vectors of {config.vector}, of {widths} at most")
        need, limit = _registers(problem, config), target.registers_per_thread * 3 // 4
        require(need <= limit, f"about {need} registers > {limit}")
        for what, size, dim in (
            ("rows", config.down, problem.output.shape[1]),
            ("columns", config.across, problem.output.shape[2]),
        ):
            if isinstance(dim, int):
                require(size < 2 * max(dim, 1), f"{size} {what} in a tile, the output has {dim}")

    def cost(self, problem: Problem, config: DepthwiseConfig, target: Cuda) -> float:
        """A thread waits for memory twice (weights and first rows, then the rest), and more often
        where it loads more than what can be under way; the multiprocessors are busy with its
        instructions; its elements come through L2.
        """
        out, taps = problem.output, _taps(problem)
        rows, cols = _window(problem, config)
        count = _count(out.shape, config)
        blocks = -(-count // config.threads)
        resident = target.resident_blocks(config.threads, _registers(problem, config), 0)
        if resident < 1:
            return float("inf")
        loads = rows * cols + taps
        most = -(-blocks // target.multiprocessors)
        warps = most * config.threads / target.warp
        sums = config.down * config.across
        multiplied = warps * sums * taps * config.vector
        pipes = (
            multiplied * target.warp / target.fma_per_cycle,
            (multiplied + warps * (loads * 3 + sums * 4)) / ISSUED,
            warps * target.warp * rows * cols * config.vector * out.dtype.bytes / L2_BYTES,
        )
        busy = overlapped(*pipes)
        waits = -(-most // resident) * (1 + max(loads / LOADS_UNDER_WAY, 1)) * MEMORY_LATENCY
        x = problem.inputs[0]
        moved = (estimate(tuple(x.shape)) + estimate(tuple(out.shape))) * out.dtype.bytes
        cycles = max(busy, waits)
        return LAUNCH_NS + overlapped(cycles / target.clock_ghz, moved / target.bytes_per_ns)

    def build(self, problem: Problem, config: DepthwiseConfig, target: Cuda) -> Scheduled:
        x, w, out = *problem.inputs, problem.output
        grid = _grid(out.shape, config)
        count = product(grid)
        with build(problem.name, [x, w, out], scalars_of(x, out)) as slot:
            for (block,) in parallel(ceildiv(count, config.threads)):
                for thread in threads(config.threads):
                    number = let("number", block * config.threads + thread)
                    with when(number < wrap(count)):
                        _Tile(problem, config, unravel(number, grid)).write()
        return Scheduled(slot.program, {}, str(config))


def _is_small_float(problem: Problem) -> bool:
    return problem.output.dtype.is_float and problem.output.dtype.bytes <= 4


def _taps(problem: Problem) -> int:
    return estimate(tuple(problem.inputs[1].shape[:2]))


def _window(problem: Problem, config: DepthwiseConfig) -> tuple[int, int]:
    """Rows and columns of the image that a tile reads."""
    taps = [int(dim) for dim in problem.inputs[1].shape[:2]]  # type: ignore[arg-type]
    strides, dilations = problem.attrs["strides"], problem.attrs["dilations"]
    rows, cols = (
        (size - 1) * stride + (tap - 1) * dilation + 1
        for size, stride, tap, dilation in zip(
            (config.down, config.across), strides, taps, dilations, strict=True
        )
    )
    return rows, cols


def _registers(problem: Problem, config: DepthwiseConfig) -> int:
    """An estimate: weights, sums, a row of the image."""
    held = _taps(problem) + config.down * config.across + _window(problem, config)[1]
    return held * config.vector + OTHER_REGISTERS


def _widths(problem: Problem) -> int:
    """The widest vector of channels that image, weights and output are all made of."""
    x, w, out = *problem.inputs, problem.output
    return min(widest(buffer, out.shape[3]) for buffer in (x, w, out))


def _grid(shape: tuple[Dim, ...], config: DepthwiseConfig) -> tuple[Dim, ...]:
    """Threads: images, tiles down and across, vectors of channels."""
    images, height, width, channels = shape
    down, across = ceildiv(height, config.down), ceildiv(width, config.across)
    return images, simplify(down), simplify(across), ceildiv(channels, config.vector)


def _count(shape: tuple[Dim, ...], config: DepthwiseConfig) -> int:
    return max(estimate(_grid(shape, config)), 1)


class _Tile:
    """What a thread does."""

    def __init__(self, problem: Problem, config: DepthwiseConfig, at: tuple[Expr, ...]) -> None:
        self.problem, self.config = problem, config
        self.x, self.w = Tensor(problem.inputs[0]), Tensor(problem.inputs[1])
        self.out = problem.output
        self.taps = [int(dim) for dim in self.w.shape[:2]]  # type: ignore[arg-type]
        image, down, across, vector = at
        self.image = let("image", image)
        self.row = let("row", down * config.down)
        self.col = let("col", across * config.across)
        self.channel = let("channel", vector) * config.vector
        _, self.cols = _window(problem, config)
        size = config.vector
        self.weights = register(f32, [self.taps[0] * self.taps[1], size], "weights")
        self.sums = register(f32, [config.down * config.across, size], "sums")
        self.line = register(f32, [self.cols, size], "line")

    def write(self) -> None:
        """Weights, then the rows of the image one by one, then the results."""
        config, (stride, _) = self.config, self.problem.attrs["strides"]
        dilation = self.problem.attrs["dilations"][0]
        for tap in unroll(self.taps[0] * self.taps[1], "tap"):
            r, s = unravel(tap, tuple(self.taps))
            for lane in elements(config.vector):
                self.weights[tap, lane] = cast(self.w[r, s, 0, self.channel + lane], f32)
        for i in unroll(config.down * config.across, "i"):
            for lane in elements(config.vector):
                self.sums[i, lane] = 0.0
        for y in range(_window(self.problem, config)[0]):
            pairs = [
                (i, r)
                for i in range(config.down)
                for r in range(self.taps[0])
                if i * stride + r * dilation == y
            ]
            if pairs:
                self._load(y)
            for i, r in pairs:
                self._add(i, r)
        self._store()

    def _load(self, y: int) -> None:
        """Row y of the image below the tile."""
        at = self._inside(0, self.row, y)
        for z in unroll(self.cols, "z"):
            column = self._inside(1, self.col, z)
            for lane in elements(self.config.vector):
                value = self.x[self.image, at, column, self.channel + lane]
                self.line[z, lane] = cast(value, f32)

    def _inside(self, axis: int, first: Expr, step: int | Expr) -> Expr:
        """A row or column of the image (or of the zeros around it), at most the last one that an
        output pixel reads.
        """
        attrs = self.problem.attrs
        stride, before = attrs["strides"][axis], attrs["pads"][axis]
        size = (self.config.down, self.config.across)[axis]
        at = first * stride + step
        if not is_const(simplify(self.out.shape[axis + 1] % size), 0):
            reach = (self.taps[axis] - 1) * attrs["dilations"][axis]
            at = minimum(at, (wrap(self.out.shape[axis + 1]) - 1) * stride + reach)
        return at - before

    def _add(self, i: int, r: int) -> None:
        """What row i of the tile gets from row r of the weights and the loaded row."""
        config, attrs = self.config, self.problem.attrs
        stride, dilation = attrs["strides"][1], attrs["dilations"][1]
        for j in unroll(config.across, "j"):
            for s in unroll(self.taps[1], "s"):
                for lane in elements(config.vector):
                    element = self.line[j * stride + s * dilation, lane]
                    weight = self.weights[r * self.taps[1] + s, lane]
                    self.sums[i * config.across + j, lane] += element * weight

    def _store(self) -> None:
        config, (_, height, width, _) = self.config, self.out.shape
        for i in unroll(config.down, "i"):
            for j in unroll(config.across, "j"):
                at = (self.row + i, self.col + j)
                with when((at[0] < wrap(height)) & (at[1] < wrap(width))):
                    for lane in elements(config.vector):
                        value = narrowed(self.sums[i * config.across + j, lane], self.out.dtype)
                        Tensor(self.out)[(self.image, *at, self.channel + lane)] = value
