"""Softmax between two products, in all the spellings of exporters, becomes attention.

    matmul(softmax(matmul(q, transpose(k))), v)       ->  attention(q, k, v)

and between those, in any order and number:
    mul by a number, also of q and k themselves       ->  scale
    add(scores, mask), where(mask, scores, number)    ->  the operator's mask
    a mask that hides later keys (see triangle.py)    ->  causal, also as a part of
    add(scores, where(and(a, b), 0, -inf))            ->  the operator's bool mask
    where(isnan(p), 0, p) after the softmax           ->  zero_nan
    reshapes of batch dims, casts of halves to f32    ->  around the operator

The scores are then never written to memory, and transposes and slices of q, k, v become index maps
of the kernel. Only where nothing else reads what lies between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from hidet_core.base.errors import Unsupported
from hidet_core.compute.dims import Shape, same_dim, same_shape
from hidet_core.compute.reshaping import segments
from hidet_core.graph.builder import GraphBuilder, join_names, rewrite_graph
from hidet_core.graph.frames import in_frame
from hidet_core.graph.graph import Graph, Operator, Value, use_counts
from hidet_core.graph.triangle import NEVER, Triangles
from hidet_core.ir.dtypes import bf16, f16, f32
from hidet_core.ir.halves import single

MAX_WIDTH = 256  # of a head: what templates keep on chip


def fuse_attention(graph: Graph) -> Graph:
    uses = use_counts(graph)

    def rule(builder: GraphBuilder, operator: Operator) -> Value | None:
        if operator.op.name != "matmul":
            return None
        return _Matcher(builder, uses, operator).attention()

    return rewrite_graph(graph, rule)


@dataclass(frozen=True, eq=False)
class _Scores:
    """What was found between the products. scores = scale * q k^T, then the mask: `added` all
    summed, or `kept` with fill elsewhere. batch: dims of the scores where a mask is.
    """

    scale: float = 1.0
    added: tuple[tuple[Value, float], ...] = ()  # with the factor that comes after
    kept: Value | None = None
    drops: bool = False  # `kept` says which are not kept
    fill: float = 0.0
    batch: Shape | None = None
    names: tuple[str, ...] = field(default=())


class _Matcher:
    """Walks from the second product up to the first one."""

    def __init__(self, builder: GraphBuilder, uses: dict[Value, int], last: Operator) -> None:
        self.builder, self.uses, self.last = builder, uses, last
        self.triangles = Triangles(builder.producer, builder.constants)

    def attention(self) -> Value | None:
        """The attention that replaces the second product, None where this is not one."""
        weights, v = self.last.inputs
        softmax, zero_nan = self._softmax(weights)
        if softmax is None or v.type.dtype not in (f32, f16, bf16):
            return None
        top = softmax.inputs[0]
        found = self._scores(top)
        if found is None:
            return None
        scores, product_ = found
        q, k, scale = self._operands(product_)
        fits = same_dim(top.type.shape[-1], v.type.shape[-2]) and q.type.dtype == v.type.dtype
        if not fits or not _is_narrow(q) or not _is_narrow(v):
            return None
        batch = top.type.shape[:-2] if scores.batch is None else scores.batch
        scores = replace(scores, scale=scores.scale * scale)
        return self._emit(scores, (q, k, v), (*batch, *top.type.shape[-2:]), zero_nan)

    def _made(self, value: Value, reads: int = 1) -> Operator | None:
        """What makes a value that nobody else reads."""
        made = self.builder.producer.get(value)
        return made if made is not None and self.uses.get(value, 1) <= reads else None

    def _softmax(self, weights: Value) -> tuple[Operator | None, bool]:
        """The softmax behind the probabilities, and whether NaN becomes 0."""
        zero_nan = False
        while (made := self._made(weights)) is not None:
            guarded = self._guarded(made)
            if guarded is not None:
                softmax = self._made(guarded, reads=2)
                is_last = softmax is not None and softmax.op.name == "softmax"
                return (softmax, True) if is_last else (None, False)
            if made.op.name == "softmax":
                return made, zero_nan
            if not self._is_free(made):
                break
            weights = made.inputs[0]
        return None, False

    def _guarded(self, made: Operator) -> Value | None:
        """p of where(isnan(p), 0, p)."""
        if made.op.name != "where":
            return None
        cond, zero, p = made.inputs
        test = self._made(cond)
        is_guard = test is not None and test.op.name == "isnan" and test.inputs[0] is p
        return p if is_guard and self._number(zero) == 0 else None

    def _is_free(self, made: Operator) -> bool:
        """A reshape of batch dims, or a cast between floats."""
        source, result = made.inputs[0].type, made.output.type
        if made.op.name == "reshape":
            return source.rank >= 2 and same_shape(source.shape[-2:], result.shape[-2:])
        return made.op.name == "cast" and source.dtype.is_float and result.dtype.is_float

    def _number(self, value: Value) -> float | None:
        array = self.builder.constants.get(value)
        return (
            float(single(array).reshape(-1)[0]) if array is not None and array.size == 1 else None
        )

    def _scores(self, value: Value) -> tuple[_Scores, Operator] | None:
        """From the softmax's input up to the first product."""
        scores = _Scores()
        while (made := self._made(value)) is not None:
            if made.op.name == "matmul":
                return scores, made
            step = self._step(made, scores)
            if step is None:
                return None
            scores, value = step
            scores = replace(scores, names=(made.name, *scores.names))
        return None

    def _step(self, made: Operator, scores: _Scores) -> tuple[_Scores, Value] | None:
        """One operator upwards: what is known then, and the value to go on with."""
        if made.inputs and self._is_free(made):
            return scores, made.inputs[0]
        if (scaled := self._scaled(made)) is not None:
            return replace(scores, scale=scores.scale * scaled[1]), scaled[0]
        if made.op.name == "add":
            return self._added(made, scores)
        if made.op.name == "where":
            return self._kept(made, scores)
        return None

    def _scaled(self, made: Operator) -> tuple[Value, float] | None:
        """(x, c) of x * c or x / c."""
        if made.op.name not in ("mul", "div"):
            return None
        x, other = made.inputs
        factor = self._number(other)
        if factor is None and made.op.name == "mul":
            x, factor = other, self._number(x)
        if factor is None or factor == 0 or not math.isfinite(factor):
            return None
        return x, factor if made.op.name == "mul" else 1 / factor

    def _added(self, made: Operator, scores: _Scores) -> tuple[_Scores, Value] | None:
        for x, mask in (made.inputs, made.inputs[::-1]):
            if not self._leads_to_product(x) or not _covers(x, made):
                continue
            batch = scores.batch or x.type.shape[:-2]
            framed = in_frame(self.builder, mask, x.type.shape[:-2], batch)
            if framed is not None:
                added = (*scores.added, (framed, scores.scale))
                return replace(scores, added=added, batch=batch), x
        return None

    def _kept(self, made: Operator, scores: _Scores) -> tuple[_Scores, Value] | None:
        cond, a, b = made.inputs
        if scores.kept is not None:
            return None
        for x, other, drops in ((a, b, False), (b, a, True)):
            fill = self._number(other)
            if fill is None or not self._leads_to_product(x) or not _covers(x, made):
                continue
            batch = scores.batch or x.type.shape[:-2]
            framed = in_frame(self.builder, cond, x.type.shape[:-2], batch)
            if framed is not None:
                known = replace(scores, kept=framed, drops=drops, fill=fill * scores.scale)
                return replace(known, batch=batch), x
        return None

    def _leads_to_product(self, value: Value) -> bool:
        """Whether a value is scores, not a mask."""
        while (made := self._made(value)) is not None:
            if made.op.name == "matmul":
                return True
            if made.op.name not in ("mul", "div", "add", "where", "reshape", "cast"):
                return False
            parts = made.inputs[1:] if made.op.name == "where" else made.inputs
            inner = [part for part in parts if part not in self.builder.constants]
            if len(inner) > 1:
                return any(map(self._leads_to_product, inner))
            if not inner:
                return False
            (value,) = inner
        return False

    def _operands(self, product_: Operator) -> tuple[Value, Value, float]:
        """q, k as [..., rows, width], and the factor by which they were scaled."""
        scale, sides = 1.0, []
        for value in product_.inputs:
            while (made := self.builder.producer.get(value)) is not None:
                step = (made.inputs[0], 1.0) if _widens(made) else self._scaled(made)
                if step is None or not same_shape(step[0].type.shape, value.type.shape):
                    break
                value, scale = step[0], scale * step[1]
            sides.append(value)
        q, turned = sides
        rank = turned.type.rank
        k = self.builder.transpose(turned, (*range(rank - 2), rank - 1, rank - 2))
        return q, k, scale

    def _emit(
        self, scores: _Scores, operands: tuple[Value, Value, Value], shape: tuple, zero_nan: bool
    ) -> Value | None:
        batch, sides = shape[:-2], shape[-2:]
        inputs = [self._with_batch(value, batch) for value in operands]
        mask = self._mask(scores, shape)
        if mask is None or any(value is None for value in inputs):
            return None
        causal, fill, extra = mask
        attrs = {"scale": scores.scale, "causal": causal, "fill": fill, "zero_nan": zero_nan}
        name = join_names(*scores.names, self.last.name)
        try:
            result = self.builder.emit("attention", *inputs, *extra, name=name, **attrs)
        except Unsupported:  # sizes that only look like those of an attention
            return None
        whole = (*batch, sides[0], operands[2].type.shape[-1])
        if not same_shape(result.type.shape, whole):
            return None
        return self.builder.reshape(result, self.last.output.type.shape)

    def _with_batch(self, value: Value, batch: tuple) -> Value | None:
        """A value whose batch dims broadcast to those of the operator, or are them flattened."""
        own = value.type.shape
        if len(own) == len(batch) + 2 or len(own) == 2:
            return value
        target = (*batch, *own[-2:])
        return None if segments(own, target) is None else self.builder.reshape(value, target)

    def _mask(self, scores: _Scores, shape: tuple) -> tuple[bool, float, list[Value]] | None:
        """(causal, fill, the mask if there is one); None where no mask of ours says the same."""
        sides, emit = shape[-2:], self.builder.emit
        causal, added, conditions = False, [], list[Value]()
        alone = len(scores.added) + (scores.kept is not None) == 1
        for mask, factor in scores.added:
            if factor > 0 and self.triangles.added(mask, sides) and self._hides(mask, alone):
                causal = True
                continue
            cond = self._condition(mask) if factor > 0 and scores.kept is None else None
            if cond is not None:
                conditions.append(cond)
                continue
            number = self.builder.scalar(factor, mask)
            added.append(mask if factor == 1 else emit("mul", mask, number))
        kept, fill = scores.kept, scores.fill
        if kept is not None:
            says = self.triangles.drops if scores.drops else self.triangles.keeps
            if says(kept, sides) and (fill == -math.inf or (alone and fill <= NEVER)):
                causal, kept = True, None
            elif scores.drops:
                kept = emit("not", kept)
        if conditions:
            sees_causally, kept = self._seen(conditions, sides)
            causal, fill = causal or sees_causally, -math.inf
        if not added:
            return causal, fill, [] if kept is None else [kept]
        total = added[0]
        for mask in added[1:]:
            total = emit("add", total, mask)
        if kept is not None:
            if fill != -math.inf:
                return None
            total = emit("where", kept, total, self.builder.scalar(fill, total))
        return causal, 0.0, [total]

    def _condition(self, mask: Value) -> Value | None:
        """c of a mask where(c, 0, -inf)."""
        made = self.builder.producer.get(mask)
        if made is None or made.op.name != "where":
            return None
        cond, a, b = made.inputs
        return cond if self._number(a) == 0 and self._number(b) == -math.inf else None

    def _seen(self, conditions: list[Value], sides: tuple) -> tuple[bool, Value | None]:
        """Conditions that all have to hold, as (causal, the others as one)."""
        causal, kept, waiting = False, None, list(conditions)
        while waiting:
            value = waiting.pop()
            made = self.builder.producer.get(value)
            if made is not None and made.op.name == "and":
                waiting += made.inputs
            elif self.triangles.keeps(value, sides):
                causal = True
            elif (array := self.builder.constants.get(value)) is None or not array.all():
                kept = value if kept is None else self.builder.emit("and", kept, value)
        return causal, kept

    def _hides(self, mask: Value, alone: bool) -> bool:
        """Whether what is not seen is so low that nothing else can make up for it."""
        array = self.builder.constants.get(mask)
        array = None if array is None else single(array)
        return alone or (array is not None and bool(((array == 0) | (array == -math.inf)).all()))


def _covers(x: Value, made: Operator) -> bool:
    """Whether a mask has not more dims than the scores x."""
    return same_shape(x.type.shape, made.output.type.shape)


def _widens(made: Operator) -> bool:
    """A cast to f32 of what the kernel would take as f32 anyway."""
    if made.op.name != "cast":
        return False
    return made.inputs[0].type.dtype in (f16, bf16) and made.output.type.dtype == f32


def _is_narrow(value: Value) -> bool:
    width = value.type.shape[-1]
    return isinstance(width, int) and 0 < width <= MAX_WIDTH
