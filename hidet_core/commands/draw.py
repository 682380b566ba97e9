"""`draw "spatial(4, 8) * repeat(2, 4)"`: the picture of a task mapping."""

from __future__ import annotations

from pathlib import Path

from hidet_core.mapping.draw import draw_ascii, draw_svg, parse


def draw(mapping: str, svg: Path | None) -> None:
    """Print the grid of workers and steps, or write it as SVG. Raises ValueError with the reason
    where the text is not a mapping.
    """
    parsed = parse(mapping)
    if svg is None:
        print(draw_ascii(parsed))
    else:
        svg.write_text(draw_svg(parsed) + "\n")
        print(f"{svg}: {parsed}")
