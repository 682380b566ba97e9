"""Attention on GPUs without tensor cores: a block has some queries of one head and takes keys a
tile at a time, through shared memory; scores never leave the chip (Dao, 2023: FlashAttention-2).

    for each tile of keys and values:
        scores = q k^T, masked;  top' = max(top, maxima of the rows)
        weights = exp(scores - top');  sums, mixed *= exp(top - top');  mixed += weights * v
    result = mixed / sums

Threads stand down x across. A thread has `rows` queries, `keys` keys of a tile, and vectors of four
columns of the result; it adds up its own weights, which meet at the end. Any sizes: keys that do
not exist have the score -inf.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.compute.dims import product
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Expr, eq, minimum, select, unary, wrap
from hidet_core.ir.widen import narrowed
from hidet_core.lang import (
    Tensor,
    barrier,
    build,
    ceildiv,
    let,
    otherwise,
    parallel,
    range_,
    register,
    shared,
    threads,
    unroll,
    when,
)
from hidet_core.target.nvidia import Cuda

from ..attention import Heads, larger
from ..config import Config
from ..problem import Problem, Scheduled
from ..template import Template
from ..work import estimate, scalars_of, unravel
from .split_keys import Row, SplitKeys, estimated_parts, parts_of_keys
from .tile_copy import elements
from .traffic import LAUNCH_NS

PIECE = 4  # floats of a vector
PAD = 4  # floats after each row in shared memory, so that rows lie in different banks
OTHER_REGISTERS = 40
TILE_CYCLES = 1200.0  # of a tile in a block that runs alone: loads, then four barriers
EXP_CYCLES = 24.0  # of a warp, for a score each
READ_CYCLES = 2.0  # of shared memory, for a warp's vectors of four


@dataclass(frozen=True)
class AttentionConfig(Config):
    """down x across threads; rows, keys: of a thread."""

    down: int
    across: int
    rows: int
    keys: int

    @property
    def threads(self) -> int:
        return self.down * self.across

    @property
    def block_q(self) -> int:
        return self.down * self.rows

    @property
    def block_k(self) -> int:
        return self.across * self.keys


@dataclass(frozen=True)
class Extents:
    """What a head needs with a config. width, columns: rounded up; pieces: vectors of a thread."""

    width: int
    pieces: int
    columns: int
    shared_bytes: int
    registers: int

    @staticmethod
    def of(heads: Heads, config: AttentionConfig) -> Extents:
        width = -(-heads.width // PIECE) * PIECE
        pieces = -(-heads.columns // (config.across * PIECE))
        columns = pieces * config.across * PIECE
        block_q, block_k = config.block_q, config.block_k
        floats = (block_q + block_k) * (width + PAD) + block_k * columns
        floats += block_q * (block_k + PAD + config.across) + block_k
        kept = config.rows * (config.keys + pieces * PIECE + 3)
        held = PIECE * max(config.rows + config.keys, config.rows + pieces)
        return Extents(width, pieces, columns, 4 * floats, kept + held + OTHER_REGISTERS)


class Attention(Template):
    """attention of f32, f16 or bf16 with any mask, in f32."""

    ops = ("attention",)

    def accepts(self, problem: Problem) -> bool:
        return problem.definitions[0].out.dtype == f32

    def space(self, problem: Problem, target: Cuda) -> Iterator[AttentionConfig]:
        sides = ((4, 8), (8, 8), (16, 8), (8, 16), (16, 16), (32, 8))
        for (down, across), rows, keys in itertools.product(sides, (1, 2, 4), (1, 2, 4, 8)):
            yield AttentionConfig(down, across, rows, keys)

    def check(self, problem: Problem, config: AttentionConfig, target: Cuda) -> None:
        extents, heads = Extents.of(Heads(problem), config), Heads(problem)
        need, limit = extents.registers, target.registers_per_thread
        require(need <= limit, f"about {need} registers > {limit}")
        need, limit = extents.shared_bytes, target.shared_bytes_per_block
        require(need <= limit, f"{need} bytes of shared memory > {limit} on {target.name}")
        for what, block, size in (
            ("queries", config.block_q, heads.queries),
            ("keys", config.block_k, heads.keys),
        ):
            if isinstance(size, int):
                require(block < 2 * max(size, 16), f"a tile of {block} {what}, there are {size}")

    def cost(self, problem: Problem, config: AttentionConfig, target: Cuda) -> float:
        heads = Heads(problem)
        extents = Extents.of(heads, config)
        queries, keys = heads.sizes()
        blocks = max(estimate(heads.batch) * -(-queries // config.block_q), 1)
        tiles = -(-keys // config.block_k) * (0.6 if heads.is_causal else 1.0)
        parts = estimated_parts(heads, config.block_q, config.block_k, target)
        blocks, tiles = blocks * parts, tiles / parts
        pairs, warps = config.block_q * config.block_k, config.threads / target.warp
        multiplied = pairs * (extents.width + extents.columns) / target.fma_per_cycle
        read = extents.width / PIECE * (config.rows + config.keys)
        read += config.block_k / PIECE * (config.rows + PIECE * extents.pieces)
        weighed = pairs / target.warp * EXP_CYCLES / 4
        busy = max(multiplied, read * warps * READ_CYCLES) + weighed
        resident = target.resident_blocks(config.threads, extents.registers, extents.shared_bytes)
        each = -(-blocks // target.multiprocessors)
        alone = -(-each // max(resident, 1)) * (TILE_CYCLES + busy)
        return LAUNCH_NS + tiles * max(each * busy, alone) / target.clock_ghz

    def build(self, problem: Problem, config: AttentionConfig, target: Cuda) -> Scheduled:
        heads, out = Heads(problem), problem.output
        down = ceildiv(heads.queries, config.block_q)
        count = parts_of_keys(heads, config.block_q, config.block_k, target)
        slots = config.rows * (2 + Extents.of(heads, config).pieces * PIECE)
        split = SplitKeys.of(count, product((*heads.batch, down)), slots, config.threads)
        params = list(dict.fromkeys((*problem.inputs, out, *split.workspace)))
        with build(problem.name, params, scalars_of(*params)) as slot:
            for group, at, part in parallel(product(heads.batch), down, count):
                for thread in threads(config.threads):
                    block = _Block(heads, config, thread)
                    block.read(unravel(group, heads.batch), at * config.block_q, split, part)
                    split.finish(block, group * down + at, part, thread)
        return Scheduled(slot.program, {}, str(config), workspace=split.workspace)


class _Block:
    """What one thread of a block does."""

    def __init__(self, heads: Heads, config: AttentionConfig, thread: Expr) -> None:
        self.heads, self.config, self.thread = heads, config, thread
        self.extents = extents = Extents.of(heads, config)
        block_q, block_k, width = config.block_q, config.block_k, extents.width
        self.q = shared(f32, [block_q, width + PAD], "q")
        self.k = shared(f32, [block_k, width + PAD], "k")
        self.v = shared(f32, [block_k, extents.columns], "v")
        self.weights = shared(f32, [block_q, block_k + PAD], "weights")
        self.parts = shared(f32, [block_q, config.across], "parts")
        if heads.has_row_mask:
            self.mask = shared(f32, [block_k], "mask")
        self.scores = register(f32, [config.rows, config.keys], "scores")
        self.mixed = register(f32, [config.rows, extents.pieces * PIECE], "mixed")
        self.tops = register(f32, [config.rows], "tops")
        self.sums = register(f32, [config.rows], "sums")
        self.shrink = register(f32, [config.rows], "shrink")
        down, self.lane = thread // config.across, thread % config.across
        self.rows = [down + i * config.down for i in range(config.rows)]
        self.own_keys = [self.lane + j * config.across for j in range(config.keys)]
        self.own_columns = [(self.lane + c * config.across) * PIECE for c in range(extents.pieces)]

    def read(self, batch: Sequence[Expr], first: Expr, split: SplitKeys, part: Expr) -> None:
        """All of a part of the keys for queries [first, first + block_q)."""
        self.batch, self.first, self.is_part = batch, first, bool(split.workspace)
        self._copy(self.q, 0, first)
        for i in range(self.config.rows):
            self.tops[i], self.sums[i] = -math.inf, 0.0
            for c in unroll(self.extents.pieces * PIECE, "c"):
                self.mixed[i, c] = 0.0
        skipped = let("skipped", self.heads.unseen(first) // self.config.block_k)
        before, count = split.share(self._tiles() - skipped, part)
        for tile in range_(count, "tile"):
            start = let("start", (tile + before + skipped) * self.config.block_k)
            self._copy(self.k, 1, start)
            self._copy(self.v, 2, start)
            self._copy_mask(start)
            barrier()
            self._score(start)
            self._weigh()
            barrier()
            self._mix()
            barrier()
        self._sum_up()

    @property
    def known(self) -> list[Row]:
        """The thread's rows."""
        columns = self.extents.pieces * PIECE
        return [
            Row((self.tops, i), (self.sums, i), (self.mixed, [(i, c) for c in range(columns)]))
            for i in range(self.config.rows)
        ]

    def _tiles(self) -> Expr:
        """Tiles with keys that some query of the block sees."""
        keys = wrap(self.heads.keys)
        if self.heads.is_causal:
            last = self.heads.seen(self.first + self.config.block_q - 1)
            keys = minimum(keys, select(last > 0, last, 0))
        return ceildiv(keys, self.config.block_k)

    def _copy(self, tile: Tensor, place: int, first: Expr) -> None:
        """Rows of q, k or v from `first` on into a tile; zeros where there is nothing."""
        inputs = self.heads.problem.inputs[place]
        limit, width = wrap(inputs.shape[-2]), int(inputs.shape[-1])  # type: ignore[arg-type]
        across = (self.extents.columns if place == 2 else self.extents.width) // PIECE
        total = int(tile.shape[0]) * across
        for step in range_(ceildiv(total, self.config.threads), "copy"):
            number = step * self.config.threads + self.thread
            with when(number < total):
                row, column = let("row", number // across), let("column", number % across * PIECE)
                vector = PIECE if width % PIECE == 0 else 1
                for part in range(0, PIECE, vector):
                    self._copy_vector(tile, place, (first + row, limit), (row, column + part))

    def _copy_vector(
        self, tile: Tensor, place: int, source: tuple[Expr, Expr], to: tuple[Expr, Expr]
    ) -> None:
        """One vector of a tile; source: the row and how many there are."""
        width = int(self.heads.problem.inputs[place].shape[-1])  # type: ignore[arg-type]
        vector = PIECE if width % PIECE == 0 else 1
        (row, column), (at, limit) = to, source
        with when((at < limit) & (column < width)):
            for lane in elements(vector):
                value = self.heads.element(place, self.batch, at, column + lane)
                tile[row, column + lane] = value
        with otherwise():
            for lane in elements(vector):
                tile[row, column + lane] = 0.0

    def _copy_mask(self, start: Expr) -> None:
        """The part of a mask of one row that belongs to a tile of keys."""
        size, last = self.config.block_k, wrap(self.heads.keys) - 1
        if not self.heads.has_row_mask:
            return
        for step in range(ceildiv(size, self.config.threads)):
            own = step * self.config.threads + self.thread
            with when(own < size):
                self.mask[own] = self.heads.mask_number(self.batch, minimum(start + own, last))

    def _score(self, start: Expr) -> None:
        """Scores of the thread's pairs, and the largest of each of its rows."""
        config = self.config
        for i in unroll(config.rows, "i"):
            for j in unroll(config.keys, "j"):
                self.scores[i, j] = 0.0
        part_q = register(f32, [config.rows, PIECE], "part_q")
        part_k = register(f32, [config.keys, PIECE], "part_k")
        for step in range_(self.extents.width // PIECE, "d"):
            for part, tile, lines in (
                (part_q, self.q, self.rows),
                (part_k, self.k, self.own_keys),
            ):
                for x, line in enumerate(lines):
                    for lane in elements(PIECE):
                        part[x, lane] = tile[line, step * PIECE + lane]
            for i in unroll(config.rows, "i"):
                for j in unroll(config.keys, "j"):
                    for lane in range(PIECE):
                        self.scores[i, j] += part_q[i, lane] * part_k[j, lane]
        for i, row in enumerate(self.rows):
            self._mask(i, row, start)

    def _mask(self, i: int, row: Expr, start: Expr) -> None:
        """The final scores of a row, and its largest one to the other threads."""
        queries, keys = wrap(self.heads.queries), wrap(self.heads.keys)
        query = let("query", minimum(self.first + row, queries - 1))
        top: Expr = wrap(-math.inf, f32)
        for j, own in enumerate(self.own_keys):
            key = start + own
            pair = (*self.batch, query, minimum(key, keys - 1))
            mask = (lambda own=own: self.mask[own]) if self.heads.has_row_mask else None
            score = self.heads.score(pair, self.scores[i, j], mask)
            self.scores[i, j] = select(key < keys, score, -math.inf)
            top = let("top", larger(self.scores[i, j], top))
        self.parts[row, self.lane] = top

    def _weigh(self) -> None:
        """Scores become weights, in shared memory; what was summed so far is brought down."""
        barrier()
        for i, row in enumerate(self.rows):
            top = self.tops[i]
            for part in range(self.config.across):
                top = let("top", larger(self.parts[row, part], top))
            # where no key was seen yet, weights are 0 and not NaN
            shift = let("shift", select(eq(top, -math.inf), 0.0, top))
            shrink = let("shrunk", unary("exp", self.tops[i] - shift))
            self.tops[i], self.shrink[i] = top, shrink
            total = let("total", self.sums[i] * shrink)
            for j, own in enumerate(self.own_keys):
                weight = let("weight", unary("exp", self.scores[i, j] - shift))
                self.weights[row, own] = weight
                total = let("total", total + weight)
            self.sums[i] = total

    def _mix(self) -> None:
        """mixed += weights * v."""
        config, pieces = self.config, self.extents.pieces
        for i in unroll(config.rows, "i"):
            for c in unroll(pieces * PIECE, "c"):
                self.mixed[i, c] = self.mixed[i, c] * self.shrink[i]
        part_w = register(f32, [config.rows, PIECE], "part_w")
        part_v = register(f32, [pieces, PIECE], "part_v")
        for step in range_(config.block_k // PIECE, "step"):
            for i, row in enumerate(self.rows):
                for lane in elements(PIECE):
                    part_w[i, lane] = self.weights[row, step * PIECE + lane]
            for key in range(PIECE):
                for c, column in enumerate(self.own_columns):
                    for lane in elements(PIECE):
                        part_v[c, lane] = self.v[step * PIECE + key, column + lane]
                self._add_values(key, part_w, part_v)

    def _add_values(self, key: int, part_w: Tensor, part_v: Tensor) -> None:
        for i in unroll(self.config.rows, "i"):
            for c in unroll(self.extents.pieces, "c"):
                for lane in range(PIECE):
                    self.mixed[i, c * PIECE + lane] += part_w[i, key] * part_v[c, lane]

    def _sum_up(self) -> None:
        """All threads' sums of a row meet."""
        for i, row in enumerate(self.rows):
            self.parts[row, self.lane] = self.sums[i]
        barrier()
        if self.is_part:
            for i, row in enumerate(self.rows):
                self.sums[i] = self._total(row)

    def _total(self, row: Expr) -> Expr:
        total: Expr = self.parts[row, 0]
        for part in range(1, self.config.across):
            total = let("total", total + self.parts[row, part])
        return total

    def store(self) -> None:
        """The results."""
        queries, columns = wrap(self.heads.queries), self.heads.columns
        vector = PIECE if columns % PIECE == 0 else 1
        for i, row in enumerate(self.rows):
            total = self.sums[i] if self.is_part else self._total(row)
            query = let("query", self.first + row)
            for c, column in enumerate(self.own_columns):
                for part in range(0, PIECE, vector):
                    with when((query < queries) & (column + part < columns)):
                        self._store((query, column + part), (i, c * PIECE + part), total)

    def _store(self, at: tuple[Expr, Expr], mixed: tuple[int, int], total: Expr) -> None:
        out, (query, column), (i, c) = self.heads.problem.output, at, mixed
        vector = PIECE if self.heads.columns % PIECE == 0 else 1
        for lane in elements(vector):
            index = (*self.batch, query, column + lane)
            value = self.heads.result(index, self.mixed[i, c + lane], total)
            Tensor(out)[index] = narrowed(value, out.dtype)
