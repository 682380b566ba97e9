"""Choose a template and a config for a problem: the tuned table's entry first, then what the cost
models of the templates that accept it like best.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from hidet_core.base.errors import Unsupported
from hidet_core.target import Target

from .config import Config
from .cpu import TEMPLATES as CPU_TEMPLATES
from .cuda import TEMPLATES as CUDA_TEMPLATES
from .problem import Problem, Scheduled
from .template import Template
from .tuned import Best, find, problem_key

# by kind of target; the order is that in which templates are asked
TEMPLATES: dict[str, tuple[Template, ...]] = {"cpu": CPU_TEMPLATES, "cuda": CUDA_TEMPLATES}


class Candidate(NamedTuple):
    """cost: predicted nanoseconds, on one core of a CPU or on the whole GPU."""

    cost: float
    template: Template
    config: Config

    @property
    def names(self) -> Best:
        """As tuned tables and records call it."""
        return Best(type(self.template).__name__, str(self.config))


def templates_for(problem: Problem, target: Target) -> list[Template]:
    """The templates of a target that can schedule a problem; general ones only where no other can.
    Raises Unsupported where none can.
    """
    taking = [t for t in TEMPLATES[target.kind] if problem.op in t.ops and t.accepts(problem)]
    special = [template for template in taking if not template.is_general]
    if not taking:
        types = [f"{b.dtype}[{len(b.shape)} dims]" for b in problem.inputs]
        raise Unsupported(problem.op, f"no schedule template takes inputs {', '.join(types)}")
    return special or taking


def candidates(problem: Problem, target: Target) -> list[Candidate]:
    """All valid configs, best first. Raises Unsupported where there is none."""
    templates = templates_for(problem, target)
    found = [
        Candidate(cost, template, config)
        for template in templates
        for cost, config in template.candidates(problem, target)
    ]
    if not found:
        names = " or ".join(type(template).__name__ for template in templates)
        raise Unsupported(problem.op, f"no valid config of {names} on {target.name}")
    return sorted(found, key=lambda candidate: candidate.cost)


def schedules(
    problem: Problem,
    target: Target,
    known: dict[str, list[Candidate]] | None = None,
    own: Mapping[str, Best] | None = None,
) -> Iterator[Scheduled]:
    """The problem's program with each config, best first: the compiler may reject some. known: the
    candidates of problems for this target by their key, to which those of this one are added. own:
    the user's tuned table, which goes before the package's. Raises Unsupported where there is none.
    """
    key = problem_key(problem)
    found = None if known is None else known.get(key)
    if found is None:
        found = ranked(problem, target, own)
        if known is not None:
            known[key] = found
    for _, template, config in found:
        yield template.build(problem, config, target)


def ranked(
    problem: Problem, target: Target, own: Mapping[str, Best] | None = None
) -> list[Candidate]:
    """All valid configs: the tuned table's entry, then by the cost models. Raises Unsupported where
    there is none.
    """
    key, found = problem_key(problem), candidates(problem, target)
    best = (own or {}).get(key) or find(key, target.name)
    if best is not None:  # a stable sort: the others keep their order
        found.sort(key=lambda candidate: candidate.names != best)
    return found
