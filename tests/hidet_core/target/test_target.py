"""Rows of CPUs, and what the probe makes of a machine."""

import pytest

from hidet_core.base.errors import Unsupported
from hidet_core.build import assembly
from hidet_core.target import AVX2, AVX512, CPUS, CUDAS, host, probe


def test_host_is_a_whole_row():
    cpu = host()
    assert cpu.name in CPUS
    assert cpu.vector_bytes * cpu.registers in (32 * 16, 64 * 32)
    assert 16 << 10 <= cpu.l1_bytes < cpu.l2_bytes
    assert cpu.lanes(4) == cpu.vector_bytes // 4
    assert host() is cpu


def test_code_key_holds_what_code_depends_on():
    assert AVX2.code_key != AVX512.code_key


def _write_cache(folder, index, level, kind, size):
    entry = folder / f"index{index}"
    entry.mkdir()
    for name, text in (("level", level), ("type", kind), ("size", size)):
        (entry / name).write_text(f"{text}\n")


def test_cache_sizes(tmp_path):
    _write_cache(tmp_path, 0, 1, "Data", "48K")
    _write_cache(tmp_path, 1, 1, "Instruction", "32K")
    _write_cache(tmp_path, 2, 2, "Unified", "2M")
    _write_cache(tmp_path, 3, 3, "Unified", "unknown")
    (tmp_path / "index4").mkdir()
    assert probe.cache_sizes(tmp_path) == {1: 48 << 10, 2: 2 << 20}
    assert probe.cache_sizes(tmp_path / "missing") == {}


@pytest.mark.parametrize("present", ["avx512", "avx2", "sse"])
def test_rows_by_features(monkeypatch, present):
    has = {"avx512": ("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx2", "fma", "f16c"),
           "avx2": ("avx2", "fma", "f16c"), "sse": ("sse2",)}[present]  # fmt: skip

    class Features(dict):
        def flatten(self):
            return ",".join(f"+{name}" for name in self)

    monkeypatch.setattr(
        probe.binding, "get_host_cpu_features", lambda: Features.fromkeys(has, True)
    )
    probe.host.cache_clear()
    try:
        if present == "sse":
            with pytest.raises(Unsupported, match="needs avx2"):
                host()
        else:
            assert host().isa == present
    finally:
        probe.host.cache_clear()


@pytest.mark.parametrize(
    ("name", "extra", "rate"),
    [("znver4", (), 1), ("znver5", (), 2), ("rocketlake", (), 1), ("rocketlake", ("amx-tile",), 2)],
)
def test_multiply_adds_of_a_cycle(monkeypatch, name, extra, rate):
    flags = ("avx512f", "avx512bw", "avx512dq", "avx512vl", *extra)

    class Features(dict):
        def flatten(self):
            return ""

    monkeypatch.setattr(
        probe.binding, "get_host_cpu_features", lambda: Features.fromkeys(flags, True)
    )
    monkeypatch.setattr(probe.binding, "get_host_cpu_name", lambda: name)
    probe.host.cache_clear()
    try:
        assert host().fma_per_cycle == rate
    finally:
        probe.host.cache_clear()


@pytest.mark.parametrize(("cpu", "register"), [(AVX2, "ymm"), (AVX512, "zmm")])
def test_rows_make_llvm_use_their_vectors(cpu, register):
    lanes = cpu.lanes(4)
    text = f"""define <{lanes} x float> @f(ptr %p) {{
      %x = load <{lanes} x float>, ptr %p, align 4
      %y = fadd <{lanes} x float> %x, %x
      ret <{lanes} x float> %y
    }}"""
    assert register in assembly(text, cpu)


@pytest.mark.parametrize("cuda", CUDAS.values(), ids=lambda cuda: cuda.name)
def test_rows_of_nvidia(cuda):
    assert cuda.name == cuda.arch and cuda.flags == {"arch": cuda.arch}
    assert cuda.shared_bytes_per_block < cuda.shared_bytes_per_multiprocessor
    assert {"cp_async", "mma_f16"} <= cuda.features
    full = cuda.threads_per_multiprocessor // 256
    assert cuda.resident_blocks(256, 32, 0) == full
    assert cuda.resident_blocks(256, 255, 0) == 1
    assert cuda.resident_blocks(32, 16, 0) == cuda.blocks_per_multiprocessor
    assert cuda.resident_blocks(256, 32, cuda.shared_bytes_per_block) == 1
    assert cuda.resident_blocks(256, 32, cuda.shared_bytes_per_block + 1024) == 0
