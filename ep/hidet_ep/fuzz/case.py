"""A case: a model, its inputs in every run, the options to run it with; all of it from a seed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, ValueInfoProto, helper

from .draft import Dim, Draft, Unfit, Val, tensor
from .draws import Draws
from .dtypes import KINDS
from .ops import Row, rows
from .ops.table import MICROSOFT, SPECIAL

IR_VERSION = 10
OPSETS = ((7, 0.4), (9, 0.4), (10, 0.3), (11, 0.8), (12, 0.6), (13, 2), (14, 1), (15, 0.8),
          (16, 0.8), (17, 2), (18, 1.5), (19, 1), (20, 1), (21, 1), (22, 1), (23, 1.5),
          (24, 0.4))  # fmt: skip
DTYPES = (("f32", 6), ("f16", 2), ("bf16", 1), ("f64", 1))
SYMBOLS = {"n": ((3, 1, 7), (2, 5, 1), (4, 9, 6)), "m": ((5, 2, 4), (8, 3, 11), (1, 6, 2))}
STEPS = ((1, 4), (2, 2), (3, 2), (5, 2), (8, 2), (12, 1))
TRIES = 12  # per node that is wanted
Feeds = dict[str, np.ndarray]


@dataclass(frozen=True)
class Settings:
    """What a run of the fuzzer asks for. limit: elements of a value. ops: only these, if any."""

    target: str = "cpu"
    ops: tuple[str, ...] = ()
    limit: int = 2048


@dataclass(frozen=True)
class Case:
    """dtype: the float type it is about. options: of the provider; level: of ONNX Runtime's own
    rewrites (0: none)."""

    seed: int
    model: onnx.ModelProto
    feeds: tuple[Feeds, ...]
    dtype: str = "f32"
    options: dict[str, str] = field(default_factory=dict)
    level: int = 0
    threads: int = 1

    @property
    def op_types(self) -> list[str]:
        return sorted({node.op_type for node in self.model.graph.node})


def generate(seed: int, settings: Settings) -> Case:
    """The case of a seed: the same on every machine."""
    draws = Draws(seed)
    draft = _started(draws, settings)
    _grow(draft, settings.ops, draws.weighted(STEPS))
    model = _model(draft)
    names = [info.name for info in model.graph.input]
    feeds = tuple({name: draft.feeds[name][run] for name in names} for run in range(draft.runs))
    return Case(seed, model, feeds, draft.dtype, *_how(draws, settings))


def _started(draws: Draws, settings: Settings) -> Draft:
    dtype = draws.weighted(DTYPES)
    opset = draws.weighted(OPSETS) if dtype != "bf16" else draws.pick((22, 23))
    symbols = draws.weighted([((), 5), (("n",), 3), (("n", "m"), 1)])
    runs = 3 if symbols else 1
    sizes = {name: Dim(draws.pick(SYMBOLS[name])) for name in symbols}
    zeros = draws.chance(0.06)
    if zeros and symbols and draws.chance(0.5):
        sizes["n"] = Dim((*sizes["n"][:2], 0))
    limit = settings.limit if not draws.chance(0.1) else 8 * settings.limit
    specials = draws.chance(0.06)
    return Draft(draws, opset, dtype, runs, sizes, limit, zeros, specials)


def _how(draws: Draws, settings: Settings) -> tuple[dict[str, str], int, int]:
    options = {"target": settings.target, "claim": "all"}
    if settings.target == "cuda":
        options["allow_tf32"] = "0"
    if draws.chance(0.5):
        options["winograd"] = "off"
    return options, draws.weighted([(0, 3), (99, 1)]), draws.weighted([(1, 4), (2, 1)])


def _grow(draft: Draft, ops: tuple[str, ...], steps: int) -> None:
    """Adds nodes of drawn rows; a row that finds nothing to work on costs a try."""
    table: list[tuple[Row, float]] = [(r, r.weight) for r in rows(draft.opset, draft.dtype, ops)]
    if not table:
        table = [(r, r.weight) for r in rows(draft.opset, draft.dtype)]
    if draft.specials:
        table = [(row, weight) for row, weight in table if row.op in SPECIAL] or table
    made = 0
    for _ in range(TRIES * steps):
        row = draft.draws.weighted(table)
        with suppress(Unfit):
            made += row.make(draft, row.op, row.at(draft.opset))
        if made == steps:
            break
    if not draft.nodes:
        draft.node("Identity", [draft.input("f32", draft.dims(2, 3))], "f32", draft.dims(2, 3))


def _model(draft: Draft) -> onnx.ModelProto:
    """What nothing reads is an output, and some of the rest."""
    read = {name for node in draft.nodes for name in node.input}
    made = {name for node in draft.nodes for name in node.output if name}
    values = [value for value in draft.values if value.name in made]
    chosen = [v for v in values if v.name not in read or draft.draws.chance(0.1)]
    outputs = [_readable(draft, value) for value in chosen]
    outputs += [v for v in draft.inputs if v.name in read and draft.draws.chance(0.01)]
    read = {name for node in draft.nodes for name in node.input}
    graph = helper.make_graph(
        draft.nodes,
        "fuzz",
        [_info(draft, value) for value in draft.inputs if value.name in read],
        [_output(value) for value in outputs],
        [tensor(value) for value in draft.constants if value.name in read],
        value_info=[_typed(v) for v in values if v not in outputs],
    )
    opsets = [helper.make_opsetid("", draft.opset), helper.make_opsetid(MICROSOFT, 1)]
    used = {node.domain for node in draft.nodes}
    kept = [opset for opset in opsets if not opset.domain or opset.domain in used]
    return helper.make_model(graph, opset_imports=kept, ir_version=IR_VERSION)


def _readable(draft: Draft, value: Val) -> Val:
    """bf16, which NumPy has not, as float32."""
    if value.dtype != "bf16":
        return value
    bounds = (value.low, value.high)
    return draft.node("Cast", [value], "f32", value.shape, bounds, to=TensorProto.FLOAT)


def _info(draft: Draft, value: Val) -> ValueInfoProto:
    names = {dim: name for name, dim in draft.symbols.items()}
    shape = [names[dim] if dim.fixed is None else dim.fixed for dim in value.shape]
    return helper.make_tensor_value_info(value.name, KINDS[value.dtype].onnx, shape)


def _output(value: Val) -> ValueInfoProto:
    """Static shapes are declared, others of the rank only."""
    shape = [dim.fixed for dim in value.shape]
    return helper.make_tensor_value_info(value.name, KINDS[value.dtype].onnx, shape)


def _typed(value: Val) -> ValueInfoProto:
    """With the rank alone, as ONNX Runtime infers the rest."""
    return helper.make_tensor_value_info(value.name, KINDS[value.dtype].onnx, [None] * value.rank)
