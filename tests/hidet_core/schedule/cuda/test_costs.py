"""What the cost models choose for layers of ResNet-50, MobileNet and BERT, without a GPU: each is
the template made for it, no faster than the hardware, and not much slower.
"""

import math

import pytest

from hidet_core.schedule.choose import candidates
from hidet_core.schedule.cuda.traffic import LAUNCH_NS
from hidet_core.target import CUDAS
from tests.hidet_core.compiled import CONV, Net, compiled

OURS = ("Simt", "Gemv", "Depthwise")
# (pixels across, channels, output channels, window, stride, groups)
CONVOLUTIONS = {
    "stem": (224, 3, 64, 7, 2, 1), "first 3x3": (56, 64, 64, 3, 1, 1),
    "1x1": (56, 64, 256, 1, 1, 1), "middle 3x3": (14, 256, 256, 3, 1, 1),
    "last 3x3": (7, 512, 512, 3, 1, 1), "last 1x1": (7, 2048, 512, 1, 1, 1),
    "depthwise": (112, 32, 32, 3, 1, 32), "deep depthwise": (7, 960, 960, 3, 1, 960),
}  # fmt: skip
PRODUCTS = {
    "head": (1, 2048, 1000), "head of a batch": (8, 2048, 1000), "decode": (1, 768, 50257),
    "attention": (128, 768, 768), "feed forward": (128, 3072, 768), "square": (4096, 4096, 4096),
}  # fmt: skip


def _convolution(pixels, channels, outputs, window, stride, groups):
    net = Net()
    attrs = {"pads": (window // 2,) * 4, "strides": (stride, stride), "groups": groups}
    weights = net.const(window, window, channels // groups, outputs)
    x = net.relu(net.x(1, pixels, pixels, channels))
    return net.done(net.emit("conv2d", x, weights, **(CONV | attrs)))


def _product(m, k, n):
    net = Net()
    return net.done(net.matmul(net.x(m, k), net.const(k, n)))


GRAPHS = {
    **{name: lambda sizes=sizes: _convolution(*sizes) for name, sizes in CONVOLUTIONS.items()},
    **{name: lambda sizes=sizes: _product(*sizes) for name, sizes in PRODUCTS.items()},
}


def _problem(name):
    (*_, kernel) = compiled(GRAPHS[name](), target=CUDAS["sm_90a"]).kernels
    return kernel.draft.problem


def _best(problem, target):
    """The best candidate of the templates that compute in f32."""
    found = candidates(problem, target)
    return next(c for c in found if type(c.template).__name__ in OURS)


def _limits(problem, target):
    """Nanoseconds that its arithmetic takes at the target's peak, and its bytes from memory."""
    x, w, out = (math.prod(b.shape) for b in (*problem.inputs, problem.output))
    depth = math.prod(problem.inputs[1].shape[:-1])
    peak = target.fma_per_cycle * target.multiprocessors * target.clock_ghz
    return out * depth / peak, 4 * (x + w + out) / target.bytes_per_ns


@pytest.mark.parametrize("arch", ["sm_80", "sm_90a"])
@pytest.mark.parametrize("name", GRAPHS)
def test_the_best_is_near_what_the_hardware_can(name, arch):
    problem, target = _problem(name), CUDAS[arch]
    cost, _, config = _best(problem, target)
    arithmetic, memory = _limits(problem, target)
    least = LAUNCH_NS + max(arithmetic, memory)
    # a kernel without tensor cores reaches two thirds of the peak, and has a body of some us
    assert least < cost < LAUNCH_NS + 5000 + 1.6 * (arithmetic + memory), config


@pytest.mark.parametrize("arch", ["sm_80", "sm_90a"])
def test_each_gets_the_template_made_for_it(arch):
    expected = {"depthwise": "Depthwise", "deep depthwise": "Depthwise", "head": "Gemv",
                "head of a batch": "Gemv", "decode": "Gemv"}  # fmt: skip
    for name in GRAPHS:
        found = type(_best(_problem(name), CUDAS[arch]).template).__name__
        assert found == expected.get(name, "Simt"), name


@pytest.mark.parametrize("arch", ["sm_80", "sm_90a"])
def test_few_tiles_of_a_deep_sum_are_split(arch):
    splits = {
        name: _best(_problem(name), CUDAS[arch]).config.splits for name in ("1x1", "last 3x3")
    }
    assert splits["1x1"] == 1 and splits["last 3x3"] >= 4
