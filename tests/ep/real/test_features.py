"""What ONNX Runtime offers around a session works with HidetEP in it, with the real compiler."""

import gc
import json
import threading
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import hidet_ep
from tests.ep import models
from tests.ep.models import AXIS, model, node, not_ours, value
from tests.ep.real.sessions import (
    HIDET,
    LEVELS,
    check,
    claimed,
    classifier,
    floats,
    open_session,
    reference,
    settings,
)

# ---- who runs what


LEVEL_NAMES = ["ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"]


@pytest.mark.parametrize("level", LEVEL_NAMES)
def test_optimisation_levels(rng, level):
    x = {"x": floats(rng, 3, 3, 8, 8)}
    checked = check(classifier(rng), x, None, settings(level=getattr(LEVELS, level)))
    assert (checked.claimed, checked.partitions) == (6, 1)


def test_several_partitions_with_borders(rng):
    """Two nodes are not ours; values cross the border in both directions, one around it."""
    nodes = [
        node("Exp", ["x"], ["a"]),
        not_ours("a", "b"),
        node("Add", ["a", "b"], ["c"]),
        not_ours("c", "d"),
        node("Mul", ["d", "a"], ["e"]),
        node("ReduceMax", ["e"], ["y"], axes=[1]),
    ]
    made = model(nodes, [value("x", ("N", 5)), AXIS], [value("y", ("N", 1))])
    checked = check(made, {"x": floats(rng, 4, 5), "axis": np.array(1)})
    assert (checked.claimed, checked.partitions, checked.nodes) == (4, 3, 6)
    check(made, {"x": floats(rng, 1, 5), "axis": np.array(0)})


def test_half_precision_model(rng):
    nodes = [node("MatMul", ["x", "w"], ["t"]), node("Relu", ["t"], ["y"])]
    x, y = (value(name, shape, TensorProto.FLOAT16) for name, shape in (("x", (2, 8)), ("y", None)))
    weights = numpy_helper.from_array(floats(rng, 8, 4).astype(np.float16), "w")
    graph = helper.make_graph(nodes, "half", [x], [y], [weights])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    feeds = {"x": floats(rng, 2, 8).astype(np.float16)}
    checked = check(made, feeds, tolerance=1e-3)
    assert checked.claimed == checked.nodes == 2


def test_integer_model(rng):
    """Quantised nodes are taken with what is around them."""
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("QuantizeLinear", ["r", "scale", "zero"], ["q"]),
        node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        node("Exp", ["d"], ["y"]),
    ]
    constants = {"scale": np.float32(0.1), "zero": np.uint8(128)}
    made = model(nodes, [value("x", ("N", 6))], [value("y", ("N", 6))], constants)
    checked = check(made, {"x": floats(rng, 3, 6)}, None, settings(level=LEVELS.ORT_DISABLE_ALL))
    assert (checked.claimed, checked.partitions) == (4, 1)


def test_devices_instead_of_names(rng):
    options = settings()
    devices = [d for d in ort.get_ep_devices() if d.ep_name == hidet_ep.get_ep_name()]
    options.add_provider_for_devices(devices, {"claim": "all"})
    made, x = classifier(rng), {"x": floats(rng, 2, 3, 8, 8)}
    session = ort.InferenceSession(made, options)
    assert claimed(session) == 6
    np.testing.assert_allclose(session.run(None, x)[0], reference(made, x)[0], rtol=1e-4)


def test_set_providers_later(rng):
    made, x = classifier(rng), {"x": floats(rng, 2, 3, 8, 8)}
    session = ort.InferenceSession(made, settings(), providers=["CPUExecutionProvider"])
    session.set_providers([HIDET])
    assert claimed(session) == 6
    np.testing.assert_allclose(session.run(None, x)[0], reference(made, x)[0], rtol=1e-4)


# ---- how it is run


def test_some_outputs(rng):
    nodes = [node("Exp", ["x"], ["a"]), node("Relu", ["a"], ["b"]), node("Neg", ["b"], ["c"])]
    outputs = [value(name, ("N", 4)) for name in "abc"]
    made = model(nodes, [value("x", ("N", 4))], outputs)
    x = {"x": floats(rng, 2, 4)}
    session = check(made, x).session
    every = dict(zip("abc", session.run(None, x), strict=True))
    for names in (["b"], ["c", "a"], ["a", "b", "c"]):
        for name, array in zip(names, session.run(names, x), strict=True):
            np.testing.assert_array_equal(array, every[name])


