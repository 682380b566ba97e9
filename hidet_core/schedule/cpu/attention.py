"""Attention on CPUs without scores in memory: a task has some queries of one head and takes keys a
block at a time, all of it in the core's own cache.

    stage[i, :] = q;  for each block of keys:
        turned = k^T;  scores = stage * turned, masked;  top' = max(top, row maxima)
        weights = exp(scores - top');  sums, mixed *= exp(top - top');  mixed += weights * v
    result = mixed / sums

Few queries are computed in another way (few_queries.py), also where only a run tells that they are
few. Where all keys are one block nothing is rescaled (Milakov and Gimelshein, 2018: online
softmax; Dao et al., 2022: FlashAttention). Both products are the register-tiled contraction that
matmul uses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.compute.definition import reduce_over
from hidet_core.compute.dims import product
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Expr, eq, is_const, load, select, unary, wrap
from hidet_core.lang import (
    Tensor,
    build,
    ceildiv,
    exp,
    lanes,
    let,
    local,
    maximum,
    minimum,
    otherwise,
    parallel,
    range_,
    spatial,
    when,
)
from hidet_core.target.cpu import Cpu

from ..attention import Heads
from ..config import Config
from ..problem import Problem, Scheduled
from ..reducing import combine
from ..template import Template
from ..work import estimate, scalars_of, unravel
from .contraction import Contraction, TileConfig, write_tiles
from .few_queries import FEW, FewQueries, few_cycles
from .reduction import reduce_in_lanes
from .span import span
from .tiles import CYCLES_PER_NS, FMA_LATENCY, LOADS_PER_CYCLE, TILE_CYCLES

MAX_LOCAL_BYTES = 512 * 1024  # on the stack of a thread
EXP_CYCLES = 16.0  # of a vector: mask, maximum, exponential, sum
TURN_CYCLES = 1.2  # of an element of a key, which is stored across
TASK_CYCLES, ROW_CYCLES = 300.0, 60.0
THREADS = 2


@dataclass(frozen=True)
class AttentionConfig(Config):
    """rows: queries of a task; keys: of a block; mr, nv: the register tile of both products."""

    rows: int
    keys: int
    mr: int
    nv: int

    @property
    def tile(self) -> TileConfig:
        return TileConfig(self.mr, self.nv, 1)


class Attention(Template):
    """attention with any mask; heads of a constant width."""

    ops = ("attention",)

    def accepts(self, problem: Problem) -> bool:
        return problem.definitions[0].out.dtype == f32

    def space(self, problem: Problem, target: Cpu) -> Iterator[AttentionConfig]:
        for mr, nv in ((12, 2), (8, 2), (6, 2), (4, 2), (8, 3), (7, 4), (4, 4), (8, 1), (6, 1)):
            for rows in (16, 24, 32, 48, 64, 96, 128):
                for keys in (64, 128, 256, 512):
                    yield AttentionConfig(rows, keys, mr, nv)

    def check(self, problem: Problem, config: AttentionConfig, target: Cpu) -> None:
        config.tile.check(target)
        heads = Heads(problem)
        width = config.nv * target.lanes(4)
        require(config.keys % width == 0, f"{config.keys} keys are no whole vectors of {width}")
        need, most = _local_bytes(heads, config, width), min(MAX_LOCAL_BYTES, target.l2_bytes)
        require(need <= most, f"{need} bytes of a task's own memory > {most}")
        for what, size, sides in (
            ("queries", config.rows, heads.queries),
            ("keys", config.keys, heads.keys),
        ):
            if isinstance(sides, int):
                require(size < 2 * max(sides, 64), f"{size} {what} in a block of {sides}")

    def cost(self, problem: Problem, config: AttentionConfig, target: Cpu) -> float:
        tasks, cycles = _work(Heads(problem), config, target)
        return -(-tasks // THREADS) * THREADS * cycles / CYCLES_PER_NS

    def build(self, problem: Problem, config: AttentionConfig, target: Cpu) -> Scheduled:
        heads, out = Heads(problem), problem.output
        params = list(dict.fromkeys((*problem.inputs, out)))
        with build(problem.name, params, scalars_of(*params)) as slot:
            if _has_few(heads):
                few = FewQueries(heads, config.keys, target.lanes(4))
                for group, query in parallel(product(heads.batch), heads.queries):
                    few.write(unravel(group, heads.batch), query)
            else:
                parts = ceildiv(heads.queries, config.rows)
                task = _Task(heads, config, target.lanes(4))
                for group, part in parallel(product(heads.batch), parts):
                    task.write(unravel(group, heads.batch), part * config.rows)
        _, cycles = _work(heads, config, target)
        return Scheduled(slot.program, {}, str(config), cycles / CYCLES_PER_NS)


def _has_few(heads: Heads) -> bool:
    return isinstance(heads.queries, int) and heads.queries <= FEW


def _local_bytes(heads: Heads, config: AttentionConfig, width: int) -> int:
    columns = -(-heads.columns // width) * width
    staged = config.rows * (heads.width + 2 * columns) + config.keys * (heads.width + columns)
    return 4 * (staged + config.rows * (config.keys + width))


def _work(heads: Heads, config: AttentionConfig, target: Cpu) -> tuple[int, float]:
    """Tasks, and the cycles of one."""
    queries, keys = heads.sizes()
    lanes_ = target.lanes(4)
    panel = config.nv * lanes_
    if _has_few(heads):
        blocks = -(-keys // config.keys)
        cycles = few_cycles(heads, lanes_, EXP_CYCLES) + blocks * ROW_CYCLES + TASK_CYCLES
        return max(estimate(heads.batch) * queries, 1), cycles
    tasks = estimate(heads.batch) * max(-(-queries // config.rows), 1)
    rows = min(config.rows, max(queries, 1))
    step = max(
        config.mr * config.nv / target.fma_per_cycle,
        (config.mr + config.nv) / LOADS_PER_CYCLE,
        FMA_LATENCY,
    )
    tiles = -(-rows // config.mr)
    scores = -(-keys // panel) * tiles * (heads.width * step + TILE_CYCLES)
    mixed = -(-heads.columns // panel) * tiles * (keys * step + TILE_CYCLES)
    blocks = -(-keys // config.keys)
    staged = keys * (heads.width * TURN_CYCLES + 2 * heads.columns / lanes_)
    softmax = rows * (keys / lanes_ * EXP_CYCLES + blocks * ROW_CYCLES)
    rescaled = blocks * rows * heads.columns / lanes_ * 2 if blocks > 1 else 0.0
    share = 0.5 + 0.5 / max(-(-queries // config.rows), 1) if heads.is_causal else 1.0
    return max(tasks, 1), share * (scores + mixed + staged + softmax + rescaled) + TASK_CYCLES


class _Task:
    """What one task does; the buffers are its own memory."""

    def __init__(self, heads: Heads, config: AttentionConfig, vector: int) -> None:
        self.heads, self.config, self.vector = heads, config, vector
        width = config.nv * vector
        columns = -(-heads.columns // width) * width
        keys = heads.keys
        # how many there are is known when it runs
        is_open = not isinstance(heads.queries, int)
        self.few = FewQueries(heads, config.keys, vector) if is_open else None
        self.is_single = isinstance(keys, int) and keys <= config.keys
        rows = config.rows
        self.stage = local("f32", [rows, -(-heads.width // vector) * vector], "stage")
        self.turned = local("f32", [heads.width, config.keys], "turned")
        self.values = local("f32", [config.keys, columns], "values")
        # one more vector: the last one of a row is read even where it holds nothing
        self.scores = local("f32", [rows, config.keys + vector], "scores")
        self.sums = local("f32", [rows], "sums")
        if heads.has_row_mask:
            self.mask = local("f32", [config.keys], "mask")
        if not self.is_single:
            self.tops = local("f32", [rows], "tops")
            self.shrink = local("f32", [rows], "shrink")
            self.mixed = local("f32", [rows, columns], "mixed")

    def write(self, batch: Sequence[Expr], first: Expr) -> None:
        """The results of queries [first, first + rows)."""
        self.batch, self.first = batch, first
        queries = self.heads.queries
        whole = isinstance(queries, int) and queries % self.config.rows == 0
        self.rows = (
            self.config.rows
            if whole
            else let("rows", minimum(wrap(queries) - first, self.config.rows))
        )
        if self.few is None:
            self._write_tiles()
            return
        with when(self.rows <= FEW):
            for i in range_(self.rows, "i"):
                self.few.write(batch, first + i)
        with otherwise():
            self._write_tiles()

    def _write_tiles(self) -> None:
        first, keys = self.first, self.heads.keys
        for i in range_(self.rows, "i"):
            for d in span(self.heads.width, self.vector):
                self.stage[i, d] = self.heads.element(0, self.batch, first + i, d)
        self._clear_padding()
        visible = (
            let("visible", self._seen(first + self.rows - 1)) if self.heads.is_causal else keys
        )
        if self.is_single:
            self._block(wrap(0), visible)
            return
        self._begin()
        size = self.config.keys
        skipped = let("skipped", self.heads.unseen(first) // size)
        for block in range_(ceildiv(visible, size) - skipped, "block"):
            start = (block + skipped) * size
            self._block(start, let("keys", minimum(wrap(visible) - start, size)))
        self._finish()

    def _seen(self, query: Expr) -> Expr:
        """How many keys a query sees."""
        return minimum(maximum(self.heads.seen(query), 0), self.heads.keys)

    def _clear_padding(self) -> None:
        """Columns of values that only fill up vectors, and are read with them."""
        columns = self.heads.columns
        extra = int(self.values.shape[1]) - columns
        if extra:
            for j in range_(self.config.keys, "j"):
                for c in span(extra, self.vector):
                    self.values[j, columns + c] = 0.0

    def _begin(self) -> None:
        for i in range_(self.rows, "i"):
            self.tops[i] = -math.inf
            self.sums[i] = 0.0
            for c in span(int(self.mixed.shape[1]), self.vector):
                self.mixed[i, c] = 0.0

    def _block(self, start: Expr, keys: int | Expr) -> None:
        """All of the task for keys [start, start + keys)."""
        self._stage_keys(start, keys)
        for j in range_(keys, "j"):
            for c in span(self.heads.columns, self.vector):
                self.values[j, c] = self.heads.element(2, self.batch, start + j, c)
        if not is_const(wrap(keys % self.vector), 0):
            self._clear_scores(let("last", wrap(keys // self.vector * self.vector)))
        self._score(start, keys)
        for i in range_(self.rows, "i"):
            self._weigh(i, self._clear_unseen(i, start, keys))
        self._mix(keys)

    def _clear_scores(self, first: Expr) -> None:
        """A vector of each row, which is read whole though only some of it are scores."""
        for i in range_(self.rows, "i"):
            for (lane,) in lanes(spatial(self.vector)):
                self.scores[i, first + lane] = 0.0

    def _stage_keys(self, start: Expr, keys: int | Expr) -> None:
        """Keys with their elements across, so that products run along them; whole panels of them,
        the last key again in what only fills up.
        """
        panel = self.config.nv * self.vector
        for part in range_(ceildiv(keys, panel) * self.config.nv, "part"):
            for d in range_(self.heads.width, "d"):
                for (lane,) in lanes(spatial(self.vector)):
                    j = part * self.vector + lane
                    last = wrap(keys) - 1
                    key = self.heads.element(1, self.batch, start + minimum(j, last), d)
                    self.turned[d, j] = key
            if self.heads.has_row_mask:
                for (lane,) in lanes(spatial(self.vector)):
                    j = part * self.vector + lane
                    at = start + minimum(j, wrap(keys) - 1)
                    self.mask[j] = self.heads.mask_number(self.batch, at)

    def _tiles(self, cols: int | Expr, spec: Contraction) -> None:
        config = self.config
        count = -(-config.rows // config.mr) * config.mr
        for panel in range_(ceildiv(cols, config.nv * self.vector), "panel"):
            write_tiles(spec, config.tile, self.vector, (wrap(0), panel, wrap(0)), count)

    def _score(self, start: Expr, keys: int | Expr) -> None:
        width = self.config.nv * self.vector

        def query(group: Expr, row: Expr, ks: Sequence[Expr]) -> Expr:
            return load(self.stage.buffer, row, ks[0])

        def key(group: Expr, panel: Expr, ks: Sequence[Expr], column: Expr) -> Expr:
            return load(self.turned.buffer, ks[0], panel * width + column)

        def store(group: Expr, row: Expr, column: Expr, value: Expr) -> None:
            pair = (*self.batch, self.first + row, start + column)
            mask = (lambda: self.mask[column]) if self.heads.has_row_mask else None
            # what a query does not see is left out when its row is weighed
            self.scores[row, column] = self.heads.score(pair, value, mask, seen=True)

        extents = (self.heads.width,)
        self._tiles(keys, Contraction(1, self.rows, keys, extents, query, key, store))

    def _clear_unseen(self, i: Expr, start: Expr, keys: int | Expr) -> int | Expr:
        """How many keys of the block a query sees; the weights of the others are 0."""
        if not self.heads.is_causal:
            return keys
        left = self._seen(self.first + i) - start
        seen = let("seen", minimum(maximum(left, 0), keys))
        whole = let("whole", seen // self.vector)
        for part in range_(ceildiv(keys, self.vector) - whole, "part"):
            for (lane,) in lanes(spatial(self.vector)):
                j = (whole + part) * self.vector + lane
                with when(j >= seen):
                    self.scores[i, j] = 0.0
        return seen

    def _weigh(self, i: Expr, keys: int | Expr) -> None:
        """Scores of a query become weights; its maximum and sum are brought up to date."""
        scores = self.scores.buffer
        node = reduce_over("max", (keys,), lambda j: load(scores, i, j))
        top = let("top", reduce_in_lanes(node, 0, self.vector))
        if not self.is_single:
            top = let("highest", combine("max", self.tops[i], top))
        # where no key was seen yet, weights are 0 and not NaN
        shift = let("shift", select(eq(top, -math.inf), 0.0, top))
        for j in span(keys, self.vector):
            self.scores[i, j] = exp(self.scores[i, j] - shift)
        node = reduce_over("sum", (keys,), lambda j: load(scores, i, j))
        total = reduce_in_lanes(node, 0, self.vector)
        if self.is_single:
            self.sums[i] = total
            return
        shrink = let("shrunk", unary("exp", self.tops[i] - shift))
        self.sums[i] = self.sums[i] * shrink + total
        self.shrink[i] = shrink
        self.tops[i] = top

    def _mix(self, keys: int | Expr) -> None:
        width = self.config.nv * self.vector

        def weight(group: Expr, row: Expr, ks: Sequence[Expr]) -> Expr:
            return load(self.scores.buffer, row, ks[0])

        def value_at(group: Expr, panel: Expr, ks: Sequence[Expr], column: Expr) -> Expr:
            return load(self.values.buffer, ks[0], panel * width + column)

        def store(group: Expr, row: Expr, column: Expr, value: Expr) -> None:
            if self.is_single:
                self._store(row, column, value)
            else:
                at = self._existing(row)
                self.mixed[row, column] = self.mixed[at, column] * self.shrink[at] + value

        columns = self.heads.columns
        self._tiles(columns, Contraction(1, self.rows, columns, (keys,), weight, value_at, store))

    def _store(self, row: Expr, column: Expr, mixed: Expr) -> None:
        at = (*self.batch, self.first + row, column)
        total = self.sums[self._existing(row)]
        Tensor(self.heads.problem.output)[at] = self.heads.result(at, mixed, total)

    def _existing(self, row: Expr) -> Expr:
        """The row, or the last one: tiles also compute rows that are not there."""
        return row if isinstance(self.rows, int) else minimum(row, self.rows - 1)

    def _finish(self) -> None:
        for i in range_(self.rows, "i"):
            for c in span(self.heads.columns, self.vector):
                self._store(i, c, self.mixed[i, c])
