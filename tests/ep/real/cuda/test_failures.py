"""A kernel that fails ends the use of the device: every later call says so, and none crashes."""

import gc

import numpy as np
import pytest

from tests.emulated import driver
from tests.ep.real.cuda.gpu import classifier, floats, open_gpu
from tests.ep.real.sessions import settings


@pytest.fixture(scope="module", autouse=True)
def reset_at_the_end():
    """A broken context keeps its memory until its process ends."""
    yield
    gc.collect()
    driver().hidetEmuReset(0)


def test_a_failing_kernel_is_named_and_poisons_the_device(rng):
    made, x = classifier(rng), {"x": floats(rng, 2, 3, 8, 8)}
    session, other = open_gpu(made), open_gpu(made, enable_cuda_graph="off")
    session.run(None, x)
    other.run(None, x)
    driver().hidetEmuFailLaunch(2)
    with pytest.raises(Exception, match="CUDA_ERROR_LAUNCH_FAILED"):
        other.run(None, x)
    for each in (session, other):
        with pytest.raises(Exception, match="cannot be used by this process any more"):
            each.run(None, x)
    del session, other, each
    gc.collect()


def test_a_session_made_afterwards_leaves_all_to_onnxruntime(rng, capfd):
    made, x = classifier(rng), {"x": floats(rng, 2, 3, 8, 8)}
    loud = settings()
    loud.log_severity_level = 2
    session = open_gpu(made, loud)
    shown = "".join(capfd.readouterr())
    assert "its plan cannot be loaded" in shown and "CUDA_ERROR_LAUNCH_FAILED" in shown
    assert np.isfinite(session.run(None, x)[0]).all()
