"""The generated matrix product on tensor cores, with one mistake each: the emulator finds all of
them, most by name, the rest because results are wrong; so does the interpreter.

A mistake is a rewrite of the scheduled program, which then goes through lowering and code
generation like any other.
"""

import functools
import re

import numpy as np
import pytest

from hidet_core.base.errors import ProgramError
from hidet_core.codegen import interpret
from hidet_core.graph.reference import run_graph
from hidet_core.ir.dtypes import f16
from hidet_core.ir.expr import Binary, Const, Load, binary, wrap
from hidet_core.ir.node import rebuild, rewrite, walk
from hidet_core.ir.stmt import Barrier, Call, If, Let, seq
from hidet_core.schedule.cuda.tensor_core import MmaConfig
from tests.emulator.cuda import CudaError
from tests.hidet_core.compiled import Net, compiled, feeds_of
from tests.hidet_core.cuda_check import H200
from tests.hidet_core.cuda_emulated import HAS_COMPILER, run_emulated

pytestmark = pytest.mark.skipif(not HAS_COMPILER, reason="there is no g++ here")
M, K, N = 36, 168, 44  # not whole tiles; several steps, the last of them not whole
SPLITS = 2
WRONG = "wrong results"


def _without(name):
    return lambda node: seq() if isinstance(node, Call) and node.name == name else None


def _changed(name, **fields):
    """fields: of the calls of that name, as functions of the call."""

    def rule(node):
        if not isinstance(node, Call) or node.name != name:
            return None
        return rebuild(node, {key: change(node) for key, change in fields.items()})

    return rule


def _some_lanes(name):
    """Lane 31 does not come."""

    def rule(node, lane):
        if not isinstance(node, Call) or node.name != name:
            return None
        return If(binary("lt", lane, 31), node)

    return rule


def _xor(change):
    """The places of chunks in load_matrix."""

    def places(call):
        to, row = call.operands
        return to, rewrite(row, lambda n: change(n) if _is_xor(n) else None)

    return _changed("load_matrix", operands=places)


def _is_xor(node):
    return isinstance(node, Binary) and node.op == "xor"


def _let(name, change):
    def rule(node):
        is_it = isinstance(node, Let) and node.var.name == name
        return rebuild(node, {"value": change(node.value)}) if is_it else None

    return rule


def _moved(by):
    """The source of copies, by elements."""

    def operands(call):
        to, source, inside = call.operands
        *outer, last = source.indices
        return to, rebuild(source, {"indices": (*outer, last + by)}), inside

    return _changed("copy_async", operands=operands)


def _swapped(call):
    """The other half of b's fragment."""
    sums, a, b = call.operands
    *outer, last = b.indices
    return sums, a, rebuild(b, {"indices": (*outer, 2 - last)})


def _row_mask(node):
    is_row = isinstance(node, If) and isinstance(node.cond, Binary)
    is_row = is_row and getattr(node.cond.a, "name", "") in ("m", "m1")
    return node.then if is_row else None


def _last(node):
    """Nobody takes itself for the last."""
    is_it = isinstance(node, Binary) and node.op == "eq" and isinstance(node.a, Load)
    if is_it and node.a.buffer.name == "arrived":
        return binary("eq", node.a, Const(SPLITS, node.a.dtype))
    return None


def _no_meeting(node):
    """Neither before the ticket nor after it."""
    is_it = isinstance(node, Barrier) and "split_k.py" in node.where
    return seq() if is_it else None