def test_io_binding(rng):
    """Outputs are written where the user wants them, also where they are made anew."""
    made, x = classifier(rng), floats(rng, 4, 3, 8, 8)
    session = open_session(made)
    (want,) = session.run(None, {"x": x})
    binding = session.io_binding()
    binding.bind_cpu_input("x", x)
    mine = np.full((4, 10), np.nan, np.float32)
    binding.bind_output("y", "cpu", 0, np.float32, mine.shape, mine.ctypes.data)
    session.run_with_iobinding(binding)
    np.testing.assert_array_equal(mine, want)
    binding.bind_output("y")
    session.run_with_iobinding(binding)
    np.testing.assert_array_equal(binding.copy_outputs_to_cpu()[0], want)


def test_ort_values(rng):
    made, x = classifier(rng), floats(rng, 4, 3, 8, 8)
    session = open_session(made)
    (out,) = session.run_with_ort_values(None, {"x": ort.OrtValue.ortvalue_from_numpy(x)})
    np.testing.assert_array_equal(out.numpy(), session.run(None, {"x": x})[0])


def test_profiling(rng, tmp_path):
    options = settings()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    session = open_session(classifier(rng), None, options)
    session.run(None, {"x": floats(rng, 2, 3, 8, 8)})
    events = json.loads(Path(session.end_profiling()).read_text())
    providers = {e["args"].get("provider") for e in events if e["cat"] == "Node" and "args" in e}
    assert HIDET in providers


def test_parallel_execution_mode(rng):
    options = settings()
    options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    options.inter_op_num_threads = 2
    check(classifier(rng), {"x": floats(rng, 2, 3, 8, 8)}, None, options)


@pytest.mark.parametrize("arena", [True, False])
def test_memory_options(rng, arena):
    options = settings()
    options.enable_cpu_mem_arena = options.enable_mem_pattern = arena
    check(classifier(rng), {"x": floats(rng, 2, 3, 8, 8)}, None, options)


def test_async_run(rng):
    """run_async calls back from one of ONNX Runtime's threads."""
    made, x = classifier(rng), {"x": floats(rng, 2, 3, 8, 8)}
    session, done, results = open_session(made), threading.Event(), []

    def finished(outputs, data, error):
        results.append((outputs, error))
        done.set()

    session.run_async(None, x, finished, None)
    assert done.wait(30)
    (outputs, error) = results[0]
    assert not error
    np.testing.assert_array_equal(outputs[0], session.run(None, x)[0])


def test_terminated_run(rng):
    """A run that is told to stop says so; the next one is right."""
    session, x = open_session(classifier(rng)), {"x": floats(rng, 2, 3, 8, 8)}
    stop = ort.RunOptions()
    stop.terminate = True
    with pytest.raises(Exception, match=r"(?i)terminat|exiting"):
        session.run(None, x, stop)
    assert session.run(None, x)[0].shape == (2, 10)


# ---- lifetimes


def test_sessions_die_in_any_order_and_results_outlive_them(rng):
    made, x = classifier(rng), {"x": floats(rng, 2, 3, 8, 8)}
    want = reference(made, x)[0]
    sessions = [open_session(made) for _ in range(3)]
    results = [session.run(None, x)[0] for session in sessions]
    for gone in (1, 0, 0):
        del sessions[gone]
        gc.collect()
        for session in sessions:
            np.testing.assert_allclose(session.run(None, x)[0], want, rtol=1e-4)
    for result in results:
        np.testing.assert_allclose(result, want, rtol=1e-4)


def test_two_models_at_once(rng):
    first, second = classifier(rng), models.relu_chain()
    a, b = open_session(first), open_session(second)
    x, z = {"x": floats(rng, 2, 3, 8, 8)}, {"x": floats(rng, 2, 8)}
    for _ in range(3):
        np.testing.assert_allclose(a.run(None, x)[0], reference(first, x)[0], rtol=1e-4)
        np.testing.assert_array_equal(b.run(None, z)[0], reference(second, z)[0])
