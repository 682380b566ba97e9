"""The dump of every stage, the override of a source, the debug ladder, errors that say where."""

import importlib.util
import logging
import re
from pathlib import Path

import numpy as np
import pytest

from hidet_core import CompileOptions, CompilerBug, Unsupported, compile_graph, pipeline
from hidet_core._runtime import Executable
from hidet_core.lower import expand_mapping
from hidet_core.stages import Trace
from hidet_core.stages.trace import Settings

_spec = importlib.util.spec_from_file_location("graphs", Path(__file__).with_name("graphs.py"))
graphs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(graphs)

X = np.random.default_rng(1).standard_normal((5, 33)).astype(np.float32)
STAGES = {"group", "schedule", "fuse_epilogue", "expand_mapping", "vectorize_lanes"}  # some
OTHERS = {"configs.txt", "kernel.s", "repro.py", "source.ll", "times.txt"}


@pytest.fixture(autouse=True)
def compile_here(monkeypatch):
    monkeypatch.setenv("HIDET_WORKERS", "0")


def run(graph, **options):
    compiled = compile_graph(graph, CompileOptions(**options))
    return compiled, Executable(compiled.plan, compiled.constants).run([X])[0]


def test_a_dump_has_every_stage_and_changes_nothing(tmp_path, cache_dir):
    plain, expected = run(graphs.softmax())
    dumped, result = run(graphs.softmax(), dump_dir=str(tmp_path))
    assert dumped.plan == plain.plan and np.array_equal(result, expected)
    (model,) = tmp_path.glob("softmax-*")
    assert sorted(p.name for p in model.iterdir()) == ["graph", "kernel_000_softmax"]
    names = sorted(path.name for path in (model / "kernel_000_softmax").iterdir())
    stages = [name for name in names if name not in OTHERS]
    assert set(names) >= OTHERS and [int(name[:2]) for name in stages] == [*range(len(stages))]
    assert {name[3:-4] for name in stages} >= STAGES
    assert "(unchanged)" in (model / "kernel_000_softmax" / "03_fuse_prologue.txt").read_text()
    assert "hidet_softmax:" in (model / "kernel_000_softmax" / "kernel.s").read_text()


def test_the_group_and_its_configs(tmp_path):
    run_dir = str(tmp_path)
    compile_graph(graphs.matmul(), CompileOptions(dump_dir=run_dir))
    (folder,) = tmp_path.glob("matmul_model-*/kernel_000_*")
    group = (folder / "00_group.txt").read_text()
    assert "anchor   %matmul: f32[n * 3, 30] = matmul(" in group
    assert "epilogue %relu" in group and "%w: f32[20, 30]: constant" in group
    configs = (folder / "configs.txt").read_text()
    assert configs.startswith("template Matmul on ") and "chosen   mr=" in configs


def test_a_repeated_dump_replaces_the_first(tmp_path):
    for _ in range(2):
        run(graphs.softmax(), dump_dir=str(tmp_path))
        (folder,) = tmp_path.glob("softmax-*/kernel_*")
        (folder / "11_stale.txt").write_text("of another version")
    run(graphs.softmax(), dump_dir=str(tmp_path))
    assert not (folder / "11_stale.txt").exists()
    stages = list(folder.glob("[0-9][0-9]_*.txt"))
    assert len((folder / "times.txt").read_text().splitlines()) == len(stages) - 1


def test_partitions_of_one_model_have_their_own_folders(tmp_path):
    for width in (16, 17):
        net = graphs.Net("model")
        x = net.x(4, width)
        compile_graph(net.done(net.emit("relu", x)), CompileOptions(dump_dir=str(tmp_path)))
    assert len(list(tmp_path.glob("model-*"))) == 2


def test_the_knob_dumps_too(tmp_path, monkeypatch):
    monkeypatch.setenv("HIDET_DUMP", str(tmp_path / "deep" / "er"))
    run(graphs.softmax())
    assert list((tmp_path / "deep" / "er").glob("softmax-*/kernel_000_softmax/source.ll"))


