"""A failing case made small: each step keeps what still fails in the same way.

In order: one run; one output; values in the middle made inputs (with the numbers that the CPU
provider computes there), so that what is before them goes; sizes; attributes; symbolic dims; plain
numbers. The steps are tried until none helps, or `budget` cases were judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .case import Case, Feeds
from .dtypes import BY_ONNX
from .judge import Verdict
from .twin import plain_session, value_types

BUDGET = 150


@dataclass
class _Shrinker:
    """best: the smallest failing case so far."""

    best: Case
    kind: str
    judged: Callable[[Case], Verdict]
    left: int
    verdict: Verdict

    def run(self) -> None:
        while self.left > 0:
            before = self.best
            for step in STEPS:
                self._exhaust(step)
            if self.best is before:
                return

    def _exhaust(self, step: Callable[[Case], Iterator[Case]]) -> None:
        """Takes the first candidate that fails, and asks the step again."""
        progress = True
        while progress and self.left > 0:
            progress = any(self._accept(candidate) for candidate in step(self.best))

    def _accept(self, candidate: Case) -> bool:
        if self.left <= 0:
            return False
        self.left -= 1
        verdict = self.judged(candidate)
        if verdict.kind != self.kind:
            return False
        self.best, self.verdict = candidate, verdict
        return True


def shrink(
    case: Case, verdict: Verdict, judged: Callable[[Case], Verdict], budget: int = BUDGET
) -> tuple[Case, Verdict]:
    """The smallest case found that fails as `verdict` says, and its own verdict."""
    shrinker = _Shrinker(case, verdict.kind, judged, budget, verdict)
    shrinker.run()
    return shrinker.best, shrinker.verdict


def one_run(case: Case) -> Iterator[Case]:
    if len(case.feeds) > 1:
        yield from (replace(case, feeds=(feeds,)) for feeds in case.feeds)


def plain_options(case: Case) -> Iterator[Case]:
    if case.level:
        yield replace(case, level=0)
    if case.threads > 1:
        yield replace(case, threads=1)


def one_output(case: Case) -> Iterator[Case]:
    """Each value that a node makes as the only output, early ones first."""
    types = value_types(case.model)
    made = [name for node in case.model.graph.node for name in node.output if name]
    outputs = [info.name for info in case.model.graph.output]
    if len(outputs) > 1:
        yield from (_with_outputs(case, [name], types) for name in outputs)
    for name in made:
        if [name] != outputs and types.get(name, "bf16") != "bf16":
            yield _with_outputs(case, [name], types)


def _with_outputs(case: Case, names: list[str], types: dict[str, str]) -> Case:
    """Only what these need."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    graph, needed, kept = model.graph, set(names), []
    for node in reversed(case.model.graph.node):
        if set(node.output) & needed:
            kept.append(node)
            needed |= set(node.input)
    known = {info.name: info for info in (*graph.output, *graph.value_info)}
    infos = {name: known[name] for name in names}
    rest = [info for name, info in known.items() if name not in names and name in needed]
    del graph.node[:], graph.output[:], graph.value_info[:]
    graph.node.extend(reversed(kept))
    graph.output.extend(infos[name] for name in names)
    graph.value_info.extend(rest)
    return _without_unused(replace(case, model=model), needed)


def _without_unused(case: Case, needed: set[str]) -> Case:
    graph = case.model.graph
    for entries in (graph.input, graph.initializer):
        kept = [entry for entry in entries if entry.name in needed]
        del entries[:]
        entries.extend(kept)
    feeds = tuple({k: a for k, a in each.items() if k in needed} for each in case.feeds)
    return replace(case, feeds=feeds)


def cut_inputs(case: Case) -> Iterator[Case]:
    """Each value between nodes as an input, late ones first; only with one run."""
    graph = case.model.graph
    outputs = {info.name for info in graph.output}
    types = value_types(case.model)
    names = [n for node in graph.node for n in node.output if n and n not in outputs]
    names = [name for name in names if types.get(name, "bf16") != "bf16"]
    values = _evaluated(case, names) if len(case.feeds) == 1 else {}
    for name in reversed(names):
        if name in values:
            yield _cut(case, name, values[name])


