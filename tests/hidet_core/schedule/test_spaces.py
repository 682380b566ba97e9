"""Every config that a template's check admits gives right code, not only the one that is chosen."""

import numpy as np
import pytest

from hidet_core.base.errors import Rejected, Unsupported
from hidet_core.graph.graph import consumers
from hidet_core.graph.groups import form_groups
from hidet_core.graph.storage import make_storable, plan_storage
from hidet_core.schedule.choose import candidates, templates_for
from hidet_core.schedule.cpu import TEMPLATES
from hidet_core.stages import draft_group
from hidet_core.target.cpu import AVX2, AVX512
from tests.hidet_core.compiled import CPU, Net, check

SAME = {"pads": (1, 1, 1, 1)}
POOL = {
    "kind": "avg", "kernel": (3, 3), "strides": (2, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1),
    "count_include_pad": False, "out_hw": (4, 5),
}  # fmt: skip
SAMPLE = 12


def dense(net):
    return net.conv(net.tanh(net.x(1, 7, 5, 6)), 3, 3, 6, 35, **SAME)


def strided(net):
    return net.conv(net.tanh(net.x(2, 7, 5, 3)), 3, 2, 3, 17, strides=(2, 2))


# the anchor under test is the last operator; an epilogue and a prologue take part where they can
PROBLEMS = {
    "matmul": lambda net: net.matmul(net.x(29, 7), net.const(7, 37)),
    "matmul of few rows": lambda net: net.matmul(net.x(3, 17), net.const(17, 130)),
    "matmul of one row": lambda net: net.matmul(net.x(1, 17), net.const(17, 300)),
    "batched matmul": lambda net: net.matmul(net.x(2, 17, 5), net.x(2, 5, 37)),
    "staged matmul": lambda net: net.matmul(net.tanh(net.x(29, 17)), net.const(17, 37)),
    "dense convolution": dense,
    "strided convolution": strided,
    "grouped convolution": lambda net: net.conv(net.tanh(net.x(1, 7, 5, 6)), 3, 3, 3, 36, groups=2),
    "pointwise convolution": lambda net: net.conv(net.x(1, 7, 5, 6), 1, 1, 6, 35),
    "staged convolution": lambda net: net.conv(net.relu(net.x(1, 7, 5, 6)), 1, 1, 6, 35),
    "depthwise": lambda net: net.conv(
        net.tanh(net.x(1, 7, 11, 37)), 3, 3, 1, 37, groups=37, **SAME
    ),
    "pool": lambda net: net.pool2d(net.x(1, 7, 5, 150), **POOL),
    "injective": lambda net: net.transpose(net.tanh(net.x(3, 5, 19)), perm=(2, 0, 1)),
    "reduce": lambda net: net.reduce(net.x(5, 37), op="max", axes=(1,), keepdims=True),
    "softmax": lambda net: net.softmax(net.x(5, 37)),
    "lrn": lambda net: net.lrn(net.x(1, 2, 37), size=5, alpha=0.1, beta=0.75, bias=1.0),
}


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
    y = PROBLEMS[case](net)
    graph = net.done(net.relu(y) if case != "injective" else y)
    for number in range(SAMPLE):
        sampler = Sampler(number)
        result = check(graph, pick=sampler)
        if number + 1 >= sampler.count:
            break
    assert str(result.kernels[-1].scheduled.config)


@pytest.mark.parametrize("case", ["matmul", "batched matmul", "dense convolution", "depthwise"])
def test_symbolic_sizes_admit_all_that_fits_the_registers(case):
    """One kernel serves any number of rows: its tile may be taller than the rows there are."""
    make = {
        "matmul": lambda net: net.matmul(net.x("n", 7), net.const(7, 37)),
        "batched matmul": lambda net: net.matmul(net.x(2, "n", 5), net.x(2, 5, 37)),
        "dense convolution": lambda net: net.conv(
            net.tanh(net.x(1, 3, "n", 3)), 3, 3, 3, 17, **SAME
        ),
        "depthwise": lambda net: net.conv(
            net.tanh(net.x(1, 3, "n", 19)), 3, 3, 1, 19, groups=19, **SAME
        ),
    }[case]
    net = Net()
    graph = net.done(make(net))
    for number in range(SAMPLE // 2):
        check(graph, {"n": 1}, {"n": 6}, {"n": 31}, pick=Sampler(number))


@pytest.mark.skipif(not CPU.isa.startswith("avx"), reason="this machine has no AVX2")
@pytest.mark.parametrize("case", PROBLEMS)
def test_code_for_avx2_runs_here(case):
    net = Net()
    check(net.done(net.relu(PROBLEMS[case](net))), target=AVX2)


def problem_of(graph):
    """The problem of the last kernel."""
    graph = make_storable(graph)
    storage, readers = plan_storage(graph), consumers(graph)
    return draft_group(form_groups(graph)[-1], graph, storage, readers).problem


@pytest.mark.parametrize("target", [AVX2, AVX512], ids=lambda target: target.name)
@pytest.mark.parametrize("case", PROBLEMS)
def test_every_problem_has_a_config_on_every_target(case, target):
    net = Net()
    problem = problem_of(net.done(PROBLEMS[case](net)))
    _, template, config = candidates(problem, target)[0]
    template.check(problem, config, target)
    scheduled = template.build(problem, config, target)
    assert scheduled.task_ns > 0 and problem.output in scheduled.program.params


@pytest.mark.parametrize("case", PROBLEMS)
def test_spaces_are_small_and_without_repetition(case):
    net = Net()
    problem = problem_of(net.done(PROBLEMS[case](net)))
    for template in templates_for(problem, CPU):
        texts = [str(config) for config in template.space(problem, CPU)]
        assert 0 < len(texts) <= 400 and len(set(texts)) == len(texts)


def test_candidates_are_sorted_by_cost():
    net = Net()
    problem = problem_of(net.done(PROBLEMS["matmul"](net)))
    costs = [candidate.cost for candidate in candidates(problem, CPU)]
    assert costs == sorted(costs) and costs[0] > 0


def test_rejections_name_the_rule():
    net = Net()
    problem = problem_of(net.done(net.matmul(net.x(1, 5), net.const(5, 7))))
    (template,) = templates_for(problem, CPU)
    tall = next(c for c in template.space(problem, CPU) if c.mr > 1)
    with pytest.raises(Rejected, match="the problem has 1"):
        template.check(problem, tall, CPU)


def test_what_no_template_takes():
    net = Net()
    problem = problem_of(net.done(net.softmax(net.x(3, 4))))
    object.__setattr__(problem, "op", "fft")
    with pytest.raises(Unsupported, match="fft"):
        templates_for(problem, CPU)


def test_every_anchor_has_a_template():
    assert {op for template in TEMPLATES for op in template.ops} >= {
        "conv2d", "matmul", "pool2d", "lrn", "softmax", "log_softmax", "layer_norm", "rms_norm",
        "reduce", "arg_reduce", "injective",
    }  # fmt: skip
