"""convex_groups on random graphs: every supported node once, convex, runnable in order, maximal."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hidet_ep.convex import convex_groups


@st.composite
def graphs(draw):
    size = draw(st.integers(0, 14))
    before = [
        sorted(draw(st.sets(st.integers(0, node - 1), max_size=3))) if node else []
        for node in range(size)
    ]
    return before, draw(st.lists(st.booleans(), min_size=size, max_size=size))


def ancestors(before):
    above = []
    for nodes in before:
        above.append(set(nodes).union(*(above[node] for node in nodes)))
    return above


def is_convex(group, above):
    """No node outside is below one member and above another."""
    members = set(group)
    needed = set().union(*(above[node] for node in group)) - members
    return not any(above[node] & members for node in needed)


@given(graphs())
def test_groups_partition_the_supported_nodes(graph):
    before, supported = graph
    groups = convex_groups(before, supported)
    assert sorted(itertools.chain(*groups)) == [n for n, good in enumerate(supported) if good]
    assert all(group == sorted(group) for group in groups)


@given(graphs())
def test_groups_are_convex_and_come_in_order(graph):
    before, supported = graph
    above, done = ancestors(before), set()
    for group in convex_groups(before, supported):
        assert is_convex(group, above)
        needed = set().union(*(above[node] for node in group)) - set(group)
        assert {node for node in needed if supported[node]} <= done
        done |= set(group)


@given(graphs())
def test_no_two_groups_could_be_one(graph):
    before, supported = graph
    above = ancestors(before)
    for one, two in itertools.combinations(convex_groups(before, supported), 2):
        assert not is_convex(one + two, above)


def test_a_supported_graph_is_one_group():
    assert convex_groups([[], [0], [0], [1, 2], []], [True] * 5) == [[0, 1, 2, 3, 4]]


def test_order_is_checked():
    with pytest.raises(AssertionError, match="topological"):
        convex_groups([[1], []], [True, True])
