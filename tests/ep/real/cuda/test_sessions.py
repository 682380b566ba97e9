"""Whole sessions: right results, graphs, bound tensors not copied, mixed partitions, threads."""

import gc

import numpy as np
import onnxruntime as ort
import pytest

from tests.emulated import Counted, count
from tests.ep import models
from tests.ep.real.cuda.gpu import classifier, floats, mixed, on_device, on_gpu, open_gpu, reference
from tests.ep.real.sessions import LEVELS, settings
from tests.ep.real.test_concurrency import in_threads, network
from tests.ep.real.test_model_forms import loop_model

SEEDS = (1, 7)
VERSION = tuple(map(int, ort.__version__.split(".")[:2]))
binds_by_device = pytest.mark.skipif(
    VERSION < (1, 30), reason="before 1.30 bind_output('cuda') looks for a device of no vendor"
)
NO_COPIES = {"copies_to_device": 0, "copies_to_host": 0, "copies_on_device": 0}


@pytest.mark.parametrize("graphs", ["on", "off"])
def test_a_classifier_with_any_batch(rng, graphs):
    made = classifier(rng)
    checked = on_gpu(made, {"x": floats(rng, 2, 3, 8, 8)}, enable_cuda_graph=graphs)
    assert checked.claimed == checked.nodes
    for batch in (2, 5, 1, 5):
        x = {"x": floats(rng, batch, 3, 8, 8)}
        want = reference(made, x)[0]
        np.testing.assert_allclose(checked.session.run(None, x)[0], want, atol=1e-5)


def test_graphs_are_replayed(rng):
    made, x = classifier(rng), {"x": floats(rng, 2, 3, 8, 8)}
    for graphs in ("on", "off"):
        session = open_gpu(made, enable_cuda_graph=graphs)
        session.run(None, x)
        with Counted() as counted:
            for _ in range(3):
                session.run(None, x)
        assert counted["graph_launches"] == (3 if graphs == "on" else 0)
        assert counted["launches"] >= 9


def test_a_run_copies_its_inputs_and_outputs_once(rng):
    made = classifier(rng)
    session = open_gpu(made)
    x = {"x": floats(rng, 2, 3, 8, 8)}
    session.run(None, x)
    with Counted() as counted:
        session.run(None, x)
    assert counted.copies == {**NO_COPIES, "copies_to_device": 1, "copies_to_host": 1}
    assert counted["allocations"] == 0, "a run like the one before takes no new memory"


def test_tensors_bound_on_the_device_are_not_copied(rng):
    made = classifier(rng)
    session = open_gpu(made)
    x, other = (floats(rng, 2, 3, 8, 8) for _ in range(2))
    source = on_device(x)
    target = ort.OrtValue.ortvalue_from_shape_and_type((2, 10), np.float32, "cuda", 0)
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", source)
    binding.bind_ortvalue_output("y", target)
    session.run_with_iobinding(binding)
    np.testing.assert_allclose(target.numpy(), reference(made, {"x": x})[0], atol=1e-5)
    with Counted() as counted:
        session.run_with_iobinding(binding)
        session.run_with_iobinding(binding)
    assert counted.copies == NO_COPIES
    source.update_inplace(other)
    session.run_with_iobinding(binding)
    np.testing.assert_allclose(target.numpy(), reference(made, {"x": other})[0], atol=1e-5)


@binds_by_device
def test_outputs_bound_by_device_come_back_there(rng):
    made = classifier(rng)
    session, x = open_gpu(made), floats(rng, 2, 3, 8, 8)
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", on_device(x))
    binding.bind_output("y", "cuda", 0)
    with Counted() as counted:
        session.run_with_iobinding(binding)
    (output,) = binding.get_outputs()
    assert output.device_name() == "cuda"
    assert counted.copies == NO_COPIES
    np.testing.assert_allclose(output.numpy(), reference(made, {"x": x})[0], atol=1e-5)


def test_values_pass_from_session_to_session_on_the_device(rng):
    first, second = models.relu_chain(), models.relu_chain(length=2)
    sessions = [open_gpu(first), open_gpu(second)]
    x = floats(rng, 3, 8)
    (between,) = sessions[0].run_with_ort_values(None, {"x": on_device(x)})
    (last,) = sessions[1].run_with_ort_values(None, {"x": between})
    want = reference(second, {"x": reference(first, {"x": x})[0]})[0]
    assert np.array_equal(last.numpy(), want)


