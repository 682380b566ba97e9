"""The debug ladder (HIDET_DEBUG, option `debug`): what the compiler tells on standard error.

1 one line per model; 2 and one per kernel with its estimate; 3 and the configs that were rejected,
with the rule; 4 and the source of every kernel; 5 and the program after every stage.
"""

from __future__ import annotations

import sys

MODELS, KERNELS, CONFIGS, SOURCE, STAGES = 1, 2, 3, 4, 5


def tell(message: str) -> None:
    """Say it to whoever set HIDET_DEBUG."""
    for line in message.rstrip("\n").split("\n"):
        print(f"[hidet] {line}", file=sys.stderr)
