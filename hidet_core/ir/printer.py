"""Programs and expressions as text, for dumps, golden tests and error messages.

One statement a line, Python-like, precedence-aware. Variables that share a name get a suffix by
order of appearance. The text of a program is also its key in the kernel cache: whatever changes the
generated code must show in it.
"""

from __future__ import annotations

from typing import Any

from .dtypes import DType, boolean, f32, i64
from .expr import (
    Binary,
    Broadcast,
    Buffer,
    Cast,
    Const,
    Expr,
    Load,
    Ramp,
    Reduce,
    Select,
    Unary,
    Var,
    is_const,
)
from .fold import COMPARISONS
from .stmt import Barrier, Call, For, If, Let, OnMapping, Place, Prefetch, Program, Seq, Stmt, Store
from .tensor_map import TensorMap, tensor_of

_SYMBOLS = {
    "or": ("|", 1), "xor": ("^", 2), "and": ("&", 3), "lt": ("<", 4), "le": ("<=", 4),
    "gt": (">", 4), "ge": (">=", 4), "eq": ("==", 4), "ne": ("!=", 4), "shl": ("<<", 5),
    "shr": (">>", 5), "add": ("+", 6), "sub": ("-", 6), "mul": ("*", 7), "div": ("/", 7),
    "floordiv": ("//", 7), "mod": ("%", 7),
}  # fmt: skip


