"""All CUDA templates: every config that is admitted computes what the reference does, without races
and without spills on any architecture.
"""

import numpy as np
import pytest

from hidet_core.base.errors import Rejected
from hidet_core.codegen.cuda import kernel_text
from hidet_core.ir.dtypes import f16
from hidet_core.ir.printer import text
from hidet_core.schedule.choose import TEMPLATES, candidates, templates_for
from hidet_core.target import CUDAS
from tests.hidet_core.compiled import Net, compiled, lowered
from tests.hidet_core.cuda_build import needs_nvrtc
from tests.hidet_core.cuda_check import H200, check_cuda, usages

POOL = {
    "kind": "avg", "kernel": (3, 3), "strides": (2, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1),
    "count_include_pad": False, "out_hw": (4, 5),
}  # fmt: skip
PROBLEMS = {
    "matmul": lambda net: net.matmul(net.x(29, 17), net.const(17, 37)),
    "batched matmul": lambda net: net.matmul(net.x(2, 33, 9), net.x(2, 9, 40)),
    "elementwise": lambda net: net.add(net.tanh(net.x(6, 40)), net.x(40)),
    "transpose": lambda net: net.transpose(net.tanh(net.x(3, 35, 19)), perm=(2, 0, 1)),
    "attention": lambda net: net.attention(
        *(net.x(2, 19, 8, dtype=f16) for _ in range(3)),
        scale=0.3,
        causal=True,
        fill=0.0,
        zero_nan=False,
    ),
    "reduce": lambda net: net.reduce(net.x(5, 37), op="max", axes=(1,), keepdims=True),
    "softmax": lambda net: net.softmax(net.x(7, 37)),
    "lrn": lambda net: net.lrn(net.x(1, 2, 37), size=5, alpha=0.1, beta=0.75, bias=1.0),
    "pool": lambda net: net.pool2d(net.x(1, 7, 5, 9), **POOL),
    "depthwise": lambda net: net.conv(net.x(1, 6, 7, 8), 3, 3, 1, 8, groups=8),
    "convolution": lambda net: net.conv(net.x(1, 5, 6, 3), 3, 3, 3, 8, pads=(1, 1, 1, 1)),
}
SAMPLE = 6


class Sampler:
    """Picks the number-th of a seeded sample of the configs of the last kernel."""

    def __init__(self, number):
        self.number, self.count = number, 0

    def __call__(self, found):
        order = np.random.default_rng(1).permutation(len(found))
        self.count = len(found)
        return found[order[self.number % len(found)]]


@pytest.mark.parametrize("case", PROBLEMS)
def test_a_sample_of_the_space(case):
    net = Net()
    graph = net.done(PROBLEMS[case](net))
    for number in range(SAMPLE):
        sampler = Sampler(number)
        check_cuda(graph, pick=sampler, interpreted=number < 2)
        if number + 1 >= sampler.count:
            break


@needs_nvrtc
@pytest.mark.parametrize("case", PROBLEMS)
def test_nothing_spills_on_any_architecture(case):
    net = Net()
    graph = net.done(PROBLEMS[case](net))
    for used in usages(compiled(graph, target=H200)):
        assert used.spill_bytes == used.stack_bytes == 0, used


@pytest.mark.parametrize("target", CUDAS.values(), ids=lambda target: target.name)
@pytest.mark.parametrize("case", PROBLEMS)
def test_every_problem_has_a_config_on_every_target(case, target):
    net = Net()
    problem = compiled(net.done(PROBLEMS[case](net)), target=H200).kernels[-1].draft.problem
    found = candidates(problem, target)
    costs = [candidate.cost for candidate in found]
    assert costs == sorted(costs) and costs[0] > 0
    for template in templates_for(problem, target):
        texts = [str(config) for config in template.space(problem, target)]
        assert 0 < len(texts) <= 400 and len(set(texts)) == len(texts)


@pytest.mark.parametrize("case", ["matmul", "elementwise", "transpose", "reduce", "softmax"])
def test_the_program(case, golden):
    """The first config of the space that is admitted, and its C++."""
    net = Net()
    result = compiled(net.done(PROBLEMS[case](net)), pick=_last_valid, target=H200)
    kernel = result.kernels[-1]
    code = kernel_text(lowered(kernel.program, H200))
    golden(f"{kernel.scheduled.config}\n\n{text(kernel.program)}\n{code}")


def _last_valid(found):
    """A config that is not chosen by its cost, so that a better cost model changes no golden."""
    return max(found, key=lambda candidate: str(candidate.config))


def test_rejections_name_the_rule():
    net = Net()
    problem = compiled(net.done(PROBLEMS["softmax"](net)), target=H200).kernels[0].draft.problem
    (template,) = templates_for(problem, H200)
    wide = max(template.space(problem, H200), key=lambda config: config.team)
    with pytest.raises(Rejected, match="1024 threads for a row of 37"):
        template.check(problem, wide, H200)


def test_every_anchor_has_a_template():
    def ops(kind):
        return {op for template in TEMPLATES[kind] for op in template.ops}

    assert ops("cuda") == ops("cpu")
