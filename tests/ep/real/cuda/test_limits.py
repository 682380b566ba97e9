"""A limit of memory: what does not fit is left to ONNX Runtime, or an error that says so."""

import gc

import numpy as np
import pytest

from tests.emulated import count
from tests.ep.models import model, node, value
from tests.ep.real.cuda.gpu import classifier, floats, open_gpu, reference
from tests.ep.real.sessions import claimed, settings


def product(rng, size=256):
    nodes = [node("MatMul", ["x", "w"], ["t"]), node("Relu", ["t"], ["y"])]
    weights = {"w": floats(rng, size, size)}
    return model(nodes, [value("x", ("N", size))], [value("y", ("N", size))], weights)


def test_weights_beyond_the_limit_stay_with_onnxruntime(rng, capfd):
    loud = settings()
    loud.log_severity_level = 2
    made, x = product(rng), {"x": floats(rng, 2, 256)}
    session = open_gpu(made, loud, gpu_mem_limit="100000")
    shown = "".join(capfd.readouterr())
    assert claimed(session) == 0
    assert "its plan cannot be loaded" in shown and "100000" in shown
    np.testing.assert_allclose(session.run(None, x)[0], reference(made, x)[0], rtol=1e-4)


def test_a_run_beyond_the_limit_is_an_error_and_the_next_one_is_right(rng, capfd):
    made, loud = product(rng), settings()
    loud.log_severity_level = 3
    session = open_gpu(made, loud, gpu_mem_limit=str(1 << 20))
    small, large = ({"x": floats(rng, n, 256)} for n in (3, 4000))
    want = reference(made, small)[0]
    np.testing.assert_allclose(session.run(None, small)[0], want, rtol=1e-4, atol=1e-4)
    for _ in range(2):
        with pytest.raises(Exception, match="Allocation failed"):
            session.run(None, large)
        assert "no memory on the GPU" in (shown := capfd.readouterr().err)
        assert "1048576" in shown, "the limit"
        np.testing.assert_allclose(session.run(None, small)[0], want, rtol=1e-4, atol=1e-4)


def test_an_output_beyond_the_limit_is_named(rng):
    """The input fits; the output, of the same size, does not fit beside it."""
    session = open_gpu(product(rng), gpu_mem_limit=str(1 << 20))
    x = {"x": floats(rng, 500, 256)}
    with pytest.raises(
        Exception, match=r"no memory on the GPU for output 'y' of 512000 bytes.*1048576"
    ):
        session.run(None, x)


def test_the_limit_is_the_session_s_own(rng):
    gc.collect()
    before = count("bytes")
    sessions = [open_gpu(classifier(rng), gpu_mem_limit=str(4 << 20)) for _ in range(3)]
    x = {"x": floats(rng, 2, 3, 8, 8)}
    for session in sessions:
        session.run(None, x)
    assert 0 < count("bytes") - before <= 3 * (4 << 20)