class Printer:
    """Keeps the names it gave to variables and buffers."""

    def __init__(self) -> None:
        self.names: dict[Var | Buffer, str] = {}
        self.taken: set[str] = set()
        self.counts: dict[str, int] = {}

    def name(self, node: Var | Buffer) -> str:
        """A name that no other node has in this text."""
        known = self.names.get(node)
        if known is None:
            known = node.name
            while known in self.taken:
                self.counts[node.name] = self.counts.get(node.name, 0) + 1
                known = f"{node.name}_{self.counts[node.name]}"
            self.taken.add(known)
            self.names[node] = known
        return known

    def expr(self, node: Any, outer: int = 0) -> str:
        """An expression; parenthesised where `outer` binds tighter."""
        match node:
            case Var() | Buffer():
                return self.name(node)
            case Const(value, dtype):
                return _literal(value, dtype)
            case Binary(op, a, b, _) if op in _SYMBOLS:
                symbol, level = _SYMBOLS[op]
                left = level + 1 if op in COMPARISONS else level  # no chains of comparisons
                text = f"{self.expr(a, left)} {symbol} {self.expr(b, level + 1)}"
                return f"({text})" if level < outer else text
            case Binary(op, a, b, _):
                return f"{op}({self.expr(a)}, {self.expr(b)})"
            case Unary(op, a, _):
                return f"{op}({self.expr(a)})"
            case Cast(a, dtype, rounds):
                return f"{dtype}({self.expr(a)})" if rounds else f"{dtype}~({self.expr(a)})"
            case Select(cond, a, b, _):
                return f"select({self.expr(cond)}, {self.expr(a)}, {self.expr(b)})"
            case Load(buffer, indices, _, mask):
                where = "" if mask is None else f" if {self.expr(mask)}"
                return f"{self.name(buffer)}[{', '.join(self.expr(i) for i in indices)}{where}]"
            case Reduce(op, axes, extents, value, _):
                over = ", ".join(
                    f"{self.name(a)}<{self.expr(e)}" for a, e in zip(axes, extents, strict=True)
                )
                return f"{op}[{over}]({self.expr(value)})"
            case Ramp(base, stride, dtype):
                step = "" if is_const(stride, 1) else f", step={self.expr(stride)}"
                return f"ramp({self.expr(base)}, {dtype.lanes}{step})"
            case Place(buffer, indices, count):
                place = ", ".join(self.expr(i) for i in indices)
                return f"{self.name(buffer)}[{place}{f' : +{count}' if count > 1 else ''}]"
            case Broadcast(a, dtype):
                return f"splat({self.expr(a)}, {dtype.lanes})"
        return str(node)

    def stmt(self, node: Stmt, indent: int) -> list[str]:
        """The lines of a statement."""
        pad = "    " * indent
        match node:
            case Seq(stmts):
                return [line for s in stmts for line in self.stmt(s, indent)] or [f"{pad}pass"]
            case Store(buffer, indices, value, mask, _):
                where = "" if mask is None else f" if {self.expr(mask)}"
                target = f"{self.name(buffer)}[{', '.join(self.expr(i) for i in indices)}{where}]"
                return [f"{pad}{target} = {self.expr(value)}"]
            case Prefetch(buffer, indices, level):
                place = f"{self.name(buffer)}[{', '.join(self.expr(i) for i in indices)}]"
                return [f"{pad}prefetch({place}, level={level})"]
            case Barrier():
                return [f"{pad}barrier()"]
            case Call(name, operands, immediates):
                fixed = f"<{', '.join(map(str, immediates))}>" if immediates else ""
                return [f"{pad}{name}{fixed}({', '.join(self.expr(o) for o in operands)})"]
            case For(var, extent, body, kind):
                loop = "range" if kind == "serial" else kind
                head = f"{pad}for {self.name(var)} in {loop}({self.expr(extent)}):"
                return [head, *self.stmt(body, indent + 1)]
            case OnMapping(names, mapping, worker, body, unroll):
                targets = ", ".join(self.name(v) for v in names) + ("," if len(names) == 1 else "")
                kind = "on" if unroll else "loops"
                head = f"{pad}for {targets} in ({mapping}).{kind}({self.expr(worker)}):"
                return [head, *self.stmt(body, indent + 1)]
            case If(cond, then, orelse):
                lines = [f"{pad}if {self.expr(cond)}:", *self.stmt(then, indent + 1)]
                other = [] if orelse is None else self.stmt(orelse, indent + 1)
                return [*lines, f"{pad}else:", *other] if other else lines
            case Let(var, value, body):
                return [f"{pad}{self.name(var)} = {self.expr(value)}", *self.stmt(body, indent)]
        raise TypeError(f"cannot print {type(node).__name__}")

    def buffer(self, node: Buffer) -> str:
        """A buffer's declaration."""
        shape = ", ".join(self.expr(d) for d in node.shape)
        text = f"{self.name(node)}: {node.dtype}[{shape}]"
        if node.strides is not None:
            text += f" strides [{', '.join(self.expr(s) for s in node.strides)}]"
        if isinstance(node, TensorMap):
            of = self.name(tensor_of(node))
            return f"{text} map of {of} box {list(node.box)} swizzle {node.swizzle}"
        promised = node.alignment and node.scope == "global"
        return f"{text} align {node.alignment}" if promised else text

    def program(self, node: Program) -> str:
        """The whole program."""
        lines = [f"program {node.name}("]
        lines += [f"    {self.buffer(p)}," for p in node.params]
        lines += [f"    {self.name(s)}: i64," for s in node.scalars]
        lines.append("):")
        lines += [f"    {b.scope} {self.buffer(b)}" for b in node.locals]
        lines.append(f"    for {self.name(node.task)} in tasks({self.expr(node.tasks)}):")
        return "\n".join([*lines, *self.stmt(node.body, 2)]) + "\n"


def _literal(value: Any, dtype: DType) -> str:
    """A constant; its dtype is written unless it is the one that a Python number would get."""
    natural = {bool: boolean, int: i64, float: f32}
    if dtype.scalar != natural.get(type(value)):
        return f"{value!r}:{dtype}"
    return repr(value) if dtype.lanes == 1 else f"{value!r}[x{dtype.lanes}]"


def text(node: Any) -> str:
    """The text of a program, statement, buffer or expression."""
    printer = Printer()
    if isinstance(node, Program):
        return printer.program(node)
    if isinstance(node, Stmt):
        return "\n".join(printer.stmt(node, 0)) + "\n"
    if isinstance(node, Buffer):
        return printer.buffer(node)
    return printer.expr(node) if isinstance(node, Expr) else str(node)
