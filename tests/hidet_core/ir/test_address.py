"""Where elements lie: row-major unless the buffer says otherwise."""

from hidet_core.ir.address import flat, strides_of
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Buffer, Var, wrap
from hidet_core.ir.printer import text

N, ROW, COLUMN = Var("n"), Var("i"), Var("j")


def test_row_major():
    assert strides_of(Buffer("x", f32, (2, 3, 4))) == (12, 4, 1)
    assert strides_of(Buffer("x", f32, ())) == ()
    outer, inner = strides_of(Buffer("x", f32, (4, N)))
    assert (text(outer), inner) == ("n", 1)


def test_flat():
    assert text(flat(Buffer("x", f32, (4, N)), (ROW, COLUMN))) == "i * n + j"
    assert text(flat(Buffer("x", f32, (4, 8), (1, 4)), (ROW, COLUMN))) == "i + j * 4"
    assert text(flat(Buffer("x", f32, (4, 8)), (wrap(1), wrap(2)))) == "10"
    assert text(flat(Buffer("x", f32, ()), ())) == "0"
