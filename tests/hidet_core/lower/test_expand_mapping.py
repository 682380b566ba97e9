"""Task mappings become loops; customs become copies."""

from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Buffer, Var, cast
from hidet_core.ir.node import walk
from hidet_core.ir.printer import text
from hidet_core.ir.stmt import For, OnMapping
from hidet_core.lang import Tensor, build, custom, let, loops, parallel, repeat, spatial
from hidet_core.lower import expand_mapping

Y = Buffer("y", f32, (8, 8))


def _written(write):
    with build("p", [Y]) as slot:
        for (task,) in parallel(16):
            write(Tensor(Y), task)
    return slot.program


def test_atoms_and_compositions(golden):
    def write(y, w):
        for i, j in (repeat(2, 4) * spatial(1, 2)).on(w % 2):
            y[i, j] = cast(i, f32)
        for i, j in loops(repeat(2, 2, ranks=[1, 0]) * spatial(4, 4), w):
            y[i, j] = 0.0
        for i, j in spatial(8, 2, ranks=[1, 0]).on(w):
            for (k,) in repeat(4).on(w * 0):
                y[i, j * 4 + k] = 1.0

    golden(text(expand_mapping(_written(write))))


def test_custom_mappings_are_copied_with_their_own_variables(golden):
    swizzle = custom((4, 8), 16, lambda w: [(w // 4, w % 4), (w // 4, (w + 1) % 4 + 4)], "swizzle")

    def write(y, w):
        for i, j in (repeat(2, 1) * swizzle).on(w):
            value = let("value", cast(j, f32))
            y[i, j] = value + value

    program = expand_mapping(_written(write))
    golden(text(program))
    lets = [node.var for node in walk(program) if hasattr(node, "var") and node.var.name == "value"]
    assert len(lets) == len(set(lets)) == 4


def test_no_mapping_is_left():
    def write(y, w):
        for i, j in (spatial(2, 2) * repeat(4, 4)).on(w % 4):
            y[i, j] = 0.0

    program = expand_mapping(_written(write))
    kinds = [node.kind for node in walk(program) if isinstance(node, For)]
    assert kinds == ["unroll", "unroll"]
    assert not any(isinstance(node, OnMapping) for node in walk(program))
    assert isinstance(program.task, Var)
