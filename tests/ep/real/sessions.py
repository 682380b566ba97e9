"""Sessions with the real compiler, checked against the CPU provider."""

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort

from hidet_ep.bench.compare import max_relative_error
from hidet_ep.bench.providers import Provider, assignment
from hidet_ep.handover import collect_reports
from tests.ep.models import model as make_model
from tests.ep.models import node, value

HIDET, CPU = "HidetEP", "CPUExecutionProvider"
LEVELS = ort.GraphOptimizationLevel
TOLERANCE = 1e-5
QUIET = 4


def settings(threads=2, level=LEVELS.ORT_ENABLE_ALL):
    """Session options that record who runs which node, and log fatal errors only."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = level
    options.log_severity_level = QUIET
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options


def open_session(model, options=None, settings_=None):
    """A session on HidetEP. `model`: bytes, a path, or a ModelProto."""
    if isinstance(model, onnx.ModelProto):
        model = model.SerializeToString()
    return ort.InferenceSession(
        model, settings_ or settings(), providers=[(HIDET, options or {})], enable_fallback=0
    )


def reference(model, feeds):
    """The CPU provider's outputs."""
    if isinstance(model, onnx.ModelProto):
        model = model.SerializeToString()
    return ort.InferenceSession(model, settings(), providers=[CPU]).run(None, feeds)


@dataclass(frozen=True)
class Checked:
    """A session that gave what the CPU provider gives; what it took, what it could not compile."""

    session: ort.InferenceSession
    claimed: int
    nodes: int
    partitions: int
    failed: tuple[str, ...]


def check(model, feeds, options=None, settings_=None, tolerance=TOLERANCE):
    """Run a model on both providers; the outputs must agree and no group may fail to compile."""
    with collect_reports() as reports:
        session = open_session(model, options, settings_)
    mine, want = session.run(None, feeds), reference(model, feeds)
    error = max_relative_error(mine, want)
    assert error <= tolerance, f"error {error:.1e} of the output's scale"
    counts = assignment(session, Provider(HIDET))
    failed = tuple(text for report in reports for text in report.result.warnings)
    assert not failed, "\n".join(failed)
    return Checked(session, counts.claimed, counts.nodes, counts.partitions, failed)


def claimed(session):
    """How many nodes HidetEP took."""
    return assignment(session, Provider(HIDET)).claimed


def floats(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def classifier(rng, batch="N"):
    """Conv, Relu, MaxPool, Flatten, Gemm, Softmax."""
    nodes = [
        node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"]),
        node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["c"], ["d"]),
        node("Gemm", ["d", "v", "bias"], ["e"], transB=1),
        node("Softmax", ["e"], ["y"]),
    ]
    constants = {
        "w": floats(rng, 8, 3, 3, 3),
        "v": floats(rng, 10, 8 * 16) / 10,
        "bias": floats(rng, 10),
    }
    return make_model(nodes, [value("x", (batch, 3, 8, 8))], [value("y", (batch, 10))], constants)
