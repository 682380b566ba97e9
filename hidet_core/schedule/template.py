"""Schedule templates: problem class -> space(target) -> check -> build (Hidet, ASPLOS'23, section
4.3).

A template serves one or several operator names on one kind of target. Its space does not depend on
input sizes: it is built from the hardware's sizes; sizes only decide which config is predicted to
be best.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from hidet_core.base.errors import Rejected

from .config import Config
from .problem import Problem, Scheduled


class Template(ABC):
    """Subclasses say which operators they schedule and are registered in
    schedule/<target>/__init__.py. `target` is a row of that kind of target.
    """

    ops: tuple[str, ...] = ()
    is_general = False  # serves only problems that no other template accepts

    def accepts(self, problem: Problem) -> bool:
        """Whether this template can schedule the problem (given that its op is one of ours)."""
        return True

    @abstractmethod
    def space(self, problem: Problem, target: Any) -> Iterator[Config]:
        """All configs, at most a few hundred; some may be rejected by `check`."""

    def check(self, problem: Problem, config: Config, target: Any) -> None:
        """Raises Rejected with the broken rule."""

    def cost(self, problem: Problem, config: Config, target: Any) -> float:
        """Predicted nanoseconds, on one core of a CPU or on the whole GPU: comparable between the
        templates of an operator.
        """
        return 0.0

    @abstractmethod
    def build(self, problem: Problem, config: Config, target: Any) -> Scheduled:
        """The scheduled program of this config."""

    def candidates(self, problem: Problem, target: Any) -> list[tuple[float, Config]]:
        """The valid configs with their predicted cost, best first (ties: first in the space)."""
        found: list[tuple[float, Config]] = []
        for config in self.space(problem, target):
            try:
                self.check(problem, config, target)
            except Rejected:
                continue
            found.append((self.cost(problem, config, target), config))
        return sorted(found, key=lambda item: item[0])
