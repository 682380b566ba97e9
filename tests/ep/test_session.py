"""Sessions with a fake compiler: all of the plugin is real, only hidet_core's compiler is not."""

import gc
import threading

import numpy as np
import onnxruntime as ort
import pytest

import hidet_ep
from hidet_core import Unsupported
from tests.ep import models
from tests.ep.fake_compiler import FakeCompiler, installed

ASSIGNMENT = "session.record_ep_graph_assignment_info"


def session(model, compiler=None, options=None, threads=2):
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.add_session_config_entry(ASSIGNMENT, "1")
    with installed(compiler or FakeCompiler()):
        return ort.InferenceSession(
            model, settings, providers=[("HidetEP", options or {})], enable_fallback=0
        )


def claimed(sess):
    """Numbers of nodes HidetEP took, one for each of its partitions."""
    graphs = sess.get_provider_graph_assignment_info()
    return sorted(len(g.get_nodes()) for g in graphs if g.ep_name == "HidetEP")


def expected_chain(x, length):
    for i in range(length):
        x = np.maximum(x, 0) if i % 2 else -x
    return x


def test_symbolic_batch_runs_at_any_size(rng):
    sess = session(models.relu_chain(("N", 8), 5))
    assert claimed(sess) == [5]
    for batch in (1, 2, 7, 600, 0, 2):
        x = rng.normal(size=(batch, 8)).astype(np.float32)
        np.testing.assert_array_equal(sess.run(None, {"x": x})[0], expected_chain(x, 5))


def test_constants_are_copied_before_onnxruntime_frees_them(rng):
    model, constant = models.with_constant((64, 64))
    sess = session(model)
    gc.collect()
    x = rng.normal(size=(64, 64)).astype(np.float32)
    np.testing.assert_array_equal(sess.run(None, {"x": x})[0], np.maximum(x + constant, 0))


def test_unsupported_node_splits_the_graph(rng):
    sess = session(models.split_by_unsupported())
    assert claimed(sess) == [1, 2]
    x = rng.normal(size=(3, 8)).astype(np.float32)
    a = np.maximum(x, 0)
    np.testing.assert_allclose(sess.run(None, {"x": x})[0], -(a + 1 / (1 + np.exp(-a))), rtol=1e-6)


@pytest.mark.parametrize("flag", [True, False])
def test_bodies_of_control_flow(rng, flag):
    model, constant = models.with_if()
    compiler = FakeCompiler()
    sess = session(model, compiler)
    assert [len(graph.nodes) for graph in compiler.graphs] == [2, 2, 2]
    assert sum(claimed(sess)) == 5, "all but the If"
    x = rng.normal(size=(2, 3)).astype(np.float32)
    y = np.maximum(x, 0)
    want = -(y + y) if flag else -(y + constant)
    np.testing.assert_array_equal(sess.run(None, {"x": x, "flag": np.array(flag)})[0], want)


def test_the_graph_arrives_complete():
    compiler = FakeCompiler()
    nodes = [
        models.node("LeakyRelu", ["x"], ["a"], alpha=0.25),
        models.node("Clip", ["a", "", "top"], ["b"]),
        models.node("Transpose", ["b"], ["c"], perm=[1, 0]),
        models.node("Einsum", ["c"], ["y"], equation="ij->ji"),
    ]
    x, y = models.value("x", ("N", 8)), models.value("y", ("N", 8))
    top = np.array(3.5, np.float32)
    session(models.model(nodes, [x], [y], {"top": top}), compiler)
    graph = compiler.graphs[-1]
    by_op = {node.op_type: node for node in graph.nodes}
    assert by_op["LeakyRelu"].attributes == {"alpha": 0.25}
    assert by_op["Clip"].inputs == ("a", "", "top")
    assert by_op["Transpose"].attributes == {"perm": [1, 0]}
    assert by_op["Einsum"].attributes == {"equation": b"ij->ji"}
    assert graph.values["x"].shape == ("N", 8) and not graph.values["x"].is_constant
    assert graph.values["top"].is_constant and graph.values["top"].shape == ()
    assert (graph.inputs, graph.outputs, graph.opsets[""]) == (("x",), ("y",), models.OPSET)


