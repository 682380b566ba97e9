"""RNN, GRU and LSTM against ONNX Runtime: directions, states, lengths, peepholes, activations."""

import numpy as np
import pytest

from hidet_core.graph.graph import count_ops
from tests.hidet_core.importer.one_node import Case, check, compare, import_model
from tests.hidet_core.importer.recurrent_network import FEATURES as WIDTH
from tests.hidet_core.importer.recurrent_network import bidirectional_lstm

STEPS, BATCH, FEATURES, UNITS = 5, 3, 4, 7
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
LENGTHS = np.array([5, 0, 3], np.int32)


def case(op, *given, note="", **attrs):
    """given: names of the inputs that are there."""
    directions = 2 if attrs.get("direction") == "bidirectional" else 1
    width = GATES[op] * UNITS
    rng = np.random.default_rng(sum(map(ord, f"{op}{given}{sorted(attrs.items())}")))
    shapes = {
        "x": (STEPS, BATCH, FEATURES), "w": (directions, width, FEATURES),
        "r": (directions, width, UNITS), "bias": (directions, 2 * width), "lengths": None,
        "h0": (directions, BATCH, UNITS), "c0": (directions, BATCH, UNITS),
        "peephole": (directions, 3 * UNITS),
    }  # fmt: skip
    names = list(shapes)[: {"LSTM": 8}.get(op, 6)]
    arrays = [
        LENGTHS
        if name == "lengths" and name in given
        else 0.7 * rng.standard_normal(shapes[name]).astype(np.float32)
        if name in ("x", "w", "r") or name in given
        else None
        for name in names
    ]
    count = 3 if op == "LSTM" else 2
    note = " ".join((*given, note))
    return Case(op, 14, arrays, {"hidden_size": UNITS, **attrs}, (1, 2), count, note=note)


STATES = ("bias", "lengths", "h0")
CASES = [
    *(case(op, direction=way) for op in GATES for way in ("forward", "reverse")),
    *(case(op, *STATES, direction="bidirectional") for op in GATES),
    case("LSTM", *STATES, "c0", "peephole", direction="reverse"),
    case("LSTM", "bias", "peephole", clip=0.4),
    case("LSTM", "bias", "c0", direction="bidirectional",
         activations=["HardSigmoid", "Softsign", "Relu", "Sigmoid", "ScaledTanh", "Affine"],
         activation_alpha=[0.3, 1.5, 0.8], activation_beta=[0.4, 0.5, 0.1]),
    case("GRU", "bias", "h0", linear_before_reset=1),
    case("GRU", "bias", "lengths", linear_before_reset=1, direction="bidirectional"),
    case("GRU", "bias", activations=["Elu", "Softplus"], clip=0.9),
    case("RNN", "bias", activations=["LeakyRelu"], activation_alpha=[0.2]),
    case("RNN", activations=["Relu", "Tanh"]),
    case("RNN", "bias", activations=["ThresholdedRelu"], activation_alpha=[0.1]),
]  # fmt: skip


@pytest.mark.parametrize("one", CASES, ids=str)
def test_matches_onnx_runtime(one):
    check(one)


def test_two_layers_as_torch_exports_them():
    """A symbolic batch, whose states are expanded from a constant."""
    model = bidirectional_lstm()
    for steps, batch in ((5, 3), (1, 1)):
        x = np.random.default_rng(steps).standard_normal((steps, batch, WIDTH))
        compare(model, {"x": x.astype(np.float32)})
    _, graph = import_model(model)
    assert count_ops(graph)["recurrent"] == 2