def test_a_dump_that_cannot_be_written_costs_a_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        run(graphs.softmax(), dump_dir=str(tmp_path / "file"))
    assert "no dump in" in caplog.text


def test_an_edited_source_replaces_the_generated_one(tmp_path, cache_dir, monkeypatch):
    _, plain = run(graphs.softmax(), dump_dir=str(tmp_path))
    (source,) = tmp_path.glob("*/kernel_000_softmax/source.ll")
    text = source.read_text()
    edited = re.sub(r"  call void @.*", "", text)  # the kernel does nothing
    source.write_text(edited)
    monkeypatch.setenv("HIDET_OVERRIDE", str(tmp_path))
    changed, _ = run(graphs.softmax())
    again, _ = run(graphs.softmax())
    assert changed.plan == again.plan
    source.write_text(text)  # its content counts, not its name: no stale kernel from the cache
    _, same = run(graphs.softmax())
    assert np.array_equal(same, plain)
    monkeypatch.delenv("HIDET_OVERRIDE")
    generated, _ = run(graphs.softmax())
    assert generated.plan != changed.plan


def test_an_edited_source_that_llvm_refuses(tmp_path, monkeypatch):
    run(graphs.softmax(), dump_dir=str(tmp_path))
    (source,) = tmp_path.glob("*/kernel_000_softmax/source.ll")
    source.write_text("define nonsense")
    monkeypatch.setenv("HIDET_OVERRIDE", str(tmp_path))
    with pytest.raises(CompilerBug, match="internal error in LLVM"):
        run(graphs.softmax())


def test_a_failing_stage_leaves_its_input_and_names_the_folder(tmp_path, monkeypatch):
    def flatten_index(program):
        raise KeyError("axis")

    passes = (expand_mapping, flatten_index)
    monkeypatch.setattr(pipeline, "lowering_for", lambda target: passes)
    with pytest.raises(CompilerBug) as caught:
        run(graphs.softmax(), dump_dir=str(tmp_path))
    (folder,) = tmp_path.glob("*/kernel_*")
    assert str(caught.value) == (
        f"internal error in the stage after 'expand_mapping': KeyError: 'axis' (dump: {folder})"
    )
    assert "program hidet_softmax" in (folder / "06_expand_mapping.txt").read_text()
    assert "KeyError" in (folder / "error.txt").read_text()


def test_a_bug_without_a_dump_says_how_to_get_one(monkeypatch):
    monkeypatch.delenv("HIDET_DUMP", raising=False)
    with pytest.raises(CompilerBug, match=r"KeyError: 1 \(set HIDET_DUMP=dir"):
        with Trace.open(graphs.softmax(), CompileOptions()):
            raise KeyError(1)


def test_errors_with_a_meaning_pass(tmp_path):
    with pytest.raises(Unsupported, match="node: why"):
        with Trace.open(graphs.softmax(), CompileOptions(dump_dir=str(tmp_path))):
            raise Unsupported("node", "why")


@pytest.mark.parametrize(
    ("level", "there", "not_there"),
    [
        (0, "", "hidet"),
        (1, ": 1 kernel, 0 of them cached, ", "kernel 000"),
        (2, "kernel 000 hidet_softmax: softmax | rows | ", "template Rows"),
        (3, "template Rows on ", "define void"),
        (4, "define void", "01_schedule"),
        (5, "kernel_000_softmax: vectorize_lanes", "nothing more"),
    ],
)
def test_the_ladder(level, there, not_there, capsys, cache_dir):
    run(graphs.softmax(), debug=level)
    told = capsys.readouterr().err
    assert there in told and not_there not in told
    assert all(line.startswith("[hidet] ") for line in told.splitlines())


def test_the_knob_is_a_ladder_too(monkeypatch, capsys):
    monkeypatch.setenv("HIDET_DEBUG", "1")
    run(graphs.softmax())
    assert "1 kernel," in capsys.readouterr().err
    assert Settings.read(CompileOptions(debug=2)).debug == 2
