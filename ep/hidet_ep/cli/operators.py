"""`hidet-ep operators`: what HidetEP takes, as a table: opsets, element types, refused cases."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any

from hidet_core import OperatorSupport, describe_operators

WIDTH = 96
FAMILIES = {
    "floats": ("bf16", "f16", "f32", "f64"),
    "signed": ("i8", "i16", "i32", "i64"),
    "unsigned": ("u8", "u16", "u32", "u64"),
}


def add(commands: Any) -> None:
    command = commands.add_parser("operators", help="the operators that can run in HidetEP")
    command.add_argument("names", nargs="*", help="only these, e.g. Resize Gelu")
    command.set_defaults(command=operators)


def operators(args: argparse.Namespace) -> int:
    known = describe_operators()
    unknown = set(args.names) - {one.op_type for one in known}
    for one in known:
        if not args.names or one.op_type in args.names:
            print(f"{_name(one)}  opset {_opsets(one)}  {types(one)}")
            for text in one.refused:
                print(textwrap.fill(text, WIDTH, initial_indent="    not: "))
    for name in sorted(unknown):
        print(f"{name}: not supported; such nodes stay with ONNX Runtime")
    return 1 if unknown else 0


def rows() -> list[list[str]]:
    """The table of docs/operators.md: operator, opsets, element types, what is refused."""
    return [
        [f"`{_name(one)}`", _opsets(one), types(one), "; ".join(map(_escaped, one.refused))]
        for one in describe_operators()
    ]


def types(one: OperatorSupport) -> str:
    """Element types of the first input, whole families by one word."""
    names, found = list(one.types), []
    for family, members in FAMILIES.items():
        if set(members) <= set(names):
            found.append(family)
            names = [name for name in names if name not in members]
    return " ".join((*found, *names))


def _name(one: OperatorSupport) -> str:
    return f"{one.domain}.{one.op_type}" if one.domain else one.op_type


def _opsets(one: OperatorSupport) -> str:
    return f"{min(one.since)}+" if not one.domain else "any"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
