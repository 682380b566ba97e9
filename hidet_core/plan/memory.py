"""Lifetimes of temporary buffers: the first and the last launch that uses each.

The native runtime places the buffers in an arena by these (offsets depend on the symbols' values).
A launch reads and writes all its arguments, so two buffers of one launch never share memory.
"""

from __future__ import annotations

from .model import BufferKind, Plan

NEVER = (0, -1)


def lifetimes(plan: Plan) -> tuple[tuple[int, int], ...]:
    """(first, last) launch of every buffer, both included; NEVER if it is not TEMP or not used."""
    alive: dict[int, tuple[int, int]] = {}
    for position, launch in enumerate(plan.launches):
        for arg in launch.args:
            first, _ = alive.get(arg.buffer, (position, position))
            alive[arg.buffer] = (first, position)
    return tuple(
        alive.get(index, NEVER) if buffer.kind is BufferKind.TEMP else NEVER
        for index, buffer in enumerate(plan.buffers)
    )
