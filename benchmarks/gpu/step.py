"""What the steps share: their arguments, and a result file that is written as they go."""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path


class Output:
    """The result of a step, written anew at each note, so that nothing is lost at its limit."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.end = path, time.monotonic() + seconds
        self.result: dict[str, object] = {}

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()

    def note(self, **figures: object) -> None:
        self.result.update(figures)
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.result, indent=1) + "\n")
        part.replace(self.path)


def main(
    run: Callable[[Output, argparse.Namespace], int | None],
    add: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> int:
    """Parse the arguments that every step has, and those that `add` adds; run the step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True, help="where the result goes, JSON")
    parser.add_argument("--seconds", type=float, default=60.0, help="the step's time")
    parser.add_argument("--tiny", action="store_true", help="sizes for the emulated device")
    add(parser)
    args = parser.parse_args()
    output = Output(args.out, args.seconds)
    return run(output, args) or 0
