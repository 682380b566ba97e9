"""Pictures of task mappings: which worker does each task, and as its how-manieth.

A cell shows `worker` or, where workers do several tasks, `worker:step`. ASCII for terminals, SVG
for documents.
"""

from __future__ import annotations

import itertools

from .mapping import TaskMapping, custom, repeat, spatial

_COLOURS = ("#d9e8fb", "#fde7d3", "#dcf3dc", "#f6dcec", "#ece5fa", "#fbf6cf", "#d8f3f1", "#eee2d6")


def parse(text: str) -> TaskMapping:
    """The mapping of a text such as "spatial(4, 8) * repeat(2, 4)". Raises ValueError on anything
    else.
    """
    names = {"spatial": spatial, "repeat": repeat, "custom": custom}
    allowed = set("spatialrepeatranks0123456789(),*=[] ")
    if not set(text) <= allowed:
        raise ValueError(
            f"not a task mapping: {text!r}; write for instance 'spatial(4, 8) * repeat(2, 4)'"
        )
    try:
        mapping = eval(text, {"__builtins__": {}}, names)
    except (SyntaxError, NameError, TypeError, AttributeError) as error:
        raise ValueError(f"not a task mapping: {text!r} ({error})") from None
    if not isinstance(mapping, TaskMapping):
        raise ValueError(f"not a task mapping: {text!r}")
    return mapping


def _cells(mapping: TaskMapping) -> dict[tuple[int, ...], str]:
    several = mapping.num_steps > 1
    table = mapping.inverse()
    return {task: f"{w}:{s}" if several else str(w) for task, (w, s) in table.items()}


def draw_ascii(mapping: TaskMapping) -> str:
    """The task grid as text; leading dims beyond two become one block each."""
    cells = _cells(mapping)
    shape = mapping.shape if len(mapping.shape) > 1 else (1, *mapping.shape)
    cells = cells if len(mapping.shape) > 1 else {(0, *task): cell for task, cell in cells.items()}
    width = max(map(len, cells.values()))
    lines = [
        f"{mapping}   ({mapping.num_workers} workers x {mapping.num_steps} tasks, worker:step)"
    ]
    for lead in itertools.product(*map(range, shape[:-2])):
        if lead:
            lines.append(f"[{', '.join(map(str, lead))}, ...]")
        for row in range(shape[-2]):
            texts = (cells.get((*lead, row, col), "-") for col in range(shape[-1]))
            lines.append(" ".join(text.rjust(width) for text in texts))
    return "\n".join(lines)


def draw_svg(mapping: TaskMapping, size: int = 36) -> str:
    """The task grid of a mapping of one or two dims as an SVG document; one colour per worker
    (cyclic).
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
