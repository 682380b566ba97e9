"""The order of all passes: programs compute the same after each of them, and keep its spec."""

import numpy as np
import pytest
from hypothesis import given, settings

from hidet_core.ir.printer import text
from hidet_core.ir.verify import verify
from hidet_core.lower import LOWERING, expand_mapping
from tests.hidet_core.lower.programs import every_recipe, recipes, run, write


def _check_every_pass(recipe):
    program = expand_mapping(write(recipe))
    want = run(program, recipe)
    for lower in LOWERING[2:]:
        program = lower(program)
        verify(program, lower.gives, lower.__name__)
        np.testing.assert_array_equal(run(program, recipe), want, err_msg=text(program))


@settings(max_examples=60, deadline=None)
@given(recipes())
def test_random_programs(recipe):
    _check_every_pass(recipe)


@pytest.mark.parametrize("recipe", every_recipe(), ids=lambda r: f"{r.style}-{r.body}")
def test_bodies_and_styles(recipe):
    _check_every_pass(recipe)


def test_a_program_through_all_passes(golden):
    recipe = next(r for r in every_recipe() if (r.style, r.body) == ("lanes", "clamped"))
    program = write(recipe)
    golden(text(program), "0_scheduled")
    assert LOWERING[0](program) is program  # it has no 16-bit floats
    for number, lower in enumerate(LOWERING[1:], 1):
        program = lower(program)
        golden(text(program), f"{number}_{lower.__name__}")


def test_lowered_programs_stay_as_they_are():
    program = write(every_recipe()[0])
    for lower in LOWERING:
        program = lower(program)
    for lower in (*LOWERING[:2], *LOWERING[3:]):
        assert lower(program) is program
