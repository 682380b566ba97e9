"""Pictures of mappings, and the text they are read from."""

import pytest
from hypothesis import given, settings

from hidet_core.mapping import custom, repeat, spatial
from hidet_core.mapping.draw import draw_ascii, draw_svg, parse
from tests.hidet_core.mapping.test_mapping import ANY

DRAWN = {
    "workers": "spatial(2, 4)",
    "steps": "repeat(2, 3, ranks=[1, 0])",
    "tiles": "spatial(2, 2) * repeat(1, 2)",
    "row": "spatial(2) * repeat(3)",
    "cube": "repeat(2, 1, 1) * spatial(1, 2, 2)",
}


@pytest.mark.parametrize("name", DRAWN)
def test_ascii(name, golden):
    golden(draw_ascii(parse(DRAWN[name])))


def test_svg(golden):
    golden(draw_svg(parse(DRAWN["tiles"])))
    with pytest.raises(ValueError, match="one or two dims"):
        draw_svg(parse(DRAWN["cube"]))


def test_tasks_that_nobody_does_are_dashes():
    corner = custom((2, 2), 1, lambda w: [(w, w)])
    assert draw_ascii(corner).splitlines()[1:] == ["0 -", "- -"]


@settings(max_examples=40, deadline=None)
@given(ANY)
def test_the_text_of_a_mapping_reads_back(mapping):
    assert parse(str(mapping)).inverse() == mapping.inverse()


def test_parse():
    assert parse(" (spatial(2, 2)*repeat(1, 4)) ") == spatial(2, 2) * repeat(1, 4)
    assert parse("spatial(2, 2) * (repeat(1, 4) * spatial(3, 1))").num_workers == 12


WRONG = [
    "",
    "spatial",
    "spatial(4",
    "spatial(4) + repeat(2)",
    "spatial(4) * 2",
    "custom(4)",
    "spatial(n)",
    "spatial(2, ranks=[1])",
    "spatial(2, rank=[0])",
    "spatial(0)",
    "spatial(2) * repeat(2, 2)",
    "__import__('os').getcwd()",
    "spatial(9 ** 9)",
    "(" * 300,
]


@pytest.mark.parametrize("text", WRONG)
def test_parse_errors(text):
    with pytest.raises(ValueError):
        parse(text)


def test_a_parse_error_says_what_to_write():
    with pytest.raises(ValueError, match=r"not a task mapping: 'spatial\(n\)' \(n is no number\)"):
        parse("spatial(n)")
