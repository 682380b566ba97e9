"""Fusion groups: one anchor, prologues of its inputs, an epilogue chain of its output.

takes: a graph after all passes      gives: groups in an order in which they can run
An anchor absorbs the injective consumers of its output as long as each element of the value has one
place in theirs (Hidet, ASPLOS'23, section 5.2); other inputs of an absorbed operator must exist
before the anchor, so the order of anchors is an order of groups. Injective operators that are left
join their only consumer as a prologue, or become anchors themselves. Concats have no group: their
inputs are stored into parts of their output (see storage.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from hidet_core.compute.dims import same_shape

from .graph import Graph, Operator, Value, consumers, producers

# templates that read their first input once per output element (or stage it): prologues are cheap
_TAKES_PROLOGUE = ("softmax", "log_softmax", "layer_norm", "rms_norm", "reduce", "matmul", "lrn")
_LAYOUT = ("transpose", "reshape", "broadcast_to", "slice")


@dataclass(frozen=True, eq=False)
class FusionGroup:
    """epilogue: (operator, index of its input that receives the running value), in order."""

    anchor: Operator
    epilogue: tuple[tuple[Operator, int], ...]
    prologue: tuple[Operator, ...]

    @property
    def operators(self) -> tuple[Operator, ...]:
        return (*self.prologue, self.anchor, *(operator for operator, _ in self.epilogue))


def form_groups(graph: Graph) -> tuple[FusionGroup, ...]:
    """All operators but concats, each in one group (layout prologues may be in several)."""
    return _Former(graph).run()


class _Former:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.place = {operator: k for k, operator in enumerate(graph.operators)}
        self.producer = producers(graph)
        self.consumers = consumers(graph)
        self.outputs = set(graph.outputs)
        self.epilogues: dict[Operator, list[tuple[Operator, int]]] = {}
        self.prologues: dict[Operator, list[Operator]] = {}
        self.owner: dict[Operator, Operator] = {}  # operator -> anchor of its group

    def run(self) -> tuple[FusionGroup, ...]:
        for operator in self.graph.operators:
            if operator.op.kind != "injective":
                self.owner[operator] = operator
                self.epilogues[operator] = self._absorb(operator)
        for operator in reversed(self.graph.operators):
            if operator in self.owner or operator.op.name == "concat":
                continue
            anchor = self._home(operator)
            self.owner[operator] = anchor or operator
            if anchor is not None:
                self.prologues.setdefault(anchor, []).append(operator)
        groups = []
        for operator in self.graph.operators:
            if self.owner.get(operator) is operator:
                prologue = tuple(reversed(self.prologues.get(operator, ())))
                epilogue = tuple(self.epilogues.get(operator, ()))
                groups.append(FusionGroup(operator, epilogue, prologue))
        return tuple(groups)

    def _absorb(self, anchor: Operator) -> list[tuple[Operator, int]]:
        chain: list[tuple[Operator, int]] = []
        value = anchor.output if len(anchor.outputs) == 1 else None
        while value is not None:
            found = next(
                (c for c in self.consumers.get(value, ()) if self._fits(c, value, anchor)), None
            )
            if found is None:
                break
            self.owner[found] = anchor
            chain.append((found, found.inputs.index(value)))
            value = found.output
        return chain

    def _fits(self, consumer: Operator, value: Value, anchor: Operator) -> bool:
        """Whether a consumer can be the next of the chain that `value` ends."""
        op = consumer.op
        if op.kind != "injective" or op.name == "concat" or consumer in self.owner:
            return False
        if len(consumer.outputs) != 1 or consumer.inputs.count(value) != 1:
            return False
        one_place = op.elementwise and same_shape(value.type.shape, consumer.output.type.shape)
        if not one_place and op.scatter is None:
            return False
        return all(self._before(other, anchor) for other in consumer.inputs if other is not value)

    def _before(self, value: Value, anchor: Operator) -> bool:
        producer = self.producer.get(value)
        return producer is None or self.place[producer] < self.place[anchor]

    def _home(self, operator: Operator) -> Operator | None:
        """The anchor whose group takes an injective operator as a prologue."""
        if len(operator.outputs) != 1 or operator.output in self.outputs:
            return None
        users = self.consumers.get(operator.output, [])
        homes = {self.owner.get(user) for user in users}
        if len(homes) != 1 or None in homes or not users:
            return None
        (anchor,) = homes
        assert anchor is not None
        return anchor if all(self._accepts(anchor, user, operator) for user in users) else None

    def _accepts(self, anchor: Operator, user: Operator, operator: Operator) -> bool:
        if user is not anchor or anchor.op.kind == "injective":
            return True
        name = anchor.op.name
        if operator.output is not anchor.inputs[0] or anchor.inputs.count(operator.output) > 1:
            return False
        if name == "conv2d":
            w = anchor.inputs[1].type.shape
            return (
                w[0] == w[1] == 1 and not any(anchor.attrs["pads"]) and anchor.attrs["groups"] == 1
            )
        return name in _TAKES_PROLOGUE
