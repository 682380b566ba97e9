"""Sessions on the emulated GPU, checked against the CPU provider."""

import numpy as np
import onnxruntime as ort

from tests.ep.models import AXIS, model, node, not_ours, value
from tests.ep.real.sessions import Checked, check, classifier, floats, open_session, reference

__all__ = [
    "Checked",
    "classifier",
    "floats",
    "mixed",
    "on_device",
    "on_gpu",
    "open_gpu",
    "reference",
]
EXACT = {"target": "cuda", "allow_tf32": "0"}


def on_gpu(made, feeds, settings_=None, tolerance=1e-5, **options):
    """Outputs must be the CPU provider's, and no group may fail to compile."""
    return check(made, feeds, {**EXACT, **options}, settings_, tolerance)


def open_gpu(made, settings_=None, **options):
    return open_session(made, {**EXACT, **options}, settings_)


def on_device(array):
    return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), "cuda", 0)


def mixed():
    """Three partitions of ours; what is between them stays with the CPU provider."""
    nodes = [
        node("Exp", ["x"], ["a"]),
        not_ours("a", "b"),
        node("Add", ["a", "b"], ["c"]),
        not_ours("c", "d"),
        node("Mul", ["d", "a"], ["e"]),
        node("ReduceMax", ["e"], ["y"], axes=[1]),
    ]
    return model(nodes, [value("x", ("N", 5)), AXIS], [value("y", ("N", 1))])
