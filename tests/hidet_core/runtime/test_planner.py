"""The arena planner's invariants, on random lifetimes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hidet_core._runtime import plan_offsets

buffers = st.lists(
    st.tuples(
        st.integers(0, 5000),
        st.integers(0, 12),
        st.integers(-1, 12),
        st.sampled_from([None, None, "a", "b"]),
    ),
    max_size=30,
)


def plan(rows):
    sizes, first, length, keys = [list(column) for column in zip(*rows, strict=True)] or [[]] * 4
    last = [begin + more for begin, more in zip(first, length, strict=True)]
    offsets, total = plan_offsets(sizes, first, last, keys)
    used = [
        size if begin <= end else 0 for size, begin, end in zip(sizes, first, last, strict=True)
    ]
    return list(zip(offsets, used, first, last, keys, strict=True)), total


def overlap(begin, size, other_begin, other_size):
    return begin < other_begin + other_size and other_begin < begin + size


@settings(max_examples=300, deadline=None)
@given(buffers)
def test_invariants(rows):
    placed, total = plan(rows)
    for offset, size, *_ in placed:
        assert offset % 64 == 0
        assert 0 <= offset and offset + size <= total
    for i, (offset, size, first, last, key) in enumerate(placed):
        for other_offset, other_size, other_first, other_last, other_key in placed[:i]:
            if not size or not other_size or not overlap(offset, size, other_offset, other_size):
                continue
            assert not (first <= other_last and other_first <= last), "alive at the same time"
            assert key == other_key, "a halo shares with another layout"
            if key is not None:
                assert (offset, size) == (other_offset, other_size)


@settings(max_examples=100, deadline=None)
@given(buffers)
def test_never_more_than_all_and_never_less_than_needed(rows):
    placed, total = plan(rows)
    rounded = [(size + 63) // 64 * 64 for _, size, *_ in placed]
    assert total <= sum(rounded)
    for now in range(26):
        alive = [r for r, p in zip(rounded, placed, strict=True) if p[2] <= now <= p[3]]
        assert total >= sum(alive)


def test_a_chain_takes_two_buffers():
    count = 10
    _, total = plan_offsets(
        [640] * count, list(range(count)), list(range(1, count + 1)), [None] * count
    )
    assert total == 1280


def test_a_small_buffer_takes_the_smallest_gap():
    sizes, first, last = [640, 128, 640, 64, 640, 64], [0, 0, 0, 0, 0, 1], [9, 0, 9, 0, 9, 9]
    offsets, total = plan_offsets(sizes, first, last, [None] * 6)
    assert total == sum(sizes[:5])
    assert offsets[5] in (offsets[1], offsets[1] + 64, offsets[3])


def test_halos_of_one_key_share_when_not_alive_together():
    offsets, total = plan_offsets([256] * 4, [0, 1, 2, 3], [1, 2, 3, 4], ["k", "k", "k", "other"])
    assert offsets[0] == offsets[2] != offsets[1]
    assert total == 3 * 256


def test_halos_of_one_key_and_other_size_do_not_share():
    offsets, _ = plan_offsets([256, 512], [0, 5], [1, 6], ["k", "k"])
    assert offsets[0] != offsets[1]


@pytest.mark.parametrize("sizes", [[-1], [1 << 62, 1], [1 << 61, 1 << 61, 1 << 61]])
def test_impossible_sizes(sizes):
    with pytest.raises(ValueError, match="too much memory"):
        plan_offsets(sizes, [0] * len(sizes), [0] * len(sizes), [None] * len(sizes))