def test_tensor_attribute():
    compiler = FakeCompiler()
    fill = models.numpy_helper.from_array(np.array([2.5], np.float32))
    nodes = [
        models.node("Shape", ["x"], ["s"]),
        models.node("ConstantOfShape", ["s"], ["y"], value=fill),
    ]
    model = models.model(nodes, [models.value("x", ("N", 8))], [models.value("y", ("N", 8))])
    session(model, compiler)
    node = next(n for n in compiler.graphs[-1].nodes if n.op_type == "ConstantOfShape")
    np.testing.assert_array_equal(node.attributes["value"], np.array([2.5], np.float32))


def test_wrong_input_size_is_named():
    nodes = [models.node("Add", ["x", "w"], ["y"])]
    shapes = [models.value(name, ("N", 8)) for name in "xw"]
    sess = session(models.model(nodes, shapes, [models.value("y", ("N", 8))]))
    x, w = np.zeros((2, 8), np.float32), np.zeros((3, 8), np.float32)
    with pytest.raises(Exception, match=r"input 'w' axis 0: expected 2, got 3"):
        sess.run(None, {"x": x, "w": w})
    np.testing.assert_array_equal(sess.run(None, {"x": x, "w": x})[0], x)  # still usable


def _raise(error):
    raise error


@pytest.mark.parametrize(
    "spoil",
    [
        lambda plan: plan[: len(plan) // 2],
        lambda plan: b"",
        lambda plan: plan[:40] + bytes([plan[40] ^ 1]) + plan[41:],
        lambda plan: "not bytes",
        lambda plan: _raise(Unsupported("Neg_t0", "on purpose")),
        lambda plan: _raise(Unsupported("nobody", "on purpose")),
        lambda plan: _raise(RuntimeError("on purpose")),
        lambda plan: _raise(MemoryError()),
    ],
    ids=["cut", "empty", "flipped", "type", "unsupported", "nameless", "exception", "memory"],
)
def test_failing_compiler_leaves_nodes_to_the_cpu_provider(rng, spoil):
    sess = session(models.relu_chain(), FakeCompiler(spoil))
    assert claimed(sess) == []
    x = rng.normal(size=(2, 8)).astype(np.float32)
    np.testing.assert_array_equal(sess.run(None, {"x": x})[0], expected_chain(x, 3))


def test_sessions_die_in_any_order(rng):
    model, x = models.relu_chain(), rng.normal(size=(2, 8)).astype(np.float32)
    want = expected_chain(x, 3)
    alive = [session(model) for _ in range(3)]
    for gone in (1, 0):
        del alive[gone]
        gc.collect()
        for sess in alive:
            np.testing.assert_array_equal(sess.run(None, {"x": x})[0], want)


def test_one_session_many_threads(rng):
    sess = session(models.relu_chain(("N", 64), 6))
    inputs = [rng.normal(size=(1 + i, 64)).astype(np.float32) for i in range(8)]
    wrong = []

    def work(x):
        want = expected_chain(x, 6)
        for _ in range(50):
            if not np.array_equal(sess.run(None, {"x": x})[0], want):
                wrong.append(x.shape)

    threads = [threading.Thread(target=work, args=(x,)) for x in inputs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_sessions_created_by_many_threads(rng):
    model, x = models.relu_chain(), rng.normal(size=(2, 8)).astype(np.float32)
    results = []

    def work():
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = 1
        sess = ort.InferenceSession(model, settings, providers=["HidetEP"], enable_fallback=0)
        results.append(sess.run(None, {"x": x})[0])

    with installed(FakeCompiler()):
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 8
    for result in results:
        np.testing.assert_array_equal(result, expected_chain(x, 3))


def test_add_provider_for_devices(rng):
    settings = ort.SessionOptions()
    settings.add_session_config_entry(ASSIGNMENT, "1")
    devices = [d for d in ort.get_ep_devices() if d.ep_name == hidet_ep.get_ep_name()]
    assert len(devices) == 1
    settings.add_provider_for_devices(devices, {"claim": "all"})
    with installed(FakeCompiler()):
        sess = ort.InferenceSession(models.relu_chain(), settings)
    assert claimed(sess) == [3]


def test_nodes_behind_another_provider_are_not_touched():
    compiler = FakeCompiler()
    with installed(compiler):
        sess = ort.InferenceSession(
            models.relu_chain(), providers=["CPUExecutionProvider", "HidetEP"], enable_fallback=0
        )
    assert not compiler.graphs, "all nodes belong to the CPU provider: nothing to ask"
    assert sess.run(None, {"x": np.ones((1, 8), np.float32)})
