"""Layer and RMS normalisation written out in primitives become one operator.

    n = sub(x, mean(x)); div(n, sqrt(add(mean(mul(n, n)), eps)))   ->  layer_norm(x)
    div(x, sqrt(add(mean(mul(x, x)), eps)))                        ->  rms_norm(x)
    mul(layer_norm(x), scale), add(layer_norm(x, scale), bias)     ->  layer_norm(x, scale, bias)

Means are over the last axis. Also with mul by recip(sqrt), by 1 / sqrt or by pow(.., -0.5) instead
of div. Takes canonical operators: the square is a product, constants stand on the right.
"""

from __future__ import annotations

from hidet_core.compute.dims import same_dim
from hidet_core.graph.builder import GraphBuilder, join_names, rewrite_graph
from hidet_core.graph.graph import Graph, Operator, Value, use_counts
from hidet_core.ir.halves import single

NORMS = ("layer_norm", "rms_norm")


def fuse_norm(graph: Graph) -> Graph:
    uses = use_counts(graph)

    def rule(builder: GraphBuilder, operator: Operator) -> Value | None:
        if operator.op.name not in ("div", "mul", "add"):
            return None
        matcher = _Matcher(builder, uses, operator)
        result = matcher.with_vector() or matcher.normalised()
        if result is not None:
            uses[result] = uses.get(operator.output, 0)
        return result

    return rewrite_graph(graph, rule)


class _Matcher:
    """One operator being looked at."""

    def __init__(self, builder: GraphBuilder, uses: dict[Value, int], operator: Operator) -> None:
        self.builder, self.uses, self.operator = builder, uses, operator

    def _made(self, value: Value, *names: str) -> Operator | None:
        made = self.builder.producer.get(value)
        return made if made is not None and made.op.name in names else None

    def _number(self, value: Value) -> float | None:
        array = self.builder.constants.get(value)
        return (
            float(single(array).reshape(-1)[0]) if array is not None and array.size == 1 else None
        )

    def with_vector(self) -> Value | None:
        """A norm without scale times a vector, or one without bias plus a vector."""
        name = self.operator.op.name
        for value, vector in (self.operator.inputs, self.operator.inputs[::-1]):
            norm = self._made(value, *NORMS)
            wanted = {("layer_norm", 1): "mul", ("layer_norm", 2): "add", ("rms_norm", 1): "mul"}
            if norm is None or wanted.get((norm.op.name, len(norm.inputs))) != name:
                continue
            is_vector = vector.type.rank == 1 and vector.type.dtype == value.type.dtype
            fits = is_vector and same_dim(vector.type.shape[0], value.type.shape[-1])
            if fits and self.uses.get(value, 1) == 1:
                label = join_names(norm.name, self.operator.name)
                inputs = (*norm.inputs, vector)
                return self.builder.emit(norm.op.name, *inputs, name=label, **norm.attrs)
        return None

    def normalised(self) -> Value | None:
        """A value divided by the root of the mean of its squares."""
        for value, spread in self._quotients():
            eps = self._eps_of(spread, value)
            if eps is None:
                continue
            centred = self._centred(value)
            name, x = ("rms_norm", value) if centred is None else ("layer_norm", centred)
            if x.type.dtype.is_float:
                return self.builder.emit(name, x, eps=eps)
        return None

    def _quotients(self) -> list[tuple[Value, Value]]:
        """(n, s) where the operator is n / sqrt(s)."""
        name, (a, b) = self.operator.op.name, self.operator.inputs
        if name == "div":
            root = self._made(b, "sqrt")
            return [(a, root.inputs[0])] if root is not None else []
        pairs = ((a, b), (b, a)) if name == "mul" else ()
        found = ((n, self._under_root(factor)) for n, factor in pairs)
        return [(n, spread) for n, spread in found if spread is not None]

    def _under_root(self, factor: Value) -> Value | None:
        """s of 1 / sqrt(s)."""
        made = self._made(factor, "recip", "div", "pow")
        if made is None:
            return None
        if made.op.name == "pow":
            return made.inputs[0] if self._number(made.inputs[1]) == -0.5 else None
        if made.op.name == "div" and self._number(made.inputs[0]) != 1:
            return None
        root = self._made(made.inputs[-1], "sqrt")
        return root.inputs[0] if root is not None else None

    def _eps_of(self, spread: Value, value: Value) -> float | None:
        """eps of mean(value * value) + eps."""
        shifted = self._made(spread, "add")
        if shifted is None:
            return None
        eps, mean = self._number(shifted.inputs[1]), self._mean_of(shifted.inputs[0])
        square = None if mean is None else self._made(mean, "mul")
        is_square = square is not None and square.inputs == (value, value)
        return eps if is_square else None

    def _mean_of(self, value: Value) -> Value | None:
        """x of its mean over the last axis, which stays as a dim of 1."""
        made = self._made(value, "reduce")
        if made is None or made.attrs["op"] != "mean" or not made.attrs["keepdims"]:
            return None
        return made.inputs[0] if made.attrs["axes"] == (made.inputs[0].type.rank - 1,) else None

    def _centred(self, value: Value) -> Value | None:
        """x of x - mean(x)."""
        made = self._made(value, "sub")
        if made is None or self._mean_of(made.inputs[1]) is not made.inputs[0]:
            return None
        return made.inputs[0]
