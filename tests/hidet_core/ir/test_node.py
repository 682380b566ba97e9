"""The one traversal: rewrites keep what they do not touch, walks meet every object once."""

from hidet_core.ir.dtypes import f32, i64
from hidet_core.ir.expr import Binary, Buffer, Const, Load, Reduce, Var, load, reduce
from hidet_core.ir.node import rebuild, rewrite, walk
from hidet_core.ir.printer import text
from hidet_core.ir.stmt import For, Let, OnMapping, Seq, Store, seq
from hidet_core.ir.structure import key, same
from hidet_core.ir.substitute import refold, substitute
from hidet_core.mapping import spatial

I0, J, N, T = Var("i"), Var("j"), Var("n"), Var("t")
X, Y = Buffer("x", f32, (8, N)), Buffer("y", f32, (8,))


def _body():
    return For(I0, Const(8, i64), Let(T, I0 * 2, Store(Y, (T,), load(X, I0, J) * 2.0)))


def test_a_rewrite_that_changes_nothing_returns_the_same_object():
    body = _body()
    assert rewrite(body, lambda node: None) is body
    assert substitute(body, {N: Const(3, i64)}) is body
    assert rewrite((body, body), lambda node: None)[0] is body


def test_only_the_path_to_a_change_is_new():
    first, second = Store(Y, (I0,), load(X, I0, J)), Store(Y, (J,), Const(1.0, f32))
    both = seq(first, second)
    changed = substitute(both, {I0: Const(3, i64)})
    assert changed is not both
    assert changed.stmts[1] is second
    assert text(changed) == "y[3] = x[3, j]\ny[j] = 1.0\n"


def test_a_shared_object_is_rewritten_once():
    shared = load(Y, I0)
    seen = []
    rewrite(shared * shared + shared, lambda node: seen.append(node) if node is shared else None)
    assert seen == [shared]
    result = rewrite(shared * shared, lambda node: J if isinstance(node, Load) else None)
    assert result.a is result.b is J


def test_walk_goes_parents_first_and_meets_every_object_once():
    value = load(Y, I0)
    total = value * value
    assert list(walk(total)) == [total, value, I0]
    assert list(walk((I0, (J, I0)))) == [I0, J]


def test_rebuild():
    total = I0 + J
    assert rebuild(total, {"a": I0}) is total
    other = rebuild(total, {"a": N})
    assert (other.a, other.b, other.op) == (N, J, "add")
    store = Store(Y, (I0,), load(Y, J), where="me.py:3")
    assert rebuild(store, {"value": Const(0.0, f32)}).where == "me.py:3"


def test_substitution_folds():
    assert text(substitute((I0 * 8 + J) * N, {I0: Const(0, i64), J: Const(1, i64)})) == "n"
    kept = I0 * 8 + J
    assert substitute(kept, {N: Const(0, i64)}) is kept
    assert refold(kept) is None
    grown = Binary("mul", kept, Const(1, i64), i64)
    assert refold(grown) is kept


def test_fresh_copies_bind_their_own_variables():
    body = _body()
    copy = substitute(body, {J: Const(0, i64)}, fresh=True)
    assert copy.var is not I0
    assert copy.body.var is not T
    assert text(copy) == text(substitute(body, {J: Const(0, i64)}))
    inner = copy.body.body
    assert inner.indices == (copy.body.var,)
    assert inner.value.a.indices[0] is copy.var
    mapped = OnMapping((I0,), spatial(4), N, Store(Y, (I0,), Const(0.0, f32)))
    assert substitute(mapped, {}, fresh=True).vars[0] is not I0
    total = reduce("sum", (J,), (N,), load(X, I0, J))
    fresh = substitute(total, {}, fresh=True)
    assert isinstance(fresh, Reduce)
    assert fresh.axes[0] is not J
    assert fresh.value.indices[1] is fresh.axes[0]


def test_seq_is_flat():
    one, two = Store(Y, (I0,), Const(0.0, f32)), Store(Y, (J,), Const(1.0, f32))
    assert seq(one) is one
    assert seq(None, one, seq(two, seq())).stmts == (one, two)
    assert seq() is not None
    assert isinstance(seq(), Seq)


def test_equal_structure():
    assert same(I0 + J, J + I0)
    assert same(load(X, I0, J), load(X, I0, J))
    assert same(3, Const(3, i64))
    assert not same(I0 - J, J - I0)
    assert not same(load(Y, I0), load(Buffer("y", f32, (8,)), I0))
    assert not same(I0, Var("i"))
    assert not same(Const(1, i64), Const(1.0, f32))
    assert not same(Const(0.0, f32), Const(-0.0, f32))
    assert same(Const(float("nan"), f32), Const(float("nan"), f32))
    assert len({key(I0 * 2), key(2 * I0), key(I0 * 3)}) == 2
