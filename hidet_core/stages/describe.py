"""What a kernel was made of, as text: the group, where its values lie, the configs tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hidet_core.base.errors import Rejected
from hidet_core.compute.dims import dim_text, shape_text
from hidet_core.graph.graph import Graph, Value, operator_text
from hidet_core.graph.storage import Storage
from hidet_core.schedule.choose import templates_for
from hidet_core.schedule.problem import Problem, Scheduled
from hidet_core.target import Target

from .draft import Draft

SHOWN = 10  # of the valid configs


def group_text(draft: Draft, graph: Graph, storage: Mapping[Value, Storage]) -> str:
    """The operators of a group with their roles, and the storage of every value in memory."""
    group = draft.group
    lines = [f"group {draft.name}"]
    for operator in group.operators:
        role = "prologue" if operator in group.prologue else "epilogue"
        role = "anchor" if operator is group.anchor else role
        source = f"    # {operator.name}" if operator.name else ""
        lines.append(f"  {role:8} {operator_text(operator)}{source}")
    inside = {value for operator in group.operators for value in operator.outputs}
    lines.append("storage")
    for buffer, value in draft.values.items():
        if value not in inside or buffer in draft.stored:
            lines.append(f"  {value!r}: {_place(value, graph, storage)}")
    return "\n".join(lines) + "\n"


def _place(value: Value, graph: Graph, storage: Mapping[Value, Storage]) -> str:
    if value in graph.constants:
        return "constant"
    place = storage[value]
    kind = "own memory"
    if place.root.value is not value:
        kind = f"part of %{place.root.value.name} from element {dim_text(place.offset)}"
    elif place.root.has_halo:
        kind = f"inside a border of zeros {place.root.halo}"
    return f"{kind}, strides {shape_text(place.strides)}"


def config_text(problem: Problem, scheduled: Scheduled, target: Target) -> str:
    """The templates, the config chosen, and all others: predicted cost, or the rule they break."""
    templates = templates_for(problem, target)
    names = ", ".join(type(template).__name__ for template in templates)
    lines = [f"template {names} on {target.name}"]
    lines.append(f"chosen   {scheduled.config or '(has no configs)'}")
    valid, rejected = [], []
    for template in templates:
        for config in template.space(problem, target):
            try:
                template.check(problem, config, target)
                valid.append((template.cost(problem, config, target), config))
            except Rejected as rule:
                rejected.append(f"rejected {config}: {rule}")
    lines += _ranked(sorted(valid, key=lambda item: item[0]))
    return "\n".join([*lines, *rejected]) + "\n"


def _ranked(valid: list[tuple[float, object]]) -> Iterator[str]:
    for cost, config in valid[:SHOWN]:
        yield f"valid    {config}: predicted {cost / 1e3:.2f} us on one core"
    if len(valid) > SHOWN:
        yield f"valid    and {len(valid) - SHOWN} more, predicted slower"
