"""Fused programs as text, for AVX-512: what fusion leaves of a few small graphs.

Templates of contractions are left out: they change with every tuning.
"""

import pytest

from hidet_core.ir.printer import text
from hidet_core.target.cpu import AVX512
from tests.hidet_core.compiled import Net, compiled

POOL = {
    "kind": "max", "kernel": (2, 2), "strides": (2, 2), "pads": (0, 0, 0, 0),
    "dilations": (1, 1), "count_include_pad": False, "out_hw": (2, 2),
}  # fmt: skip


def softmax_of_masked_scores(net):
    """Prologue with a broadcast, epilogue that moves elements."""
    scores = net.add(net.mul(net.x(2, 3, 16), net.const()), net.x(3, 16))
    return [net.transpose(net.softmax(scores), perm=(1, 0, 2))]


def pool_and_relu_into_a_concat(net):
    """Each branch stores into its own part."""
    x = net.x(1, 4, 4, 16)
    return [net.concat(net.relu(net.pool2d(x, **POOL)), net.tanh(net.x(1, 2, 2, 16)), axis=3)]


def sum_with_two_readers(net):
    """x * sigmoid(x) of a sum that is an output itself."""
    x = net.reduce(net.x(3, 32), op="sum", axes=(1,), keepdims=False)
    return [net.mul(x, net.sigmoid(x)), x]


def padded_and_sliced(net):
    """Layout changes become index maps."""
    x = net.pad(net.x(4, 8), before=(0, 4), after=(0, 4), mode="constant", value=1.0)
    return [net.neg(net.slice(x, starts=(1, 0), steps=(2, 1), sizes=(2, 16)))]


def shared_subexpressions(net):
    x = net.tanh(net.x(16))
    return [net.mul(net.mul(x, net.exp(x)), x)]


CASES = (
    softmax_of_masked_scores, pool_and_relu_into_a_concat, sum_with_two_readers, padded_and_sliced,
    shared_subexpressions,
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_fused_programs(case, golden):
    net = Net()
    kernels = compiled(net.done(*case(net)), target=AVX512).kernels
    golden("\n".join(text(kernel.program) for kernel in kernels))
