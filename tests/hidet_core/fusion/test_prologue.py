"""Prologues: loads become values, through chains, under masks, equal ones as one object."""

from hidet_core.compute.definition import compute
from hidet_core.fusion import fuse_prologue, inline, name_shared
from hidet_core.ir.dtypes import f32, i64
from hidet_core.ir.expr import Buffer, Const, Load, Var, both, load, select, unary, wrap
from hidet_core.ir.node import rebuild, walk
from hidet_core.ir.printer import text
from hidet_core.ir.stmt import Call, For, Place, Program, Store, seq

X = Buffer("x", f32, (4, 8))
ROW, COL = Var("i"), Var("j")
ZERO = wrap(0)


def defined(name, value, shape=(8, 4)):
    """(buffer, its definition), for the maps that fusion takes."""
    definition = compute(name, f32, shape, value)
    return definition.out, definition


def kernel(body, *params):
    return Program("kernel", params, (), ROW, Const(4, i64), (), body)


def test_loads_of_other_buffers_stay():
    turned, definition = defined("turned", lambda i, j: load(X, j, i) * 2.0)
    before = kernel(Store(X, (ROW, COL), load(X, ROW, COL)), X)
    assert fuse_prologue(before, {turned: definition}) is before
    assert fuse_prologue(before, {}) is before


def test_chains():
    turned, first = defined("turned", lambda i, j: load(X, j, i) * 2.0)
    flat, second = defined("flat", lambda i: load(turned, i // 4, i % 4) + 1.0, (32,))
    value = inline(load(flat, ROW * 4 + COL), {turned: first, flat: second})
    assert text(value) == "x[(i * 4 + j) % 4, (i * 4 + j) // 4] * 2.0 + 1.0"


def test_masks_reach_the_loads_inside():
    """Where the mask is off, the index may be anything: nothing may be read."""
    a = Buffer("a", f32, (8, 4))
    double, definition = defined("double", lambda i, j: load(a, i, j) * load(X, j, i))
    inside = COL < 3
    value = inline(Load(double, (ROW, COL), f32, inside), {double: definition})
    assert text(value) == "a[i, j if j < 3] * x[j, i if j < 3]"
    own, masked = defined("own", lambda i, j: Load(a, (i, j), f32, i < 5))
    value = inline(Load(own, (ROW, COL), f32, inside), {own: masked})
    (only,) = [node for node in walk(value) if isinstance(node, Load)]
    assert text(only.mask) == text(both(inside, ROW < 5))


def test_equal_loads_of_a_statement_are_one_object():
    exp, definition = defined("exp", lambda i, j: unary("exp", load(X, j, i)))
    value = load(exp, ROW, COL) * load(exp, ROW, COL) + load(exp, COL, ROW)
    done = inline(value, {exp: definition})
    assert done.a.a is done.a.b and done.b is not done.a.a


def test_shared_values_are_named_once():
    """x * tanh(x), three times: linear, not 2**3."""
    definitions, last = {}, X
    for level in range(3):
        tanh, one = defined(
            f"tanh{level}", lambda i, j, x=last: unary("tanh", load(x, i, j)), (4, 8)
        )
        last, two = defined(
            f"mul{level}", lambda i, j, x=last, t=tanh: load(x, i, j) * load(t, i, j), (4, 8)
        )
        definitions |= {tanh: one, last: two}
    out = Buffer("out", f32, (4, 8))
    before = kernel(Store(out, (ROW, COL), load(last, ROW, COL)), X, out)
    after = name_shared(fuse_prologue(before, definitions))
    assert [line.strip() for line in text(after).splitlines()[5:]] == [
        "shared = x[i, j] * tanh(x[i, j])",
        "shared_1 = shared * tanh(shared)",
        "out[i, j] = shared_1 * tanh(shared_1)",
    ]


def test_names_do_not_leave_their_statement():
    """The same load in two loops: each computes it for itself."""
    exp, definition = defined("exp", lambda i, j: unary("exp", load(X, j, i)))
    out = Buffer("out", f32, (8,))
    square = load(exp, ROW, COL) * load(exp, ROW, COL)
    loops = [For(COL, Const(4, i64), Store(out, (COL,), square)) for _ in range(2)]
    after = name_shared(fuse_prologue(kernel(seq(*loops), X, out), {exp: definition}))
    assert text(after).count("= exp(x[j, i])") == 2


def test_index_arithmetic_gets_no_name():
    at = ROW * 3 + COL
    out = Buffer("out", f32, (64,))
    value = select(both(at >= 1, at < 9), load(X, ROW, at), 0.0)
    before = kernel(Store(out, (at,), value), X, out)
    assert name_shared(before) is before


def test_shared_conditions_on_data_are_named():
    exp, definition = defined("exp", lambda i, j: unary("exp", load(X, j, i)))
    leaky, second = defined(
        "leaky", lambda i, j: select(load(exp, i, j) > 1.0, load(exp, i, j), 0.0)
    )
    out = Buffer("out", f32, (8, 4))
    before = kernel(Store(out, (ROW, COL), load(leaky, ROW, COL)), X, out)
    after = name_shared(fuse_prologue(before, {exp: definition, leaky: second}))
    assert [line.strip() for line in text(after).splitlines()[5:]] == [
        "shared = exp(x[j, i])", "out[i, j] = select(shared > 1.0, shared, 0.0)",
    ]  # fmt: skip


def test_a_copy_of_computed_values_is_a_store():
    tile = Buffer("tile", f32, (4, 4), None, "shared")
    turned, definition = defined("turned", lambda i, j: load(X, j, i) * 2.0)

    def copied(inside):
        to, source = Place(tile, (ROW, ZERO), 4), Place(turned, (COL, ZERO), 4)
        before = kernel(Call("copy_async", (to, source, inside), (4,)), turned)
        return text(fuse_prologue(before, {turned: definition}).body)

    assert copied(wrap(True)) == ("for lane in lanes(4):\n    tile[i, lane] = x[lane, j] * 2.0\n")
    assert copied(COL < 3) == (
        "if j < 3:\n"
        "    for lane in lanes(4):\n"
        "        tile[i, lane] = x[lane, j] * 2.0\n"
        "else:\n"
        "    for lane_1 in lanes(4):\n"
        "        tile[i, lane_1] = 0.0\n"
    )
    plain = Call("copy_async", (Place(tile, (ROW, ZERO), 4), Place(X, (ROW, ZERO), 4)), (4,))
    before = kernel(rebuild(plain, {"operands": (*plain.operands, wrap(True))}), X)
    assert fuse_prologue(before, {turned: definition}) is before
