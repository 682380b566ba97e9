"""LLVM IR to objects: what they may need from outside, and what is refused."""

import pytest

from hidet_core.base.errors import CompilerBug
from hidet_core.build.elf import undefined_symbols
from hidet_core.build.llvm import assembly, compile_object
from hidet_core.target import AVX2, host

ADD = """define i64 @add(i64 %a, i64 %b) {
  %c = add i64 %a, %b
  ret i64 %c
}"""
COPY = """declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
define void @copy(ptr %a, ptr %b, i64 %n) {
  call void @llvm.memcpy.p0.p0.i64(ptr %a, ptr %b, i64 %n, i1 false)
  ret void
}"""
CALL = """declare double @llvm.exp.f64(double)
define double @call(double %x) {
  %y = call double @llvm.exp.f64(double %x)
  ret double %y
}"""


def test_object_for_any_cpu():
    for cpu in (host(), AVX2):
        image = compile_object(ADD, cpu)
        assert image[:4] == b"\x7fELF"
        assert undefined_symbols(image) == set()


def test_memcpy_is_the_only_kind_of_call_out():
    assert undefined_symbols(compile_object(COPY, host())) == {"memcpy"}
    with pytest.raises(CompilerBug, match="calls exp, which it does not bring along"):
        compile_object(CALL, host())


def test_text_that_llvm_refuses():
    with pytest.raises(CompilerBug, match="expected"):
        compile_object("define i64 @f(", host())


def test_equal_text_gives_equal_objects():
    assert compile_object(ADD, host()) == compile_object(ADD, host())


def test_assembly_is_text():
    assert "add:" in assembly(ADD, host())


def test_not_an_object():
    with pytest.raises(ValueError, match="ELF"):
        undefined_symbols(b"something else")