def _evaluated(case: Case, names: list[str]) -> Feeds:
    """What the CPU provider computes there; nothing where it cannot."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    known = {info.name: info for info in model.graph.value_info}
    names = [name for name in names if name in known]
    model.graph.output.extend(known[name] for name in names)
    try:
        return dict(zip(names, plain_session(model).run(names, case.feeds[0]), strict=True))
    except Exception:  # as where it has no kernels for a type
        return {}


def _cut(case: Case, name: str, array: np.ndarray) -> Case:
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    graph = model.graph
    for node in graph.node:
        node.output[:] = ["" if out == name else out for out in node.output]
    kept = [node for node in graph.node if any(node.output)]
    del graph.node[:]
    graph.node.extend(kept)
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    graph.input.append(helper.make_tensor_value_info(name, kind, array.shape))
    kept = [info for info in graph.value_info if info.name != name]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    cut = replace(case, model=model, feeds=({**case.feeds[0], name: array},))
    return _with_outputs(cut, [info.name for info in graph.output], value_types(model))


def bypass(case: Case) -> Iterator[Case]:
    """A node left out, its reader reading its input; what does not fit is invalid by itself."""
    outputs = {info.name for info in case.model.graph.output}
    types = value_types(case.model)
    for at, node in enumerate(case.model.graph.node):
        if len(node.output) != 1 or node.output[0] in outputs or not node.input:
            continue
        if types.get(node.input[0]) != types.get(node.output[0]):
            continue
        model = onnx.ModelProto()
        model.CopyFrom(case.model)
        del model.graph.node[at]
        for reader in model.graph.node:
            renamed = [node.input[0] if n == node.output[0] else n for n in reader.input]
            reader.input[:] = renamed
        yield _with_outputs(replace(case, model=model), sorted(outputs), types)


def static_dims(case: Case) -> Iterator[Case]:
    """Symbolic dims as the sizes of the only run."""
    infos = case.model.graph.input
    if len(case.feeds) > 1 or not any(d.dim_param for i in infos for d in _dims(i)):
        return
    yield _resized(case, case.feeds[0], {})


def _dims(info: onnx.ValueInfoProto) -> list[onnx.TensorShapeProto.Dimension]:
    return list(info.type.tensor_type.shape.dim)


def smaller_sizes(case: Case) -> Iterator[Case]:
    """One size made smaller wherever it is: dims of inputs and constants, numbers of shapes."""
    if len(case.feeds) > 1:
        return
    arrays = [numpy_helper.to_array(t) for t in case.model.graph.initializer]
    arrays += list(case.feeds[0].values())
    sizes = sorted({n for array in arrays for n in array.shape if n > 1}, reverse=True)
    for size in sizes:
        for smaller in dict.fromkeys((1, 2, size // 2, size - 1)):
            if 0 < smaller < size:
                changed = {size: smaller}
                yield _resized(case, case.feeds[0], changed)


def _resized(case: Case, feeds: Feeds, sizes: dict[int, int]) -> Case:
    """Arrays cut to the new sizes; output shapes are no longer declared."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    graph = model.graph
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.ndim == 1 and array.dtype == np.int64:
            array = np.array([sizes.get(int(n), int(n)) for n in array], np.int64)
        tensor.CopyFrom(_tensor(_smaller(array, sizes), tensor))
    feeds = {name: _smaller(array, sizes) for name, array in feeds.items()}
    for info in graph.input:
        del info.type.tensor_type.shape.dim[:]
        for size in feeds[info.name].shape:
            info.type.tensor_type.shape.dim.add().dim_value = size
    for info in graph.output:
        for dim in _dims(info):
            dim.Clear()
    return replace(case, model=model, feeds=(feeds,))


def _smaller(array: np.ndarray, sizes: dict[int, int]) -> np.ndarray:
    cut = tuple(slice(sizes.get(size, size)) for size in array.shape)
    return np.ascontiguousarray(array[cut]).reshape([sizes.get(n, n) for n in array.shape])


def _tensor(array: np.ndarray, like: TensorProto) -> TensorProto:
    return helper.make_tensor(
        like.name, like.data_type, array.shape, np.ascontiguousarray(array).tobytes(), raw=True
    )


def fewer_attributes(case: Case) -> Iterator[Case]:
    for at, node in enumerate(case.model.graph.node):
        for place in range(len(node.attribute)):
            model = onnx.ModelProto()
            model.CopyFrom(case.model)
            del model.graph.node[at].attribute[place]
            yield replace(case, model=model)


def plain_numbers(case: Case) -> Iterator[Case]:
    """Inputs rounded to few digits, where that changes them."""
    for name in case.feeds[0]:
        if BY_ONNX.get(helper.np_dtype_to_tensor_dtype(case.feeds[0][name].dtype), "b") != "f32":
            continue
        feeds = tuple({**each, name: np.round(each[name], 1)} for each in case.feeds)
        same = all(
            np.array_equal(a[name], b[name], equal_nan=True)
            for a, b in zip(feeds, case.feeds, strict=True)
        )
        if not same:
            yield replace(case, feeds=feeds)


STEPS = (one_run, plain_options, one_output, cut_inputs, bypass, static_dims, smaller_sizes,
         fewer_attributes, plain_numbers)  # fmt: skip
