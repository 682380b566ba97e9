"""Rows of text -> an aligned table for a terminal, or a Markdown table.

The first column is aligned to the left, the others to the right; an empty header marks a column of
remarks, aligned to the left as well. `footer` rows come below a second rule.
"""

from collections.abc import Sequence

Row = Sequence[str]


def render_text(header: Row, rows: Sequence[Row], footer: Sequence[Row] = ()) -> str:
    every = [header, *rows, *footer]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    left = [number == 0 or not title for number, title in enumerate(header)]
    rule = "  ".join("─" * width for width in widths)
    lines = [_align(row, widths, left) for row in every]
    lines.insert(1, rule)
    if footer:
        lines.insert(len(lines) - len(footer), rule)
    return "\n".join(lines)


def _align(row: Row, widths: Sequence[int], left: Sequence[bool]) -> str:
    cells = zip(row, widths, left, strict=True)
    return "  ".join(c.ljust(w) if is_left else c.rjust(w) for c, w, is_left in cells).rstrip()


def render_markdown(header: Row, rows: Sequence[Row], left: bool = False) -> str:
    """left: every column is text; otherwise all but the first are figures."""
    marks = ["---", *["---" if left else "---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, marks, *rows))
