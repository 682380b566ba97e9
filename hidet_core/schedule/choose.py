"""Choose a template and a config for a problem: the first template that accepts it, the config its
cost model likes best.

(Tuned tables and measured records come before the cost model once there are any.)
"""

from __future__ import annotations

from hidet_core.base.errors import Unsupported
from hidet_core.target.cpu import Cpu

from .config import Config
from .cpu import TEMPLATES
from .problem import Problem, Scheduled
from .template import Template


def template_for(problem: Problem) -> Template:
    """The template of a problem. Raises Unsupported where no template takes it."""
    for template in TEMPLATES:
        if problem.op in template.ops and template.accepts(problem):
            return template
    shapes = ", ".join(
        f"{b.dtype}{list(b.shape)}"
        for b in problem.inputs
        if all(isinstance(d, int) for d in b.shape)
    )
    raise Unsupported(
        problem.op, f"no schedule template takes inputs {shapes or 'of these shapes'}"
    )


def choose(problem: Problem, target: Cpu) -> tuple[Template, Config]:
    """Template and config. Raises Unsupported where no config is valid."""
    template = template_for(problem)
    found = template.candidates(problem, target)
    if not found:
        raise Unsupported(
            problem.op, f"no valid config of {type(template).__name__} on {target.name}"
        )
    return template, found[0][1]


def schedule(problem: Problem, target: Cpu) -> Scheduled:
    """The problem's program with the chosen config."""
    template, config = choose(problem, target)
    return template.build(problem, config, target)
