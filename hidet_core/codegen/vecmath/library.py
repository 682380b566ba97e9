"""Calls of elementary functions: each (function, dtype) is an internal LLVM function, written on
its first use.
"""

from __future__ import annotations

from ...base.errors import CompilerBug
from ...ir.dtypes import DType


def call(w, op: str, dtype: DType, *arguments: str) -> str:
    raise CompilerBug("codegen", f"no operation {op!r} on {dtype}")
