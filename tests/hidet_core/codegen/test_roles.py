"""Threads that wait for each other at barrier objects, in the interpreter and on the emulated
device; and the mistakes that the interpreter finds.
"""

import numpy as np
import pytest

from hidet_core.base.errors import ProgramError, Unsupported
from hidet_core.codegen import interpret
from hidet_core.ir.node import rewrite
from hidet_core.ir.stmt import Call, seq
from hidet_core.ir.verify import verify
from hidet_core.lang import (
    barrier,
    eq,
    f32,
    let,
    mbarrier_arrive,
    mbarrier_fence,
    mbarrier_init,
    mbarrier_wait,
    otherwise,
    parallel,
    program,
    range_,
    shared,
    threads,
    u64,
    when,
)
from hidet_core.lower import CUDA_LOWERING
from tests.hidet_core.cuda_emulated import HAS_COMPILER, run_emulated

ROUNDS, SIDE = 5, 32


def prepare(*objects):
    """By one thread, for all of a side."""
    for each in objects:
        mbarrier_init(each[0], SIDE)
    mbarrier_fence()


def give(x, tile, objects, lane):
    full, empty = objects
    for turn in range_(ROUNDS, "turn"):
        mbarrier_wait(empty[0], 1 - turn % 2)
        tile[lane] = x[turn, lane]
        mbarrier_arrive(full[0])


def take(y, tile, objects, lane):
    full, empty = objects
    for turn in range_(ROUNDS, "turn"):
        mbarrier_wait(full[0], turn % 2)
        y[turn, lane] = tile[SIDE - 1 - lane] + 1.0
        mbarrier_arrive(empty[0])


@program
def handed_over(x: f32[ROUNDS, SIDE], y: f32[ROUNDS, SIDE]):
    """One warp stores what the other takes, in turns."""
    for _ in parallel(1):
        for thread in threads(2 * SIDE):
            tile = shared(f32, [SIDE])
            full, empty = shared(u64, [1], "full"), shared(u64, [1], "empty")
            with when(thread < 1):
                prepare(full, empty)
            barrier()
            role, lane = let("role", thread // SIDE), thread % SIDE
            with when(eq(role, 0)):
                give(x, tile, (full, empty), lane)
            with otherwise():
                take(y, tile, (full, empty), lane)


def lowered(prog):
    verify(prog, "scheduled")
    for lower in CUDA_LOWERING:
        prog = lower(prog)
    return prog


def test_two_roles(rng):
    x = rng.integers(-9, 9, (ROUNDS, SIDE)).astype(np.float32)
    low = lowered(handed_over)
    runs = [interpret]
    if HAS_COMPILER:
        runs += [lambda *given, seed=seed: run_emulated(*given, seed=seed) for seed in (0, 1, 7)]
    for run in runs:
        y = np.zeros_like(x)
        run(low, [x, y])
        np.testing.assert_array_equal(y, x[:, ::-1] + 1)


def without(name, count):
    """The program without some calls of an instruction, the first ones of its text."""
    left = iter(range(count))

    def rule(node):
        drops = isinstance(node, Call) and node.name == name and next(left, None) is not None
        return seq() if drops else None

    return lowered(rewrite(handed_over, rule))


@pytest.mark.parametrize(
    ("name", "count", "message"),
    [
        ("mbarrier_init", 1, "full: a barrier object that nobody initialised"),
        ("mbarrier_arrive", 1, "deadlock: all wait for phases that do not end"),
        ("mbarrier_wait", 1, "deadlock: all wait for phases that do not end"),
    ],
)
def test_mistakes(name, count, message):
    arrays = [np.zeros((ROUNDS, SIDE), np.float32) for _ in range(2)]
    with pytest.raises(ProgramError, match=message):
        interpret(without(name, count), arrays)


def test_a_wait_without_roles():
    @program
    def alone(y: f32[SIDE]):
        for _ in parallel(1):
            for thread in threads(SIDE):
                full = shared(u64, [1], "full")
                with when(thread < 1):
                    prepare(full)
                barrier()
                mbarrier_wait(full[0], 0)
                y[thread] = 1.0

    with pytest.raises(ProgramError, match=r"test_roles.py:\d+: deadlock: this phase never ends"):
        interpret(lowered(alone), [np.zeros(SIDE, np.float32)])


def test_roles_inside_of_a_role():
    @program
    def nested(y: f32[SIDE]):
        for _ in parallel(1):
            for thread in threads(SIDE):
                full = shared(u64, [1], "full")
                with when(thread < 1):
                    prepare(full)
                barrier()
                split(full, thread, 4)
                y[thread] = 1.0

    with pytest.raises(Unsupported, match="roles of threads inside of a role"):
        interpret(lowered(nested), [np.zeros(SIDE, np.float32)])


def split(full, thread, depth):
    with when(thread < depth):
        if depth > 1:
            split(full, thread, depth // 2)
        mbarrier_arrive(full[0])
    with otherwise():
        mbarrier_wait(full[0], 1)
