"""The table of importable ONNX operators: (domain, op type) -> functions by the opset version they
hold from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hidet_core.base.errors import CompilerBug

Handler = Callable[[Any], Any]
MICROSOFT = "com.microsoft"

HANDLERS: dict[tuple[str, str], dict[int, Handler]] = {}


def onnx_op(op_type: str, since: int = 1, domain: str = "") -> Callable[[Handler], Handler]:
    """The decorated function imports `op_type` nodes of `since` and later versions (up to the next
    row's)."""

    def add(handler: Handler) -> Handler:
        versions = HANDLERS.setdefault((domain, op_type), {})
        if since in versions:
            raise CompilerBug("importer", f"{op_type} since {since} is registered twice")
        versions[since] = handler
        return handler

    return add


def find_handler(domain: str, op_type: str, version: int) -> Handler | str:
    """The function for a node, or the reason why there is none."""
    domain = "" if domain == "ai.onnx" else domain
    versions = HANDLERS.get((domain, op_type))
    shown = f"{domain}.{op_type}" if domain else op_type
    if versions is None:
        return f"operator {shown} is not supported"
    fitting = [since for since in versions if since <= version]
    if not fitting:
        return f"operator {shown} is supported from opset {min(versions)}, the model has {version}"
    return versions[max(fitting)]
