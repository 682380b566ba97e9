"""Every dumped kernel's repro.py builds it alone, agrees with the reference and times it."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from hidet_core import CompileOptions, compile_graph
from hidet_core.__main__ import main

ROOT = Path(__file__).parents[3]


def _load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GRAPHS = {make.__name__: make for make in _load(Path(__file__).with_name("graphs.py")).ALL}


@pytest.fixture
def dumped(tmp_path, monkeypatch):
    """dumped(name): the kernel folders of that graph's dump."""
    monkeypatch.setenv("HIDET_WORKERS", "0")

    def compile_and_list(name):
        compile_graph(GRAPHS[name](), CompileOptions(dump_dir=str(tmp_path)))
        return sorted(tmp_path.glob("*/kernel_*"))

    return compile_and_list


@pytest.mark.parametrize("name", GRAPHS)
def test_kernels_are_repeated_alone(name, dumped, capsys, monkeypatch):
    folders = dumped(name)
    assert folders
    for folder in folders:
        monkeypatch.setattr(sys, "argv", sys.argv)  # repro sets it for the script
        assert main(["repro", str(folder), "--repeats", "2"]) == 0
        out = capsys.readouterr().out
        assert " equal, largest error" in out and "DIFFERENT" not in out, out
        assert "of 2 runs" in out


def test_another_batch_and_threads(dumped, capsys):
    (folder,) = dumped("matmul")
    assert "repro.symbol('n', 4)" in (folder / "repro.py").read_text()
    assert main(["repro", str(folder), "--size", "n=7", "--threads", "2", "--seed", "3"]) == 0
    assert "float32[21, 30] equal" in capsys.readouterr().out


def test_a_concat_is_kept(dumped):
    first, second = dumped("concat")
    assert "repro.emit('concat', relu, relu_1, axis=1)" in (first / "repro.py").read_text()
    assert "repro.output(concat)" in (second / "repro.py").read_text()


def test_an_unknown_symbol_is_refused(dumped):
    (folder,) = dumped("softmax")
    with pytest.raises(SystemExit, match="no symbol m; there is none"):
        main(["repro", str(folder), "--size", "m=7"])


def test_a_wrong_result_is_told(dumped, monkeypatch, capsys):
    (folder,) = dumped("softmax")
    edited = (folder / "repro.py").read_text()
    assert "'softmax'" in edited
    monkeypatch.setattr("hidet_core.commands.repro.TOLERANCE", -1.0)
    with pytest.raises(SystemExit) as exit_:
        main(["repro", str(folder), "--repeats", "0"])
    assert exit_.value.code == 1
    assert "DIFFERENT" in capsys.readouterr().out


def test_no_dump_no_repro(tmp_path):
    with pytest.raises(SystemExit, match="is not the dump of a kernel"):
        main(["repro", str(tmp_path)])


def test_the_script_runs_by_itself(dumped):
    (folder,) = dumped("softmax")
    first = (folder / "source.ll").read_text().splitlines()[0]
    assert first == f"; repeat: python -m hidet_core repro {folder}"
    done = subprocess.run(
        [sys.executable, folder / "repro.py", "--repeats", "1"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "HIDET_CACHE": "off", "HIDET_WORKERS": "0"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "out0: float32[5, 33] equal" in done.stdout
