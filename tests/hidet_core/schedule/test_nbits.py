"""Products with weights of 4 and 8 bits against ONNX Runtime's CPU provider, by the template and
by the rule-based schedule."""

import numpy as np
import pytest

from hidet_core.graph.reference import run_graph
from hidet_core.schedule.cpu.nbits import MatmulNBits
from tests.hidet_core.compiled import compiled
from tests.hidet_core.cuda_check import check_cuda
from tests.hidet_core.importer.one_node import Case, check, import_model, one_node_model, run_ort

RNG = np.random.default_rng(2)


def case(rows, depth, columns, bits=4, block=16, zeros=True, bias=False):
    blocks = -(-depth // block)
    inputs = [
        (*rows, depth),
        RNG.integers(0, 256, (columns, blocks, block * bits // 8)).astype(np.uint8),
        RNG.uniform(0.01, 0.1, columns * blocks).astype(np.float32),
        None,
    ]
    if zeros:
        size = columns * -(-blocks * bits // 8)
        inputs[3] = RNG.integers(0, 256, size).astype(np.uint8)
    if bias:
        inputs += [None, RNG.standard_normal(columns).astype(np.float32)]
    attrs = {"K": depth, "N": columns, "bits": bits, "block_size": block}
    return Case(
        "MatMulNBits", 21, inputs, attrs, constants=tuple(range(1, len(inputs))),
        domain="com.microsoft", rtol=1e-4, atol=2e-4,
        note=f"{rows} zeros={zeros} bias={bias}",
    )  # fmt: skip


CASES = [
    case((1,), 32, 17),
    case((5,), 48, 40, zeros=False),
    case((2, 3), 64, 33, block=32, bias=True),
    case((4,), 40, 9),  # the last block is cut
    case((37,), 32, 19),  # weights are made once for several blocks of rows
    case((3,), 32, 21, bits=8),
    case((3,), 64, 8, bits=8, block=32, zeros=False),
]


@pytest.mark.parametrize("one", CASES, ids=str)
def test_as_onnx_runtime(one):
    check(one)


@pytest.mark.parametrize("one", CASES, ids=str)
def test_kernels(one):
    arrays = one.arrays()
    model = one_node_model(one, arrays)
    feeds = {"x0": arrays[0]}
    (expected,) = run_ort(model, feeds)
    _, graph = import_model(model)
    templates = []

    def pick(found):
        templates.append(type(found[0].template))
        return found[0]

    result = compiled(graph, pick)
    many = arrays[0].shape[0] > 30
    assert any("stage" in b.name for b in result.kernels[0].program.locals) == many
    for found in (result.run(feeds), result.interpret(feeds)):
        np.testing.assert_allclose(found["y0"], expected, 1e-4, 2e-4)
    whole = one.attrs["K"] % one.attrs["block_size"] == 0
    assert (templates[0] is MatmulNBits) == whole


def test_symbolic_rows():
    arrays = CASES[0].arrays()
    _, graph = import_model(one_node_model(CASES[0], arrays, [["m", 32], [], []]))
    result = compiled(graph)
    for rows in (0, 1, 50):
        feeds = {"x0": RNG.standard_normal((rows, 32)).astype(np.float32)}
        expected = run_graph(graph, feeds)
        np.testing.assert_allclose(result.run(feeds)["y0"], expected["y0"], 1e-4, 2e-4)


def test_on_cuda():
    """By the rule-based schedule; of 4 bits, two in a byte."""
    one = CASES[1]
    _, graph = import_model(one_node_model(one, one.arrays()))
    check_cuda(graph, interpreted=False)
