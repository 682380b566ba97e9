"""Processes that end with sessions and tensors on the GPU alive, and those that are forked."""

import pytest

from tests.ep.test_registration import run

USE = """
import numpy as np, onnxruntime as ort, hidet_ep
from tests.ep import models
x = np.ones((3, 8), np.float32)
s = ort.InferenceSession(
    models.relu_chain(), providers=[("HidetEP", {"target": "cuda"})], enable_fallback=0
)
value = ort.OrtValue.ortvalue_from_numpy(x, "cuda", 0)
(made,) = s.run_with_ort_values(None, {"x": value})
assert (s.run(None, {"x": x})[0] == made.numpy()).all()
"""


@pytest.mark.parametrize(
    "ending",
    [
        "",
        "import builtins; builtins.kept = (s, value, made)",
        "del s",
        "import atexit; atexit.register(lambda: s.run(None, {'x': x}))",
    ],
    ids=["alive", "in_builtins", "tensors_alive", "atexit"],
)
def test_the_interpreter_ends_cleanly(ending):
    assert run(USE + ending) == ""


def test_a_child_that_was_forked_after_the_use_of_the_gpu_is_told_so():
    shown = run(
        USE
        + """
import os, sys
child = os.fork()
if child == 0:
    try:
        hidet_ep.provider(target="cuda")
    except hidet_ep.settings.BadOption as error:
        print(error, flush=True)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    )
    assert "CUDA was used before this process was forked" in shown
