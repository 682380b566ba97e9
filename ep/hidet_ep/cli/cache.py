"""`hidet-ep cache info|clear`: the folder of compiled kernels."""

from __future__ import annotations

import argparse
from typing import Any

from hidet_core import KernelCache


def add(commands: Any) -> None:
    command = commands.add_parser("cache", help="the folder of compiled kernels")
    command.add_argument("action", choices=("info", "clear"))
    command.add_argument("--dir", help="default: HIDET_CACHE_DIR, else hidet in the user's cache")
    command.set_defaults(command=cache)


def cache(args: argparse.Namespace) -> int:
    with KernelCache.open(args.dir) as opened:
        if opened.path is None:
            print("no cache: it is switched off or its folder cannot be used")
        elif args.action == "clear":
            print(f"{opened.path}: {opened.clear()} kernels removed")
        else:
            entries = opened.entries()
            size = sum(entry.size for entry in entries)
            limit = opened.limit_bytes / 2**20
            print(f"{opened.path}: {len(entries)} kernels, {size / 2**20:.1f} of {limit:.0f} MiB")
    return 0
