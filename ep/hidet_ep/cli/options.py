"""`hidet-ep options`: the options of the provider, from the table in hidet_ep/options.py."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any

from hidet_ep.options import describe


def add(commands: Any) -> None:
    command = commands.add_parser("options", help="the options of the provider")
    command.set_defaults(command=options)


def options(_: argparse.Namespace) -> int:
    for key, default, allowed, help in describe():
        print(f"{key} = {default or '(empty)'}    allowed: {allowed}")
        print(textwrap.fill(help, 90, initial_indent="    ", subsequent_indent="    "))
    return 0
