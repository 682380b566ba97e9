"""Groups the supported nodes of a graph into the fewest convex groups.

In: for each node (numbered in topological order) its predecessors, and whether it is supported.
Out: groups of node numbers. A group is convex: no path leaves it and comes back, so that it can be
one node. No two groups could be one, and no assignment has fewer groups.

The phase of a supported node is the largest number of times a path to it left supported nodes and
came back; nodes of one phase are a group. Along any path phases never fall, and a path through an
unsupported node raises them: so a group is convex. A node of phase p + 1 has an unsupported node
and above it a node of phase p: so no two groups can be one.
"""

from __future__ import annotations

from collections.abc import Sequence


def convex_groups(
    predecessors: Sequence[Sequence[int]], supported: Sequence[bool]
) -> list[list[int]]:
    """Groups in an order in which they can run; nodes in each are in ascending order."""
    phases: list[int] = []
    for node, before in enumerate(predecessors):
        assert all(other < node for other in before), "nodes must be in topological order"
        if supported[node]:
            # at least 0; one more than an unsupported predecessor's
            steps = [phases[other] + (not supported[other]) for other in before]
            phases.append(max(steps, default=0))
        else:
            # -1: no supported node above it
            phases.append(max((phases[other] for other in before), default=-1))
    groups: dict[int, list[int]] = {}
    for node, phase in enumerate(phases):
        if supported[node]:
            groups.setdefault(phase, []).append(node)
    return [groups[phase] for phase in sorted(groups)]
