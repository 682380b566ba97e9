"""A config that the compiler rejects (for spills) makes way for the next one, and stays known."""

import pytest

from hidet_core import CompileOptions, Rejected, Unsupported, compile_graph
from hidet_core.build import toolchains
from tests.hidet_core.compiled import Net


def matmul():
    net = Net()
    return net.done(net.matmul(net.x(24, 40), net.const(40, 32)))


@pytest.fixture
def compiler(monkeypatch):
    """A compiler that rejects the first `rejects` sources and counts them all."""
    monkeypatch.setenv("HIDET_WORKERS", "0")
    real = toolchains.TOOLCHAINS["cpu"]

    class Picky:
        rejects = 0
        sources = 0

        def translate(self, text, **flags):
            self.sources += 1
            if self.sources <= self.rejects:
                raise Rejected(f"source {self.sources} spills")
            return real.translate(text, **flags)

    picky = Picky()
    changed = real._replace(translate=picky.translate)
    monkeypatch.setitem(toolchains.TOOLCHAINS, "cpu", changed)
    return picky


def configs(**options):
    report = compile_graph(matmul(), CompileOptions(target="cpu", **options)).report
    return [kernel.config for kernel in report.kernels]


def test_the_next_config_is_taken(compiler, cache_dir):
    best = configs(cache=False)
    compiler.sources, compiler.rejects = 0, 2
    third = configs()
    assert third != best and compiler.sources == 3


def test_the_cache_remembers_what_was_rejected(compiler, cache_dir):
    compiler.rejects = 2
    first = configs()
    compiler.rejects = 0
    assert configs() == first and compiler.sources == 3


def test_a_kernel_all_of_whose_configs_are_rejected(compiler, cache_dir, tmp_path):
    compiler.rejects = 1 << 30
    with pytest.raises(Unsupported, match=r"hidet_matmul: no config compiles; .*: source 1 spills"):
        configs(dump_dir=str(tmp_path))
    (noted,) = tmp_path.rglob("rejected.txt")
    assert len(noted.read_text().splitlines()) == compiler.sources
