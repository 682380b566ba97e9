"""Attention on tensor cores with sums in f32 (Dao, 2023: FlashAttention-2).

A block has 16 queries for each of its warps. Tiles of keys and values come through a ring of stages
by asynchronous copies; a warp's scores stay in its registers: as sums of one product they are
weighed, packed to 16 bits, and are there as the first factor of the next one. Of f32, where TF32 is
allowed, they are there in another order of keys, in which values are then read too.

    scores = q k^T (mma);  top' = max(top, maxima of the rows: lanes of four exchange them)
    weights = exp(scores - top');  sums, mixed *= exp(top - top');  mixed += weights v (mma)

Lane 4 * g + t has rows g and g + 8 of its warp, and of each 8 columns those at 2 t and 2 t + 1.
Rows in shared memory are 16 bytes longer than they need be, so that eight of them lie in different
banks. Keys that do not exist have the score -inf, and values 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from hidet_core.ir.dtypes import bf16, f16, f32, u32
from hidet_core.ir.expr import Expr, eq, is_const, load, minimum, select, unary, wrap
from hidet_core.ir.widen import narrowed
from hidet_core.lang import (
    Tensor,
    barrier,
    ceildiv,
    copy_async,
    copy_commit,
    copy_wait,
    let,
    load_matrix,
    mma,
    pack,
    range_,
    register,
    round_tf32,
    shared,
    shuffle_xor,
    unroll,
    when,
)

from ..attention import Heads, larger
from ..config import Config
from .split_keys import Row, SplitKeys
from .tile_copy import elements

CHUNK_BYTES = 16  # of an asynchronous copy, and of a row of a matrix
ROWS, COLS = 16, 8  # of a product of matrices, whose depth is two chunks
OTHER_REGISTERS = 64
KINDS = {f16: "f16", bf16: "bf16", f32: "tf32"}


@dataclass(frozen=True)
class MmaConfig(Config):
    """warps of a block; keys of a tile; stages of the ring."""

    warps: int
    keys: int
    stages: int

    @property
    def threads(self) -> int:
        return 32 * self.warps

    @property
    def block_q(self) -> int:
        return ROWS * self.warps


@dataclass(frozen=True)
class Extents:
    """Of a head, rounded up to whole matrices. chunk: elements of CHUNK_BYTES."""

    width: int
    columns: int
    chunk: int

    @staticmethod
    def of(heads: Heads) -> Extents:
        chunk = CHUNK_BYTES // heads.problem.inputs[0].dtype.bytes
        depth = 2 * chunk
        width, columns = (-(-side // depth) * depth for side in (heads.width, heads.columns))
        return Extents(width, columns, chunk)

    @property
    def depth(self) -> int:
        """Of a product of matrices."""
        return 2 * self.chunk

    def shared_bytes(self, config: MmaConfig) -> int:
        size = CHUNK_BYTES // self.chunk
        row = self.width + self.columns + 2 * self.chunk
        ring = config.stages * config.keys * (size * row + 4)
        return size * config.block_q * (self.width + self.chunk) + ring

    def registers(self, config: MmaConfig) -> int:
        """An estimate: sums and scores, what is held beside them, one step of operands."""
        sums = (self.columns + config.keys) // COLS * 4
        return sums + sums // 2 + OTHER_REGISTERS


class Block:
    """What one thread of a block does."""

    def __init__(self, heads: Heads, config: MmaConfig, thread: Expr) -> None:
        self.heads, self.config, self.thread = heads, config, thread
        self.extents = extents = Extents.of(heads)
        self.kind = KINDS[heads.problem.inputs[0].dtype]
        dtype, stages, keys = heads.problem.inputs[0].dtype, config.stages, config.keys
        self.word = f32 if dtype == f32 else u32
        chunk = extents.chunk
        self.q = shared(dtype, [config.block_q, extents.width + chunk], "q")
        self.k = shared(dtype, [stages, keys, extents.width + chunk], "k")
        self.v = shared(dtype, [stages, keys, extents.columns + chunk], "v")
        if heads.has_row_mask:
            self.mask = shared(f32, [stages, keys], "mask")
        self.scores = register(f32, [keys // COLS, 4], "scores")
        self.mixed = register(f32, [extents.columns // COLS, 4], "mixed")
        self.tops = register(f32, [2], "tops")
        self.sums = register(f32, [2], "sums")
        self.lane = let("lane", thread % 32)
        self.warp_row = let("warp_row", thread // 32 * ROWS)
        self.row, self.pair = let("row", self.lane // 4), let("pair", self.lane % 4 * 2)

    def read(self, batch: Sequence[Expr], first: Expr, split: SplitKeys, part: Expr) -> None:
        """All of a part of the keys for queries [first, first + block_q)."""
        self.batch, self.first = batch, first
        skipped = let("skipped", self.heads.unseen(first) // self.config.keys)
        before, tiles = split.share(let("all", self._tiles() - skipped), part)
        self.skipped, self.tiles = let("skipped", skipped + before), let("tiles", tiles)
        ahead = self.config.stages - 1
        self._copy(self.q, 0, first, ())
        for tile in range(max(ahead, 1)):
            with when(tile < self.tiles):
                self._copy_tile(wrap(tile))
            copy_commit()
        self._begin()
        for tile in range_(self.tiles, "tile"):
            if ahead:
                with when(tile + ahead < self.tiles):
                    self._copy_tile(tile + ahead)
                copy_commit()
            copy_wait(ahead)
            barrier()
            self._take(tile)
            barrier()
            if not ahead:
                with when(tile + 1 < self.tiles):
                    self._copy_tile(tile + 1)
                copy_commit()
        self._sum_up()

    @property
    def known(self) -> list[Row]:
        """The lane's rows."""
        return [
            Row(
                (self.tops, half),
                (self.sums, half),
                (
                    self.mixed,
                    [
                        (c, half * 2 + side)
                        for c in range(self.extents.columns // COLS)
                        for side in range(2)
                    ],
                ),
            )
            for half in range(2)
        ]

    def _tiles(self) -> Expr:
        """Tiles with keys that some query of the block sees."""
        keys = wrap(self.heads.keys)
        if self.heads.is_causal:
            last = self.heads.seen(self.first + self.config.block_q - 1)
            keys = minimum(keys, select(last > 0, last, 0))
        return ceildiv(keys, self.config.keys)

    def _begin(self) -> None:
        for half in range(2):
            self.tops[half], self.sums[half] = -math.inf, 0.0
        for c in unroll(self.extents.columns // COLS, "c"):
            for e in range(4):
                self.mixed[c, e] = 0.0

    # copies into shared memory

    def _copy_tile(self, tile: Expr) -> None:
        config = self.config
        start, stage = (tile + self.skipped) * config.keys, let("stage", tile % config.stages)
        self._copy(self.k, 1, start, (stage,))
        self._copy(self.v, 2, start, (stage,))
        if not self.heads.has_row_mask:
            return
        last = wrap(self.heads.keys) - 1
        for step in range(ceildiv(config.keys, config.threads)):
            own = step * config.threads + self.thread
            with when(own < config.keys):
                key = minimum(start + own, last)
                self.mask[stage, own] = self.heads.mask_number(self.batch, key)

    def _copy(self, tile: Tensor, place: int, first: Expr, stage: tuple[Expr, ...]) -> None:
        """Rows of q, k or v from `first` on; zeros where there is nothing."""
        source = self.heads.problem.inputs[place]
        limit, width = wrap(source.shape[-2]), int(source.shape[-1])  # type: ignore[arg-type]
        size_ = self.extents.chunk
        across = (self.extents.columns if place == 2 else self.extents.width) // size_
        rows, size = int(tile.shape[-2]), self.config.threads
        for step in range(ceildiv(rows * across, size)):
            number = step * size + self.thread
            row, chunk = let("line", number // across), let("chunk", number % across)
            inside = (first + row < limit) & (chunk * size_ < width)
            index = self.heads.index(place, self.batch, first + row, chunk * size_)
            to = tile[(*stage, row, chunk * size_)]
            if (step + 1) * size <= rows * across:
                copy_async(to, load(source, *index), size_, inside)
                continue
            with when(number < rows * across):
                copy_async(to, load(source, *index), size_, inside)

    # products

    def _take(self, tile: Expr) -> None:
        """A tile that has arrived."""
        stage = let("stage", tile % self.config.stages)
        self._score(stage)
        self._mask((tile + self.skipped) * self.config.keys, stage)
        self._weigh()
        self._mix(stage)

    def _score(self, stage: Expr) -> None:
        """scores = q k^T."""
        part_q, part_k = register(self.word, [4], "part_q"), register(self.word, [4], "part_k")
        for n in unroll(self.config.keys // COLS, "n"):
            for e in range(4):
                self.scores[n, e] = 0.0
        lane, chunk, depth = self.lane, self.extents.chunk, self.extents.depth
        for d in unroll(self.extents.width // depth, "d"):
            row = self.warp_row + lane % 16
            self._load(part_q, self.q[row, d * depth + lane // 16 * chunk])
            for n in unroll(self.config.keys // 16, "n"):
                key = n * 16 + lane // 16 * 8 + lane % 8
                column = d * depth + lane // 8 % 2 * chunk
                self._load(part_k, self.k[stage, key, column])
                mma(self.kind, self.scores[n * 2, 0], part_q[0], part_k[0])
                mma(self.kind, self.scores[n * 2 + 1, 0], part_q[0], part_k[2])

    def _load(self, words: Tensor, row: Expr) -> None:
        """Four matrices of elements that are there as they are multiplied."""
        load_matrix(words[0], row, 4)
        if self.word == f32:
            round_tf32(words[0], 4)

    def _mask(self, start: Expr, stage: Expr) -> None:
        """The final scores; those of keys that do not exist are -inf."""
        queries, keys = wrap(self.heads.queries), wrap(self.heads.keys)
        whole = is_const(wrap(self.heads.keys % self.config.keys), 0)
        for half in range(2):
            row = self.first + self.warp_row + self.row + half * 8
            query = let("query", minimum(row, queries - 1))
            for n, side in itertools.product(range(self.config.keys // COLS), range(2)):
                own = n * COLS + self.pair + side
                key = start + own
                at = key if whole else minimum(key, keys - 1)
                mask = (lambda own=own: self.mask[stage, own]) if self.heads.has_row_mask else None
                pair, e = (*self.batch, query, at), half * 2 + side
                score = self.heads.score(pair, self.scores[n, e], mask)
                self.scores[n, e] = score if whole else select(key < keys, score, -math.inf)

    def _weigh(self) -> None:
        """Scores become weights; what was summed so far is brought down."""
        count = self.config.keys // COLS
        for half in range(2):
            places = [(n, half * 2 + side) for n in range(count) for side in range(2)]
            top: Expr = self.tops[half]
            for place in places:
                top = let("top", larger(self.scores[place], top))
            for bits in (1, 2):
                top = let("top", larger(shuffle_xor(top, bits), top))
            # where no key was seen yet, weights are 0 and not NaN
            shift = let("shift", select(eq(top, -math.inf), 0.0, top))
            shrink = let("shrunk", unary("exp", self.tops[half] - shift))
            self.tops[half] = top
            total = let("total", self.sums[half] * shrink)
            for place in places:
                self.scores[place] = unary("exp", self.scores[place] - shift)
                total = let("total", total + self.scores[place])
            self.sums[half] = total
            for c in unroll(self.extents.columns // COLS, "c"):
                for side in range(2):
                    self.mixed[c, half * 2 + side] *= shrink

    def _mix(self, stage: Expr) -> None:
        """mixed += weights v."""
        if self.word == f32:
            return self._mix_tf32(stage)
        part_w, part_v = register(u32, [4], "part_w"), register(u32, [4], "part_v")
        lane = self.lane
        for n in unroll(self.config.keys // 16, "n"):
            for word, (side, half) in enumerate(itertools.product(range(2), range(2))):
                pack(self.kind, part_w[word], self.scores[n * 2 + side, half * 2])
            key = n * 16 + lane // 8 % 2 * 8 + lane % 8
            for c in unroll(self.extents.columns // 16, "c"):
                column = c * 16 + lane // 16 * 8
                load_matrix(part_v[0], self.v[stage, key, column], 4, transposed=True)
                mma(self.kind, self.mixed[c * 2, 0], part_w[0], part_v[0])
                mma(self.kind, self.mixed[c * 2 + 1, 0], part_w[0], part_v[2])
        return None

    def _mix_tf32(self, stage: Expr) -> None:
        """Of each 8 keys, the product's depths t and t + 4 are keys 2 t and 2 t + 1, whose weights
        the lane has.
        """
        part_w, part_v = register(f32, [4], "part_w"), register(f32, [2], "part_v")
        for n in unroll(self.config.keys // COLS, "n"):
            for word, e in enumerate((0, 2, 1, 3)):
                part_w[word] = self.scores[n, e]
            round_tf32(part_w[0], 4)
            for c in unroll(self.extents.columns // COLS, "c"):
                for side in range(2):
                    key = n * COLS + self.pair + side
                    part_v[side] = self.v[stage, key, c * COLS + self.row]
                round_tf32(part_v[0], 2)
                mma(self.kind, self.mixed[c, 0], part_w[0], part_v[0])

    def _sum_up(self) -> None:
        """The lanes' sums of a row meet."""
        copy_wait(0)
        for half in range(2):
            total: Expr = self.sums[half]
            for bits in (1, 2):
                total = let("total", total + shuffle_xor(total, bits))
            self.sums[half] = total

    def store(self) -> None:
        """The results."""
        queries = wrap(self.heads.queries)
        for half in range(2):
            query = let("query", self.first + self.warp_row + self.row + half * 8)
            with when(query < queries):
                for c in range(self.heads.columns // COLS):
                    self._store(query, (c, half * 2), self.sums[half])

    def _store(self, query: Expr, mixed: tuple[int, int], total: Expr) -> None:
        """Two results side by side."""
        out, (c, e) = self.heads.problem.output, mixed
        for side in elements(2):
            index = (*self.batch, query, c * COLS + self.pair + side)
            value = self.heads.result(index, self.mixed[c, e + side], total)
            Tensor(out)[index] = narrowed(value, out.dtype)
