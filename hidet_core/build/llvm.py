"""LLVM IR text to the bytes of an ELF relocatable object, with llvmlite.

The object is position-independent and needs nothing from outside but memcpy, memset and memmove:
kernels bring their own mathematics. The loop vectoriser, SLP and interleaving are off: programs
come vectorised and unrolled.
"""

from __future__ import annotations

import functools

from llvmlite import binding

from hidet_core.base.errors import CompilerBug
from hidet_core.target.cpu import Cpu
from .elf import undefined_symbols

ALLOWED_SYMBOLS = frozenset({"memcpy", "memset", "memmove"})
TRIPLE = "x86_64-unknown-linux-gnu"
TOOLCHAIN = f"llvmlite {'.'.join(map(str, binding.llvm_version_info))}"


def compile_object(text: str, cpu: Cpu) -> bytes:
    """The object file of a module. Raises CompilerBug where LLVM refuses it or it calls out."""
    try:
        return translate(text, cpu.llvm_cpu, cpu.features)
    except ValueError as error:
        raise CompilerBug("LLVM", str(error)) from error


def translate(text: str, llvm_cpu: str, features: str) -> bytes:
    """compile_object for worker processes: raises ValueError with the reason alone."""
    machine = _machine(llvm_cpu, features)
    try:
        module = binding.parse_assembly(text)
        module.verify()
    except RuntimeError as error:
        raise ValueError(str(error).strip()) from error
    _optimise(module, machine)
    image = machine.emit_object(module)
    calls_out = sorted(undefined_symbols(image) - ALLOWED_SYMBOLS)
    if calls_out:
        raise ValueError(f"the kernel calls {', '.join(calls_out)}, which it does not bring along")
    return image


def assembly(text: str, cpu: Cpu) -> str:
    """The machine code of a module as text, for people."""
    machine = _machine(cpu.llvm_cpu, cpu.features)
    module = binding.parse_assembly(text)
    _optimise(module, machine)
    return machine.emit_assembly(module)


@functools.cache
def _machine(cpu: str, features: str) -> binding.TargetMachine:
    """One target machine per cpu, kept for ever: freeing one while its code is in use crashes."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    target = binding.Target.from_triple(TRIPLE)
    return target.create_target_machine(
        cpu=cpu, features=features, opt=3, reloc="pic", codemodel="small"
    )


def _optimise(module: binding.ModuleRef, machine: binding.TargetMachine) -> None:
    options = binding.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = False
    options.slp_vectorization = False
    options.loop_interleaving = False
    options.loop_unrolling = False
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
