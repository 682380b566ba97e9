"""Fusion groups: one anchor, prologues of its inputs, an epilogue of its output.

takes: a graph after all passes      gives: groups in an order in which they can run
An anchor absorbs the injective consumers of its output, and theirs, as long as each element of the
value has one place in their outputs (Hidet, ASPLOS'23, section 5.2). Other inputs of an absorbed
operator must exist before the anchor, so the order of anchors is an order of groups. Injective
operators that are left join their consumers' group as a prologue, or become anchors themselves.
Concats have no group: their inputs are stored into parts of their output (see storage.py).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from hidet_core.compute.dims import same_shape

from .graph import Graph, Operator, Value, consumers, producers

# templates that read their first input once per output element (or stage it): prologues are cheap
_TAKES_PROLOGUE = ("softmax", "log_softmax", "layer_norm", "rms_norm", "reduce", "matmul", "lrn",
                   "scan")  # fmt: skip
# attention reads keys, values and masks once for each block of queries
_CHEAP = ("transpose", "reshape", "slice", "broadcast_to", "identity", "cast", "add", "sub", "mul",
          "where", "not", "and", "or", "le", "lt", "ge", "gt", "eq", "range", "rotary")  # fmt: skip
# a kernel's expressions are walked recursively, so Python's stack limits how deep they may become
MAX_FUSED = 24
# elements that a fused operator reads for one element of the anchor, along one of its inputs
MAX_READS = 16
# dear to compute again: not inside of kernels that read an input for several results
_DEAR = ("resample", "grid_sample", "deform_columns")


@dataclass(frozen=True, eq=False)
class FusionGroup:
    """Both prologue and epilogue are in the order of the graph."""

    anchor: Operator
    epilogue: tuple[Operator, ...]
    prologue: tuple[Operator, ...]

    @property
    def operators(self) -> tuple[Operator, ...]:
        return (*self.prologue, self.anchor, *self.epilogue)


def form_groups(graph: Graph) -> tuple[FusionGroup, ...]:
    """All operators but concats, each in one group."""
    return _Former(graph).run()


class _Former:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.place = {operator: k for k, operator in enumerate(graph.operators)}
        self.producer = producers(graph)
        self.consumers = consumers(graph)
        self.outputs = set(graph.outputs)
        self.epilogues: dict[Operator, list[Operator]] = {}
        self.prologues: dict[Operator, list[Operator]] = {}
        self.owner: dict[Operator, Operator] = {}  # operator -> anchor of its group
        self.reads: dict[Operator, int] = {}  # of prologues: how often an element is computed

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

    def _absorb(self, anchor: Operator) -> list[Operator]:
        """The epilogue of an anchor: consumers of its output and of each other, in order."""
        if len(anchor.outputs) != 1 or anchor.op.rereads:
            return []
        # of each value inside, a number that tells where its elements are: values with the same
        # one have them at the same index, operators that move elements give a new one
        frames = {anchor.output: 0}
        found: list[Operator] = []
        waiting = self._places(anchor.output)
        while waiting and len(found) < MAX_FUSED:
            operator = self.graph.operators[heapq.heappop(waiting)]
            if operator in self.owner or not self._fits(operator, frames, anchor):
                continue
            self.owner[operator] = anchor
            found.append(operator)
            (main, *_) = (value for value in operator.inputs if value in frames)
            frames[operator.output] = frames[main] if operator.op.elementwise else len(found)
            for place in self._places(operator.output):
                heapq.heappush(waiting, place)
        return found

    def _places(self, value: Value) -> list[int]:
        """Where in the graph a value is read, ascending."""
        return [self.place[operator] for operator in self.consumers.get(value, ())]

    def _fits(self, operator: Operator, frames: dict[Value, int], anchor: Operator) -> bool:
        """Whether a consumer of values inside (the keys of frames) can join the epilogue."""
        op = operator.op
        if op.kind != "injective" or op.name == "concat" or len(operator.outputs) != 1:
            return False
        mains = [value for value in operator.inputs if value in frames]
        if op.elementwise:
            shape = operator.output.type.shape
            if len({frames[main] for main in mains}) != 1:
                return False
            if not all(same_shape(main.type.shape, shape) for main in mains):
                return False
        elif op.scatter is None or len(operator.inputs) != 1:
            return False
        return self._exist(set(operator.inputs) - set(mains), anchor)

    def _exist(self, values: Iterable[Value], anchor: Operator) -> bool:
        """Whether all values are there before the anchor runs."""
        made = [self.producer[value] for value in values if value in self.producer]
        return all(self.place[operator] < self.place[anchor] for operator in made)

    def _home(self, operator: Operator) -> Operator | None:
        """The anchor whose group takes an injective operator as a prologue."""
        if len(operator.outputs) != 1 or operator.output in self.outputs:
            return None
        users = self.consumers.get(operator.output, [])
        homes = {self.owner.get(user) for user in users}
        if len(homes) != 1 or None in homes:
            return None
        (anchor,) = homes
        assert anchor is not None, "None was excluded"
        if len(self.prologues.get(anchor, ())) >= MAX_FUSED:
            return None
        if anchor.op.kind != "injective" and operator.op.name in _DEAR:
            return None
        reads = max(self.reads.get(user, 1) * _taps(user, operator.output) for user in users)
        loads = reads * max((_taps(operator, value) for value in operator.inputs), default=1)
        if loads > MAX_READS or not all(self._accepts(anchor, user, operator) for user in users):
            return None
        self.reads[operator] = reads
        return anchor

    def _accepts(self, anchor: Operator, user: Operator, operator: Operator) -> bool:
        """Whether a group takes an operator as a prologue of one of its operators."""
        if anchor.op.name == "attention":
            return operator.op.name in _CHEAP
        if user is not anchor or anchor.op.kind == "injective":
            return True
        if operator.output is not anchor.inputs[0] or anchor.inputs.count(operator.output) > 1:
            return False
        return (
            _reads_once(anchor) if anchor.op.name == "conv2d" else anchor.op.name in _TAKES_PROLOGUE
        )


def _taps(operator: Operator, value: Value) -> int:
    """How many elements of an input an element of an injective operator's output is made of."""
    if operator.inputs[0] is not value:
        return 1
    match operator.op.name:
        case "resample":
            return len(operator.inputs) // 2
        case "grid_sample":
            per_axis = {"nearest": 1, "linear": 2, "cubic": 4}[operator.attrs["mode"]]
            return int(per_axis ** (value.type.rank - 2))
        case "deform_columns":
            return 4
    return 1


def _reads_once(conv: Operator) -> bool:
    """Whether a convolution reads each element of its input at one tap only."""
    rows, columns, *_ = conv.inputs[1].type.shape
    return rows == columns == 1 and not any(conv.attrs["pads"]) and conv.attrs["groups"] == 1
