"""3x3 convolutions of stride 1 on CPUs by Winograd's minimal filtering, in one kernel.

A task is a run of output tiles (m x m pixels each) and some panels of output channels:

    V[xi, tile, c] = BT d B of the tile's (m + 2)^2 pixels     into the task's own memory
    for panel: M[xi, tile, column] = sum over c of V[xi, tile, c] * U[panel, xi, c, column]
               y = AT M A, stored pixel by pixel               (what fusion rewrites)

with xi the (m + 2)^2 positions of a transformed tile; U, the transformed weights, is packed at
compile time. Tiles that reach beyond the image read its last row or column again and store what is
inside: an infinity or NaN spreads over a whole tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hidet_core.base.errors import require
from hidet_core.compute.dims import product
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Buffer, Expr, wrap
from hidet_core.ir.halves import single
from hidet_core.ir.widen import narrowed, wide_load, wide_type
from hidet_core.lang import (
    Tensor,
    build,
    ceildiv,
    lanes,
    let,
    local,
    minimum,
    parallel,
    prefetch,
    range_,
    register,
    repeat,
    spatial,
    when,
)
from hidet_core.schedule.config import Config
from hidet_core.schedule.problem import Pack, Problem, Scheduled
from hidet_core.schedule.template import Template
from hidet_core.schedule.work import TYPICAL_DIM, estimate, scalars_of, unravel
from hidet_core.target.cpu import Cpu

from .contraction import AHEAD_LINES, LINE, TileConfig
from .panels import pack_panels
from .span import span
from .tiles import (
    CYCLES_PER_NS,
    FAR_BYTES_PER_CYCLE,
    OTHERS_BYTES_PER_CYCLE,
    ContractionSize,
    step_cycles,
)
from .winograd_maths import AT, BT, apply, transform_weights

THREADS = 2  # that a kernel should occupy at least
MARGIN = 1.1
OWN_SHARE = 0.6  # of L2 that a task's memory may fill
# Panels of one vector read that memory twice as often as those of two: with more than this they
# made ResNet-50 3 % slower, while panels of two make VGG-19 a quarter faster.
NARROW_BYTES = 704 * 1024
_TILES = ((14, 2), (12, 2), (8, 3), (7, 3), (6, 4), (8, 2), (7, 2), (4, 2), (14, 1), (4, 4))


@dataclass(frozen=True)
class WinogradConfig(Config):
    """m: pixels of a tile's side. mr x nv: tiles and vectors of the register tile; blocks: register
    tiles of one task; splits: parts into which the panels are divided between tasks.
    """

    m: int
    mr: int
    nv: int
    blocks: int
    splits: int

    @property
    def tile(self) -> TileConfig:
        """The register tile."""
        return TileConfig(self.mr, self.nv, self.blocks)

    @property
    def tiles(self) -> int:
        """Of one task."""
        return self.mr * self.blocks

    @property
    def points(self) -> int:
        """Of a transformed tile."""
        return (self.m + 2) ** 2


class Winograd(Template):
    """conv2d with constant 3x3 weights, stride 1, no dilation, no groups, of a known image size."""

    ops = ("conv2d",)

    def accepts(self, problem: Problem) -> bool:
        attrs, weights = problem.attrs, problem.inputs[1].shape
        image = (*problem.inputs[0].shape[1:3], *problem.output.shape[1:3])
        return (
            not problem.exact
            and problem.constant[1]
            and wide_type(problem.output.dtype) == f32
            and attrs["groups"] == 1
            and tuple(weights[:2]) == (3, 3)
            and tuple(attrs["strides"]) == tuple(attrs["dilations"]) == (1, 1)
            and all(isinstance(dim, int) and dim > 0 for dim in image)
        )

    def space(self, problem: Problem, target: Cpu) -> Iterator[WinogradConfig]:
        for m in (4, 2):
            for mr, nv in _TILES:
                for blocks in (1, 2, 4):
                    for splits in (1, 2, 4):
                        yield WinogradConfig(m, mr, nv, blocks, splits)

    def check(self, problem: Problem, config: WinogradConfig, target: Cpu) -> None:
        config.tile.check(target)
        _, channels, _ = _size(problem, config)
        wide = target.lanes(4)
        columns = -(-channels // wide) * wide + config.nv * wide
        need = 4 * (config.points * config.tiles * columns + config.m**2 * config.nv * wide)
        limit = int(OWN_SHARE * target.l2_bytes)
        limit = min(limit, NARROW_BYTES) if config.nv == 1 else limit
        require(need <= limit, f"a task needs {need} bytes of memory, at most {limit}")
        panels = ceildiv(problem.output.shape[3], config.nv * target.lanes(4))
        require(config.splits <= panels, f"{config.splits} parts of {panels} panels")
        width = min(problem.output.shape[1:3])
        require(config.m <= width, f"tiles of {config.m} pixels, the image has {width}")

    def cost(self, problem: Problem, config: WinogradConfig, target: Cpu) -> float:
        tiles, channels, columns = _size(problem, config)
        wide = target.lanes(4)
        panels, vectors = -(-columns // (config.nv * wide)), -(-columns // wide)
        blocks = -(-tiles // config.tiles)
        tasks = max(blocks * config.splits, 1)  # none without images
        done = blocks * config.tiles
        size = ContractionSize(config.points, config.tiles, columns, channels, 0)
        tile = channels * step_cycles(config.mr, config.tile, size, target)
        tile += 30 + 2.5 * config.mr * config.nv
        gemm = config.points * panels * (done / config.mr) * tile
        inputs = config.splits * done * -(-channels // wide) * config.points * 6.0
        outputs = done * vectors * (config.points * 4.0 + config.m**2 * 5.0)
        weight_bytes = 4 * config.points * channels * columns
        again = 1 if weight_bytes < 0.5 * target.l2_bytes else blocks
        far = 0.75 * again * weight_bytes / FAR_BYTES_PER_CYCLE
        if done <= config.tiles:  # all threads read the whole image, which others have just made
            far += 4 * config.m**2 * tiles * channels / OTHERS_BYTES_PER_CYCLE
        idle = -(-tasks // THREADS) * THREADS / tasks
        # it is less exact than a direct sum: worth it only where it is clearly faster
        return MARGIN * idle * (gemm + inputs + outputs + far) / CYCLES_PER_NS

    def build(self, problem: Problem, config: WinogradConfig, target: Cpu) -> Scheduled:
        writer = _Writer(problem, config, target.lanes(4))
        x, out = problem.inputs[0], problem.output
        with build(problem.name, [x, writer.weights, out], scalars_of(x, out)) as slot:
            writer.write()
        tasks = -(-_size(problem, config)[0] // config.tiles) * config.splits
        pack = _packer(config, target.lanes(4))
        task_ns = self.cost(problem, config, target) / max(tasks, 1)
        return Scheduled(slot.program, {1: (writer.weights, pack)}, f"winograd {config}", task_ns)


def _size(problem: Problem, config: WinogradConfig) -> tuple[int, int, int]:
    """(tiles, input channels, output channels)."""
    images, height, width, columns = problem.output.shape
    down, across = ceildiv(height, config.m), ceildiv(width, config.m)
    images = images if isinstance(images, int) else min(TYPICAL_DIM, 4)
    channels = int(problem.inputs[1].shape[2])
    return images * int(down) * int(across), channels, estimate((columns,))


class _Writer:
    """Writes the program of one convolution."""

    def __init__(self, problem: Problem, config: WinogradConfig, wide: int) -> None:
        self.x, self.out = problem.inputs[0], problem.output
        self.config, self.wide = config, wide
        self.width = config.nv * wide
        self.side, self.points = config.m + 2, config.points
        self.channels, self.columns = (int(dim) for dim in problem.inputs[1].shape[2:])
        self.pads = problem.attrs["pads"]
        images, height, mapped = self.out.shape[0], int(self.out.shape[1]), int(self.out.shape[2])
        self.grid = (images, ceildiv(height, config.m), ceildiv(mapped, config.m))
        self.tiles = product(self.grid)
        self.panels = ceildiv(self.columns, self.width)
        shape = (self.panels, self.points, self.channels, self.width)
        self.weights = Buffer("wpack", f32, shape, None, "global", 64)

    def write(self) -> None:
        config = self.config
        depth = ceildiv(self.channels, self.wide) * self.wide
        each = ceildiv(self.panels, config.splits)
        for block, part in parallel(ceildiv(self.tiles, config.tiles), config.splits):
            first = block * config.tiles
            inputs = local("f32", [self.points, config.tiles, depth], "inputs")
            sums = local("f32", [self.points, config.tiles, self.width], "sums")
            pixels = local("f32", [config.m**2, self.width], "pixels")
            for t in range_(config.tiles, "t"):
                self._transform_input(inputs, t, self._corner(minimum(first + t, self.tiles - 1)))
            for k in range_(minimum(each, self.panels - part * each), "panel"):
                panel = let("panel", part * each + k)
                self._multiply(inputs, sums, panel)
                for t in range_(minimum(self.tiles - first, config.tiles), "t"):
                    self._transform_output(sums, pixels, t, self._corner(first + t), panel)

    def _corner(self, tile: Expr) -> tuple[Expr, Expr, Expr]:
        """(image, y, x) of a tile's first output pixel."""
        n, y, x = unravel(wrap(tile), self.grid)
        return let("n", n), let("y", y * self.config.m), let("x", x * self.config.m)

    def _position(self, start: Expr, k: int, axis: int) -> Expr:
        """Where in the image, along H (0) or W (1), a tile reads its k-th row or column."""
        size, after = int(self.x.shape[1 + axis]), self.pads[axis + 2]
        at = start + k - self.pads[axis]
        if int(self.out.shape[1 + axis]) % self.config.m == 0:
            return at
        return minimum(at, size + after - 1)

    def _transform_input(self, inputs: Tensor, t: Expr, corner: tuple[Expr, Expr, Expr]) -> None:
        n, top, left = corner
        side, matrix = self.side, BT[self.config.m]
        rows = [let("row", self._position(top, k, 0)) for k in range(side)]
        columns = [let("column", self._position(left, k, 1)) for k in range(side)]
        for c in span(self.channels, self.wide):
            lines = []
            for row in rows:
                pixels = [let("d", wide_load(self.x, n, row, at, c)) for at in columns]
                lines.append([let("b", value) for value in apply(matrix, pixels)])
            for k in range(side):
                for i, value in enumerate(apply(matrix, [line[k] for line in lines])):
                    inputs[i * side + k, t, c] = value

    def _multiply(self, inputs: Tensor, sums: Tensor, panel: Expr) -> None:
        """The sums over channels of one panel, for all points and tiles."""
        config, steps = self.config, self.points * self.config.blocks * self.channels
        weights = Tensor(self.weights)
        lines = self.points * self.channels * config.nv
        grid = repeat(config.mr, config.nv) * spatial(1, self.wide)
        for xi in range_(self.points, "xi"):
            for block in range_(config.blocks, "block"):
                start = let("step", (xi * config.blocks + block) * self.channels)
                acc = register("f32", [config.mr, self.width], "acc")
                for i, j in lanes(grid):
                    acc[i, j] = 0.0
                for c in range_(self.channels, "c"):
                    line = (start + c) * lines // steps
                    prefetch(weights, panel, 0, 0, (line + AHEAD_LINES) * LINE)
                    for i, j in lanes(grid):
                        tile = block * config.mr + i
                        acc[i, j] = acc[i, j] + inputs[xi, tile, c] * weights[panel, xi, c, j]
                for i, j in lanes(grid):
                    sums[xi, block * config.mr + i, j] = acc[i, j]

    def _transform_output(
        self,
        sums: Tensor,
        pixels: Tensor,
        t: Expr,
        corner: tuple[Expr, Expr, Expr],
        panel: Expr,
    ) -> None:
        n, top, left = corner
        m, side, matrix = self.config.m, self.side, AT[self.config.m]
        for (j,) in lanes(repeat(self.config.nv) * spatial(self.wide)):
            lines = []
            for i in range(side):
                row = [let("s", sums[i * side + k, t, j]) for k in range(side)]
                lines.append([let("a", value) for value in apply(matrix, row)])
            for k in range(m):
                for i, value in enumerate(apply(matrix, [line[k] for line in lines])):
                    pixels[i * m + k, j] = value
        height, mapped = (wrap(dim) for dim in self.out.shape[1:3])
        for i in range_(minimum(height - top, m), "i"):
            for k in range_(minimum(mapped - left, m), "k"):
                for (j,) in lanes(repeat(self.config.nv) * spatial(self.wide)):
                    column = panel * self.width + j
                    with when(column < self.columns):
                        value = narrowed(pixels[i * m + k, j], self.out.dtype)
                        Tensor(self.out)[n, top + i, left + k, column] = value


def _packer(config: WinogradConfig, wide: int) -> Pack:
    """Weights [3, 3, C, O] -> [panel][point][C][width]."""

    def pack(weights: np.ndarray) -> np.ndarray:
        channels, columns = weights.shape[2:]
        transformed = transform_weights(single(weights), config.m)
        matrix = transformed.reshape(config.points * channels, columns)
        return pack_panels(matrix, config.nv * wide)

    return pack
