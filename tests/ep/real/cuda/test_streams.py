"""The user's stream, and runs that do not wait."""

import ctypes

import numpy as np
import onnxruntime as ort
import pytest

from tests.emulated import driver
from tests.ep.real.cuda.gpu import classifier, floats, on_device, on_gpu, open_gpu, reference
from tests.ep.real.test_concurrency import in_threads

SEEDS = (1, 7)  # operations run when somebody waits for them
READY, NOT_READY = 0, 600


@pytest.fixture
def stream():
    cuda = driver()
    context, made = ctypes.c_void_p(), ctypes.c_void_p()
    assert cuda.cuInit(0) == 0
    assert cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
    assert cuda.cuCtxSetCurrent(context) == 0
    assert cuda.cuStreamCreate(ctypes.byref(made), 1) == 0
    yield made
    assert cuda.cuStreamDestroy_v2(made) == 0
    cuda.cuCtxSetCurrent(None)
    cuda.cuDevicePrimaryCtxRelease_v2(0)


def without_waiting():
    options = ort.RunOptions()
    options.add_run_config_entry("disable_synchronize_execution_providers", "1")
    return options


def bound(session, x):
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", on_device(x))
    target = ort.OrtValue.ortvalue_from_shape_and_type((len(x), 10), np.float32, "cuda", 0)
    binding.bind_ortvalue_output("y", target)
    return binding, target


def test_work_is_in_the_stream_of_the_user(rng, stream):
    made, x = classifier(rng), floats(rng, 2, 3, 8, 8)
    session = open_gpu(made, user_compute_stream=str(stream.value))
    binding, target = bound(session, x)
    session.run_with_iobinding(binding, without_waiting())
    assert driver().cuStreamQuery(stream) == NOT_READY
    assert driver().cuStreamSynchronize(stream) == READY
    np.testing.assert_allclose(target.numpy(), reference(made, {"x": x})[0], atol=1e-5)
    del session, binding


def test_a_run_waits_if_it_is_not_told_otherwise(rng, stream):
    made, x = classifier(rng), floats(rng, 2, 3, 8, 8)
    session = open_gpu(made, user_compute_stream=str(stream.value))
    binding, target = bound(session, x)
    session.run_with_iobinding(binding)
    assert driver().cuStreamQuery(stream) == READY
    np.testing.assert_allclose(target.numpy(), reference(made, {"x": x})[0], atol=1e-5)
    del session, binding


def test_runs_that_do_not_wait_keep_their_order(rng):
    """The second run reads what the first one made, and memory of the first is used again."""
    made, x = classifier(rng), [floats(rng, 2, 3, 8, 8) for _ in range(3)]
    session = open_gpu(made)
    pairs = [bound(session, each) for each in x]
    for binding, _ in pairs:
        session.run_with_iobinding(binding, without_waiting())
    pairs[0][0].synchronize_outputs()
    for (_, target), each in zip(pairs, x, strict=True):
        np.testing.assert_allclose(target.numpy(), reference(made, {"x": each})[0], atol=1e-5)


def test_results_in_host_memory_are_right(rng, stream):
    x = {"x": floats(rng, 2, 3, 8, 8)}
    on_gpu(classifier(rng), x, user_compute_stream=hex(stream.value))


def test_threads_share_the_stream_of_the_user(rng, stream):
    made = classifier(rng)
    session = open_gpu(made, user_compute_stream=str(stream.value))
    feeds = [{"x": floats(rng, 1 + k % 2, 3, 8, 8)} for k in range(4)]
    wants = [reference(made, feed)[0] for feed in feeds]

    def work(k):
        for _ in range(3):
            np.testing.assert_allclose(session.run(None, feeds[k])[0], wants[k], atol=1e-5)

    in_threads(4, work)
