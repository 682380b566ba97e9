"""Worker processes: parallel, replaced when they die, and never in the way of the host program."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from hidet_core.base.errors import CompilerBug
from hidet_core.build import Builder, KernelCache, Pool, pool
from hidet_core.build.llvm import compile_object
from hidet_core.build.pool import CannotStart, Worker, WorkerDied
from hidet_core.target import host

ROOT = Path(__file__).parents[3]


def _module(number):
    return f"define i64 @f{number}(i64 %a) {{\n  %b = add i64 %a, {number}\n  ret i64 %b\n}}"


def test_many_kernels_in_two_workers():
    with Pool(2) as workers:
        futures = [workers.submit(_module(i), host()) for i in range(20)]
        images = [future.result() for future in futures]
    assert images == [compile_object(_module(i), host()) for i in range(20)]


def test_no_workers_means_in_this_process(monkeypatch):
    monkeypatch.setattr(pool, "Worker", None)
    with Pool(0) as workers:
        assert workers.submit(_module(1), host()).result() == compile_object(_module(1), host())
        with pytest.raises(CompilerBug):
            workers.submit("nonsense", host()).result()


def test_refused_text_is_an_error_of_that_kernel_only():
    with Pool(1) as workers:
        bad = workers.submit("nonsense", host())
        good = workers.submit(_module(1), host())
        with pytest.raises(CompilerBug, match="expected top-level entity"):
            bad.result()
        assert good.result()[:4] == b"\x7fELF"


def test_dead_worker_is_replaced():
    worker = Worker()
    assert worker.compile(_module(1), host())[:4] == b"\x7fELF"
    worker.process.kill()
    worker.process.wait()
    with pytest.raises(WorkerDied, match="exit status -9"):
        worker.compile(_module(2), host())


def test_kernel_survives_the_death_of_its_worker(monkeypatch):
    """The first worker dies on every kernel it gets; the pool starts another one."""
    deaths = []

    class Fragile(Worker):
        def compile(self, text, cpu):
            if not deaths:
                deaths.append(self.process.pid)
                self.process.kill()
            return super().compile(text, cpu)

    monkeypatch.setattr(pool, "Worker", Fragile)
    with Pool(1) as workers:
        futures = [workers.submit(_module(i), host()) for i in range(3)]
        assert [f.result()[:4] for f in futures] == [b"\x7fELF"] * 3
    assert len(deaths) == 1


def test_kernel_that_kills_every_worker_is_an_error(monkeypatch):
    class Doomed(Worker):
        def compile(self, text, cpu):
            if "f0" in text:
                self.process.kill()
            return super().compile(text, cpu)

    monkeypatch.setattr(pool, "Worker", Doomed)
    with Pool(1) as workers:
        futures = [workers.submit(_module(i), host()) for i in range(2)]
        with pytest.raises(CompilerBug, match="compiler process died: exit status -9"):
            futures[0].result()
        assert futures[1].result()[:4] == b"\x7fELF"


@pytest.mark.parametrize("executable", ["/nonexistent/python", "/bin/false"])
def test_where_no_worker_can_start_kernels_are_compiled_here(executable, monkeypatch, caplog):
    monkeypatch.setattr(sys, "executable", executable)
    with pytest.raises(CannotStart, match=executable):
        Worker()
    with Pool(1) as workers:
        assert workers.submit(_module(1), host()).result() == compile_object(_module(1), host())
    assert "compiled in this process" in caplog.text


def test_host_program_is_not_imported_again(tmp_path):
    """A script without a main guard, with a module of its own that has the name of one of ours."""
    (tmp_path / "llvmlite.py").write_text("raise SystemExit('the wrong llvmlite')")
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import sys
        sys.path[0:1] = []
        print("started")
        from hidet_core.build import Pool
        from hidet_core.target import host
        workers = Pool(2)
        text = "define void @f() { ret void }"
        print([workers.submit(text, host()).result()[:4] for _ in range(3)])
        """)
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("started") == 1
    assert done.stdout.count("ELF") == 3


def test_workers_end_when_their_parent_is_killed():
    code = """
    from hidet_core.build.pool import Worker
    import os, signal
    print(Worker().process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    pid = int(done.stdout)
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists() or ") Z " in Path(f"/proc/{pid}/stat").read_text():
            return
        time.sleep(0.05)
    pytest.fail(f"worker {pid} is still running")


def test_builder_compiles_once_and_then_reads(cache_dir):
    with Builder(host(), workers=1) as builder:
        key = builder.key("group", 1)
        assert builder.find(key) is None
        futures = [builder.compile(key, _module(1)) for _ in range(3)]
        assert len({id(f) for f in futures}) == 1
        assert builder.find(key) is futures[0]
        image = futures[0].result()
        builder.build(_module(2)).result()
    with Builder(host(), KernelCache.open(), workers=0) as builder:
        assert builder.find(key).result() == image
        assert builder.build(_module(2)).result() == compile_object(_module(2), host())
        assert (builder.cache.hits, builder.cache.misses) == (2, 0)


def test_builder_does_not_keep_failures(cache_dir):
    with Builder(host(), workers=0) as builder:
        with pytest.raises(CompilerBug):
            builder.build("nonsense").result()
        assert builder.cache.entries() == []
