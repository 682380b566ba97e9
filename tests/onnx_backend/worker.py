"""A process that runs some of ONNX's backend node tests: `python -m tests.onnx_backend.worker`.

arguments: which of how many parts, how many cases of that part to skip, the target, and of how many
slices of the cases to run one. Standard output: lines of JSON, {"start": name} before each case and
an outcome after it, so that whoever reads them knows which case took the process down. Exit status
AGAIN: a kernel failed on the GPU, which only another process can use now.

`python -m tests.onnx_backend.worker --op cpu Resize Conv`, for people, runs the cases of models
that are one node of these operators; it prints those that are wrong or not taken, and counts.

A case is run as it is and "frozen": with its small integer inputs as constants, as exporters write
them, because axes, pads and shapes that arrive at run time are refused by design.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections import Counter
from dataclasses import asdict, dataclass

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

import hidet_ep  # noqa: F401  (registers the provider)
from hidet_ep.bench.providers import Provider, assignment
from hidet_ep.handover import collect_reports
from tests.onnx_backend.cases import load_cases

CPU = Provider("CPUExecutionProvider")
HIDET = {
    "cpu": Provider("HidetEP", (("claim", "all"), ("target", "cpu"))),
    # expected values are of float32
    "cuda": Provider("HidetEP", (("claim", "all"), ("target", "cuda"), ("allow_tf32", "0"))),
}
AGAIN = 75
GPU_IS_LOST = "CUDA_ERROR"
SEVERAL = "several"  # in place of the operator: the body of an ONNX function, mostly
FROZEN_ELEMENTS = 64
FLOATS = (
    "Resize",
    "Upsample",
    "Range",
    "Pad",
    "OneHot",
)  # scales, bounds and fills, as exporters write them
SHAPES = ("Range", "ConstantOfShape")  # of which the first input is a small constant as well
FATAL_ONLY = 4
# two units in the last place: expected values are rounded after each node, fused kernels once
HALF_RTOL = 2.0**-9


@dataclass(frozen=True)
class Outcome:
    """cpu, hidet: "" where the provider passes, else what is wrong. op: of a model of one node.

    claimed: nodes that HidetEP took, of `nodes`; failed: groups it wanted and could not compile.
    """

    case: str
    op: str
    cpu: str
    hidet: str = ""
    claimed: int = 0
    nodes: int = 0
    failed: tuple[str, ...] = ()


def run_case(case, hidet):
    """The outcomes on that provider of a case as it is, and frozen if there is what to freeze."""
    nodes = case.model.graph.node
    op = nodes[0].op_type if len(nodes) == 1 else SEVERAL
    variants = [(case.name, case.model, case.data_sets)]
    frozen = _freeze(case.model, case.data_sets)
    if frozen:
        variants.append((f"{case.name}:frozen", *frozen))
    return [_run_variant(name, op, model, data, case, hidet) for name, model, data in variants]


def _freeze(model, data_sets):
    """Small integer inputs as constants, None where there is none; only one data set fits them."""
    if not data_sets:
        return None
    inputs, expected = [_array(value) for value in data_sets[0][0]], data_sets[0][1]
    names, op = [info.name for info in model.graph.input], model.graph.node[0].op_type
    chosen = {
        name: array
        for place, (name, array) in enumerate(zip(names, inputs, strict=False))
        if (place or op in SHAPES) and isinstance(array, np.ndarray)
        if array.dtype in (np.int32, np.int64) or op in FLOATS
        if array.ndim <= 1 and array.size <= FROZEN_ELEMENTS
    }
    if not chosen:
        return None
    frozen = onnx.ModelProto()
    frozen.CopyFrom(model)
    kept = [info for info in model.graph.input if info.name not in chosen]
    del frozen.graph.input[:]
    frozen.graph.input.extend(kept)
    frozen.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in chosen.items())
    feeds = [a for n, a in zip(names, inputs, strict=False) if n not in chosen]
    return frozen, [(feeds, expected)]


def _run_variant(name, op, model, data_sets, case, provider):
    model = model.SerializeToString()
    cpu, _ = _run_on(CPU, model, data_sets, case)
    if cpu:
        return Outcome(name, op, cpu)
    with collect_reports() as reports:
        hidet, claims = _run_on(provider, model, data_sets, case)
    failed = tuple(text for report in reports for text in report.result.warnings)
    return Outcome(name, op, cpu, hidet, *claims, failed)


def _run_on(provider, model, data_sets, case):
    """What is wrong on that provider, "" if nothing; (nodes it took, nodes in all)."""
    claims = (0, 0)
    try:
        session = _open(model, provider)
        counted = assignment(session, provider)
        claims = counted.claimed, counted.nodes
        for inputs, expected in data_sets:
            names = [item.name for item in session.get_inputs()]
            arrays = (_array(value) for value in inputs)  # scalars are NumPy's own in some cases
            outputs = session.run(None, dict(zip(names, arrays, strict=False)))
            _compare(outputs, expected, case)
    except Exception as error:  # whatever a provider raises is an outcome
        return f"{type(error).__name__}: {' '.join(str(error).split())[:400]}", claims
    return "", claims


def _array(value):
    return np.asarray(value) if isinstance(value, np.generic) else value


def _open(model, provider):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = FATAL_ONLY
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    wanted = [(provider.name, dict(provider.options))]
    return ort.InferenceSession(model, options, providers=wanted, enable_fallback=0)


def _compare(outputs, expected, case):
    assert len(outputs) == len(expected), "number of outputs"
    for mine, want in zip(outputs, expected, strict=True):
        if np.asarray(want).dtype.kind in "fiub":
            assert (mine.dtype, mine.shape) == (want.dtype, want.shape), (
                f"{mine.dtype}{mine.shape}, expected {want.dtype}{want.shape}"
            )
            rtol = max(case.rtol, HALF_RTOL) if want.dtype == np.float16 else case.rtol
            np.testing.assert_allclose(mine, want, rtol=rtol, atol=case.atol)
        else:
            assert str(mine) == str(want)


def in_slice(name, slices):
    """Whether a case is in the one of so many slices that is run: its name alone decides."""
    return zlib.crc32(name.encode()) % slices == 0


def main(part, parts, skip, target="cpu", slices="1"):
    cases = [case for case in load_cases() if in_slice(case.name, int(slices))]
    for case in cases[int(part) :: int(parts)][int(skip) :]:
        print(json.dumps({"start": case.name}), flush=True)
        outcomes = run_case(case, HIDET[target])
        for outcome in outcomes:
            print(json.dumps(asdict(outcome)), flush=True)
        if any(GPU_IS_LOST in outcome.hidet for outcome in outcomes):
            sys.exit(AGAIN)


def main_for_operators(target, op_types):
    tested, taken = Counter(), Counter()
    for case in load_cases():
        nodes = case.model.graph.node
        if len(nodes) != 1 or nodes[0].op_type not in op_types:
            continue
        for outcome in run_case(case, HIDET[target]):
            if outcome.cpu:
                continue
            tested[outcome.op] += 1
            taken[outcome.op] += outcome.claimed > 0
            if outcome.hidet or outcome.failed or not outcome.claimed:
                print(outcome.case, "wrong:" if outcome.hidet else "not taken", outcome.hidet)
    for op_type in op_types:
        print(f"{op_type}: {taken[op_type]} taken of {tested[op_type]}")


if __name__ == "__main__":
    if sys.argv[1] == "--op":
        main_for_operators(sys.argv[2], sys.argv[3:])
    else:
        main(*sys.argv[1:])
