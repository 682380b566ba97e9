"""Pictures of task mappings: which worker does each task, and as its how-manieth.

A cell shows `worker` or, where workers do several tasks, `worker:step`. ASCII for terminals, SVG
for documents.
"""

from __future__ import annotations

import ast
import itertools
from typing import Any

from .mapping import TaskMapping, repeat, spatial

_ATOMS = {"spatial": spatial, "repeat": repeat}
_COLOURS = ("#d9e8fb", "#fde7d3", "#dcf3dc", "#f6dcec", "#ece5fa", "#fbf6cf", "#d8f3f1", "#eee2d6")


def parse(text: str) -> TaskMapping:
    """The mapping of a text such as "spatial(4, 8) * repeat(2, 4, ranks=[1, 0])".

    Raises ValueError on anything else, and for bad extents or ranks.
    """
    try:
        return _mapping(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, TypeError, RecursionError, MemoryError) as error:
        hint = "write for instance 'spatial(4, 8) * repeat(2, 4)'"
        raise ValueError(f"not a task mapping: {text!r} ({error}); {hint}") from None


def _mapping(node: ast.expr) -> TaskMapping:
    """Of a syntax tree: nothing is evaluated but the calls of atoms and their products."""
    match node:
        case ast.BinOp(left, ast.Mult(), right):
            return _mapping(left) * _mapping(right)
        case ast.Call(ast.Name(name), extents, keywords) if name in _ATOMS:
            ranks = {str(keyword.arg): _value(keyword.value) for keyword in keywords}
            return _ATOMS[name](*(_value(extent) for extent in extents), **ranks)
    raise TypeError(f"{ast.unparse(node)} is neither an atom nor a product")


def _value(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise TypeError(f"{ast.unparse(node)} is no number") from None


def _cells(mapping: TaskMapping) -> dict[tuple[int, ...], str]:
    several = mapping.num_steps > 1
    table = mapping.inverse()
    return {task: f"{w}:{s}" if several else str(w) for task, (w, s) in table.items()}


def draw_ascii(mapping: TaskMapping) -> str:
    """The task grid as text; leading dims beyond two become one block each, "-" is a task that
    nobody does. Raises ValueError where a task is done twice.
    """
    cells = _cells(mapping)
    shape = mapping.shape if len(mapping.shape) > 1 else (1, *mapping.shape)
    cells = cells if len(mapping.shape) > 1 else {(0, *task): cell for task, cell in cells.items()}
    width = max(map(len, cells.values()))
    each = f"{mapping.num_workers} workers x {mapping.num_steps} tasks"
    legend = "worker:step" if mapping.num_steps > 1 else "worker"
    lines = [f"{mapping}   ({each}, {legend})"]
    for lead in itertools.product(*map(range, shape[:-2])):
        if lead:
            lines.append(f"[{', '.join(map(str, lead))}, ...]")
        for row in range(shape[-2]):
            texts = (cells.get((*lead, row, col), "-") for col in range(shape[-1]))
            lines.append(" ".join(text.rjust(width) for text in texts))
    return "\n".join(lines)


def draw_svg(mapping: TaskMapping, size: int = 36) -> str:
    """The task grid of a mapping of one or two dims as an SVG document; one colour per worker
    (cyclic). size: of a cell in pixels. Raises ValueError for more dims.
    """
    if len(mapping.shape) > 2:
        raise ValueError(
            f"an SVG drawing needs one or two dims, {mapping} has {len(mapping.shape)}"
        )
    rows, cols = mapping.shape if len(mapping.shape) == 2 else (1, *mapping.shape)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" '
        f'width="{cols * size + 2}" height="{rows * size + 2}" '
        f'font-family="monospace" font-size="{size // 3}" text-anchor="middle">'
    ]
    for task, (worker, step) in mapping.inverse().items():
        row, col = task if len(task) == 2 else (0, *task)
        x, y = col * size + 1, row * size + 1
        label = f"{worker}:{step}" if mapping.num_steps > 1 else f"{worker}"
        colour = _COLOURS[worker % len(_COLOURS)]
        parts.append(
            f'<rect x="{x}" y="{y}" width="{size}" height="{size}" fill="{colour}" stroke="#555"/>'
        )
        parts.append(f'<text x="{x + size // 2}" y="{y + size * 5 // 8}">{label}</text>')
    return "\n".join([*parts, "</svg>"])
