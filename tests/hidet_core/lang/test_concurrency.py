"""Threads write programs at once: sessions compile in the threads that make them."""

import threading

from hidet_core.base.errors import ProgramError
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Buffer
from hidet_core.ir.printer import text
from hidet_core.lang import Tensor, barrier, build, parallel, threads

COUNT = 3


def filled(value, meet):
    """A program that stores a value; `meet` is called between any two steps of writing it."""
    out = Buffer("out", f32, (8,))
    with build(f"fill{value}", [out]) as slot:
        meet()
        for (i,) in parallel(8):
            meet()
            Tensor(out)[i] = float(value)
            meet()
    return text(slot.program)


def test_programs_of_threads_that_write_in_turns():
    expected = [filled(value, lambda: None) for value in range(COUNT)]
    turns, found = threading.Barrier(COUNT, timeout=30), {}

    def write(value):
        found[value] = filled(value, turns.wait)

    writers = [threading.Thread(target=write, args=(value,)) for value in range(COUNT)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [found.get(value) for value in range(COUNT)] == expected


def test_a_thread_does_not_write_into_the_program_of_another():
    errors = []

    def intrude():
        try:
            barrier()
        except ProgramError as error:
            errors.append(str(error))

    with build("empty", []) as slot:
        for (_,) in parallel(1):
            for _ in threads(32):
                thread = threading.Thread(target=intrude)
                thread.start()
                thread.join()
                barrier()
    assert len(errors) == 1 and "no program is being written" in errors[0]
    assert text(slot.program).count("barrier") == 1
