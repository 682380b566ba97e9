"""Choose a template and a config for a problem: what the cost models of the templates that accept
it like best.

(Tuned tables and measured records come before the cost models once there are any.)
"""

from __future__ import annotations

from typing import NamedTuple

from hidet_core.base.errors import Unsupported
from hidet_core.target.cpu import Cpu

from .config import Config
from .cpu import TEMPLATES
from .problem import Problem, Scheduled
from .template import Template


class Candidate(NamedTuple):
    """cost: predicted nanoseconds on one core."""

    cost: float
    template: Template
    config: Config


def templates_for(problem: Problem) -> list[Template]:
    """The templates that can schedule a problem; general ones only where no other can. Raises
    Unsupported where none can.
    """
    taking = [t for t in TEMPLATES if problem.op in t.ops and t.accepts(problem)]
    special = [template for template in taking if not template.is_general]
    if not taking:
        types = [f"{b.dtype}[{len(b.shape)} dims]" for b in problem.inputs]
        raise Unsupported(problem.op, f"no schedule template takes inputs {', '.join(types)}")
    return special or taking


def candidates(problem: Problem, target: Cpu) -> list[Candidate]:
    """All valid configs, best first. Raises Unsupported where there is none."""
    templates = templates_for(problem)
    found = [
        Candidate(cost, template, config)
        for template in templates
        for cost, config in template.candidates(problem, target)
    ]
    if not found:
        names = " or ".join(type(template).__name__ for template in templates)
        raise Unsupported(problem.op, f"no valid config of {names} on {target.name}")
    return sorted(found, key=lambda candidate: candidate.cost)


def schedule(problem: Problem, target: Cpu) -> Scheduled:
    """The problem's program with the chosen config."""
    _, template, config = candidates(problem, target)[0]
    return template.build(problem, config, target)