@binds_by_device
def test_an_output_outlives_its_session(rng):
    made, x = models.relu_chain(), floats(rng, 3, 8)
    session = open_gpu(made)
    binding = session.io_binding()
    binding.bind_cpu_input("x", x)
    binding.bind_output("y", "cuda", 0)
    session.run_with_iobinding(binding)
    (output,) = binding.get_outputs()
    del session, binding
    gc.collect()
    assert np.array_equal(output.numpy(), reference(made, {"x": x})[0])


def test_partitions_with_nodes_of_the_cpu_provider_between(rng):
    checked = on_gpu(mixed(), {"x": floats(rng, 4, 5), "axis": np.array(1)})
    assert (checked.claimed, checked.partitions, checked.nodes) == (4, 3, 6)
    x = {"x": floats(rng, 1, 5), "axis": np.array(0)}
    want = reference(mixed(), x)[0]
    np.testing.assert_allclose(checked.session.run(None, x)[0], want, rtol=1e-5)


@pytest.mark.parametrize("flag", [True, False])
def test_bodies_of_an_if(rng, flag):
    made, _ = models.with_if()
    checked = on_gpu(made, {"x": floats(rng, 2, 3), "flag": np.array(flag)})
    assert (checked.claimed, checked.nodes) == (5, 6)


@pytest.mark.parametrize("times", [0, 3])
def test_the_body_of_a_loop(rng, times):
    checked = on_gpu(loop_model(), {"x0": floats(rng, 3), "t": np.array(times)})
    assert checked.claimed >= 5


def test_unoptimised_graphs(rng):
    x = {"x": floats(rng, 2, 3, 8, 8)}
    checked = on_gpu(classifier(rng), x, settings(level=LEVELS.ORT_DISABLE_ALL))
    assert (checked.claimed, checked.partitions) == (6, 1)


def test_two_sessions_of_one_device(rng):
    made = [classifier(rng), network(rng)]
    feeds = [{"x": floats(rng, 2, 3, 8, 8)}, {"x": floats(rng, 2, 3, 12, 12)}]
    sessions = [open_gpu(m) for m in made]
    wants = [reference(m, f)[0] for m, f in zip(made, feeds, strict=True)]

    def work(k):
        for _ in range(4):
            np.testing.assert_allclose(sessions[k].run(None, feeds[k])[0], wants[k], atol=1e-5)

    in_threads(2, work)


@pytest.mark.parametrize("graphs", ["on", "off"])
def test_four_threads_of_one_session(rng, graphs):
    made = network(rng)
    session = open_gpu(made, enable_cuda_graph=graphs)
    feeds = [{"x": floats(rng, 1 + k % 3, 3, 12, 12)} for k in range(4)]
    wants = [reference(made, feed)[0] for feed in feeds]

    def work(k):
        for _ in range(4):
            np.testing.assert_allclose(session.run(None, feeds[k])[0], wants[k], atol=1e-5)

    in_threads(4, work)


def test_four_threads_with_bindings_of_their_own(rng):
    made = network(rng)
    session = open_gpu(made)
    inputs = [floats(rng, 2, 3, 12, 12) for _ in range(4)]
    wants = [reference(made, {"x": x})[0] for x in inputs]

    def work(k):
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", on_device(inputs[k]))
        target = ort.OrtValue.ortvalue_from_shape_and_type((2, 10), np.float32, "cuda", 0)
        binding.bind_ortvalue_output("y", target)
        for _ in range(4):
            session.run_with_iobinding(binding)
            np.testing.assert_allclose(target.numpy(), wants[k], atol=1e-5)

    in_threads(4, work)


def test_a_session_gives_its_memory_back(rng):
    gc.collect()
    before = count("allocations")
    session = open_gpu(classifier(rng))
    session.run(None, {"x": floats(rng, 2, 3, 8, 8)})
    assert count("allocations") > before
    del session
    gc.collect()
    assert count("allocations") == before
