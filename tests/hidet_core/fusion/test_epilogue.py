"""Epilogues: golden texts of fused programs, and what is stored of a chain."""

import pytest

from hidet_core.base.errors import CompilerBug
from hidet_core.compute.definition import compute
from hidet_core.fusion import Step, fuse_epilogue
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Buffer, Const, Var, load, maximum
from hidet_core.ir.printer import text
from hidet_core.ir.stmt import Program, Store


def program(value=None, buffer=None):
    """out[t, 3] = x[t] * 2."""
    task, x = Var("task"), Buffer("x", f32, (4,))
    out = buffer or Buffer("out", f32, (4, 5))
    stored = Store(
        out, (task, Const(3, task.dtype)), load(x, task) * 2.0 if value is None else value
    )
    return Program("kernel", (x, out), (), task, Const(4, task.dtype), (), stored), out


def step(name, *mains, shape=(4, 5), place=lambda index: index, value=None):
    definition = compute(name, f32, shape, value or (lambda *i: load(mains[0], *i) + 1.0))
    return Step(definition, mains, place)


def lines(program):
    return [line.strip() for line in text(program).splitlines()[4:]]


def test_nothing_to_fuse():
    before, out = program()
    assert fuse_epilogue(before, out, (), {out}) is before


def test_a_chain_is_stored_at_its_end():
    before, out = program()
    plus = step("plus", out)
    relu = step(
        "relu", plus.definition.out, value=lambda *i: maximum(load(plus.definition.out, *i), 0)
    )
    after = fuse_epilogue(before, out, (plus, relu), {relu.definition.out})
    assert lines(after)[1:] == [
        "out_1 = x[task] * 2.0", "plus = out_1 + 1.0", "relu = max(plus, 0.0)",
        "relu_1[task, 3] = relu",
    ]  # fmt: skip


def test_values_used_outside_are_stored_too():
    before, out = program()
    plus, times = (
        step("plus", out),
        step("times", out, value=lambda *i: load(out, *i) * load(out, *i)),
    )
    stored = {out, plus.definition.out, times.definition.out}
    after = lines(fuse_epilogue(before, out, (plus, times), stored))
    assert after[1:] == [
        "out_1 = x[task] * 2.0", "plus = out_1 + 1.0", "times = out_1 * out_1",
        "out[task, 3] = out_1", "plus_1[task, 3] = plus", "times_1[task, 3] = times",
    ]  # fmt: skip


def test_elements_move():
    """A transpose, then an operator that reads another tensor at the new index."""
    before, out = program()
    turned = step("turned", out, shape=(5, 4), place=lambda i: (i[1], i[0]),
                  value=lambda i, j: load(out, j, i))  # fmt: skip
    other = Buffer("other", f32, (5, 4))
    total = step("total", turned.definition.out, shape=(5, 4),
                 value=lambda *i: load(turned.definition.out, *i) + load(other, *i))  # fmt: skip
    after = fuse_epilogue(before, out, (turned, total), {total.definition.out})
    assert lines(after)[1:] == [
        "out_1 = x[task] * 2.0", "total = out_1 + other[3, task]", "total_1[3, task] = total",
    ]  # fmt: skip


def test_values_that_are_names_or_constants_get_no_name():
    before, out = program(value=Const(7.0, f32))
    copy = step("copy", out, value=lambda *i: load(out, *i))
    after = fuse_epilogue(before, out, (copy,), {copy.definition.out})
    assert lines(after)[1:] == ["copy[task, 3] = 7.0"]


def test_the_mask_of_the_store_stays():
    before, out = program()
    masked = Store(out, before.body.indices, before.body.value, before.task < 3)
    before = Program(before.name, before.params, (), before.task, before.tasks, (), masked)
    plus = step("plus", out)
    after = lines(fuse_epilogue(before, out, (plus,), {plus.definition.out}))
    assert after[-1] == "plus_1[task, 3 if task < 3] = plus"


def test_mistakes_are_bugs():
    before, out = program()
    plus = step("plus", out)
    with pytest.raises(CompilerBug, match="no value of the chain after out is stored"):
        fuse_epilogue(before, out, (plus,), set())
    other = Buffer("other", f32, (4, 5))
    with pytest.raises(CompilerBug, match="never stores other"):
        fuse_epilogue(before, other, (step("plus", other),), {other})


def test_an_empty_output_is_never_stored():
    empty = Buffer("empty", f32, (0, 5))
    before, _ = program()
    plus = step("plus", empty, shape=(0, 5))
    assert fuse_epilogue(before, empty, (plus,), {empty}).body is before.body