ASYNC = r"asynchronous copy|copy is on its way|in flight"
RACE = r"race|with no barrier between"
# name: (what is wrong with the program, what is said of it)
BROKEN = {
    "missing wait": (_without("copy_wait"), ASYNC),
    "wait too deep": (
        _changed("copy_wait", immediates=lambda call: (call.immediates[0] + 1,)),
        ASYNC,
    ),
    "missing commit": (_without("copy_commit"), ASYNC),
    "missing barrier": (
        lambda node: seq() if isinstance(node, Barrier) else None,
        f"{RACE}|{ASYNC}|uninitialised",
    ),
    "stage that is being filled": (
        _let("stage1", lambda value: (value + 2) % 3),
        f"{ASYNC}|{RACE}",
    ),
    "swizzle off by one": (_xor(lambda n: binary("xor", n.a, (n.b + 1) % 4)), WRONG),
    "no swizzle": (_xor(lambda n: n.a), WRONG),
    "divergent mma": (_some_lanes("mma_f16"), r"divergent|some lanes of a warp|deadlock"),
    "divergent load": (_some_lanes("load_matrix"), r"divergent|some lanes of a warp|deadlock"),
    "missing zero fill": (
        _changed("copy_async", operands=lambda call: (*call.operands[:2], wrap(True))),
        f"{WRONG}|out of bounds|outside",
    ),
    "misaligned copy": (_moved(1), f"{WRONG}|misaligned|outside"),
    "copies one vector further": (_moved(8), f"{WRONG}|out of bounds|outside"),
    "not transposed": (
        _changed("load_matrix", immediates=lambda call: (call.immediates[0], 0)),
        WRONG,
    ),
    "half of another fragment": (_changed("mma_f16", operands=_swapped), WRONG),
    "missing row mask": (_row_mask, f"out of bounds|outside|{RACE}|{WRONG}"),
    "split-k: nobody is last": (_last, r"tickets is left as \[2"),
    "split-k: no barrier at the ticket": (_no_meeting, f"{RACE}|uninitialised"),
}


@functools.cache
def _product(splits):
    """A product whose second operand is no constant, so that it is transposed on its way."""
    net = Net()
    y = net.matmul(net.x(M, K, dtype=f16), net.x(K, N, dtype=f16))
    graph = net.done(net.relu(net.add(y, net.const(N, dtype=np.float16))))

    def pick(found):
        ours = next(c for c in found if isinstance(c.config, MmaConfig))
        return ours._replace(config=MmaConfig(32, 32, 32, 16, 16, 3, splits))

    feeds = feeds_of(graph)
    return graph, compiled(graph, pick, H200), feeds, run_graph(graph, feeds)["y0"]


def _outcome(change, splits, run):
    """What is said of the changed program, None if nothing is wrong."""
    _, result, feeds, expected = _product(splits)
    (kernel,) = result.kernels
    whole = kernel.program
    lane = next(n.var for n in walk(whole) if isinstance(n, Let) and n.var.name == "lane")
    takes_lane = change.__code__.co_argcount == 2
    body = rewrite(whole.body, (lambda n: change(n, lane)) if takes_lane else change)
    kernel.program = rebuild(whole, {"body": body})
    try:
        found = result.interpret(feeds, run)["y0"]
    except (CudaError, ProgramError, AssertionError) as error:
        return str(error)
    finally:
        kernel.program = whole
    error = np.abs(found.astype(np.float32) - expected.astype(np.float32)).max()
    return None if error < 0.1 else WRONG


def _unchanged(node):
    return None


@pytest.mark.parametrize("splits", [1, SPLITS])
def test_without_a_mistake(splits):
    for seed in (0, 1, 7):
        run = functools.partial(run_emulated, seed=seed)
        assert _outcome(_unchanged, splits, run) is None
    assert _outcome(_unchanged, splits, interpret) is None


@pytest.mark.parametrize("name", BROKEN)
def test_caught(name):
    change, why = BROKEN[name]
    splits = SPLITS if "split-k" in name else 1
    said = [_outcome(change, splits, functools.partial(run_emulated, seed=s)) for s in (0, 1, 7)]
    found = [text for text in said if text is not None]
    assert found, f"{name}: not caught"
    assert all(re.search(why, text) for text in found), found
    assert None not in said or why != WRONG, said


@pytest.mark.parametrize("name", [name for name in BROKEN if "split-k" not in name])
def test_the_interpreter_catches_it_too(name):
    change, why = BROKEN[name]
    text = _outcome(change, 1, interpret)
    assert text is not None and re.search(why, text), text
