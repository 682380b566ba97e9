"""Bad models, bad inputs, bad options, bad cache folders: a clear error or the CPU provider, and
the process lives on."""

import os
import shutil
import stat

import numpy as np
import onnxruntime as ort
import pytest

import hidet_ep
from hidet_core import BadOption
from hidet_ep.handover import collect_reports
from tests.ep import models
from tests.ep.models import AXIS, model, node, not_ours, value
from tests.ep.real.sessions import CPU, HIDET, check, claimed, floats, open_session, settings

VERBOSE, WARNING = 0, 2  # of ONNX Runtime's log


def small(batch="N"):
    """y = Relu(x w) + b."""
    rng = np.random.default_rng(5)
    nodes = [
        node("MatMul", ["x", "w"], ["t"]),
        node("Add", ["t", "b"], ["u"]),
        node("Relu", ["u"], ["y"]),
    ]
    constants = {"w": floats(rng, 8, 6), "b": floats(rng, 6)}
    return model(nodes, [value("x", (batch, 8))], [value("y", (batch, 6))], constants)


@pytest.fixture
def session():
    made = open_session(small())
    assert claimed(made) == 2  # ONNX Runtime makes a Gemm of the first two
    return made


def still_works(session, rng):
    (out,) = session.run(None, {"x": floats(rng, 4, 8)})
    assert out.shape == (4, 6)


# ---- models


@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "text", "flipped"])
def test_corrupt_model(rng, damage):
    good = small()
    bad = {
        "empty": b"",
        "cut": good[: len(good) // 2],
        "noise": rng.bytes(500),
        "text": b"this is no model",
        "flipped": good[:20] + bytes(b ^ 0xFF for b in good[20:60]) + good[60:],
    }[damage]
    with pytest.raises(Exception, match=r"(?i)protobuf|model|invalid|parse"):
        open_session(bad)
    check(good, {"x": floats(rng, 2, 8)})


def test_missing_model_file(tmp_path):
    with pytest.raises(Exception, match=r"nowhere\.onnx"):
        open_session(str(tmp_path / "nowhere.onnx"))


def test_unsupported_operators_stay_with_the_cpu_provider(rng):
    nodes = [
        node("Exp", ["x"], ["a"]),
        not_ours("a", "b"),
        node("Relu", ["b"], ["c"]),
        not_ours("c", "y"),
    ]
    made = model(nodes, [value("x", (4, 4)), AXIS], [value("y", (4, 4))])
    checked = check(made, {"x": floats(rng, 4, 4), "axis": np.array(1)})
    assert (checked.claimed, checked.partitions, checked.nodes) == (2, 2, 4)


def test_operator_that_nobody_knows():
    made = models.helper.make_model(
        models.helper.make_graph(
            [node("NoSuchOperator", ["x"], ["y"])], "g", [value("x", (2,))], [value("y", (2,))]
        ),
        opset_imports=[models.helper.make_opsetid("", 17)],
        ir_version=10,
    )
    with pytest.raises(Exception, match="NoSuchOperator"):
        open_session(made)


def test_shapes_that_do_not_fit_are_an_error_of_the_model():
    nodes = [node("MatMul", ["x", "w"], ["t"]), node("Relu", ["t"], ["y"])]
    constants = {"w": np.zeros((7, 6), np.float32)}
    made = model(nodes, [value("x", (2, 8))], [value("y", (2, 6))], constants)
    with pytest.raises(Exception, match=r"(?i)dimension|shape"):
        open_session(made).run(None, {"x": np.zeros((2, 8), np.float32)})


# ---- inputs at run time


@pytest.mark.parametrize(
    ("feeds", "says"),
    [
        ({"x": np.zeros((2, 7), np.float32)}, r"(?s)x.*index: 1 Got: 7 Expected: 8"),
        ({"x": np.zeros((2, 8, 1), np.float32)}, r"rank.*x|x.*rank"),
        ({"x": np.zeros((2, 8), np.float64)}, r"double"),
        ({"x": np.zeros((2, 8), np.int32)}, r"int32"),
        ({}, r"x"),
        ({"x": np.zeros((2, 8), np.float32), "z": np.zeros(1)}, r"z"),
    ],
    ids=["size", "rank", "double", "int", "missing", "unknown"],
)
def test_wrong_input(session, rng, feeds, says):
    with pytest.raises(Exception, match=says):
        session.run(None, feeds)
    still_works(session, rng)


def test_symbols_that_disagree_are_named(rng):
    """ONNX Runtime does not compare equal symbols of different inputs; we do."""
    nodes = [node("Add", ["x", "w"], ["t"]), node("Exp", ["t"], ["y"])]
    inputs = [value(name, ("N", 8)) for name in "xw"]
    session = open_session(model(nodes, inputs, [value("y", ("N", 8))]))
    with pytest.raises(Exception, match=r"input 'w' axis 0: expected 2, got 3"):
        session.run(None, {"x": floats(rng, 2, 8), "w": floats(rng, 3, 8)})
    session.run(None, {"x": floats(rng, 2, 8), "w": floats(rng, 2, 8)})


def test_inputs_that_are_not_contiguous(session, rng):
    x = floats(rng, 8, 12)[:, ::2].T
    assert not x.flags.c_contiguous
    same = session.run(None, {"x": np.ascontiguousarray(x)})[0]
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], same)


def test_more_memory_than_there_is(rng):
    """Petabytes of temporaries: an error that says so, and a session that goes on."""
    wide = 1 << 30
    nodes = [
        node("Exp", ["x"], ["a"]),
        node("Expand", ["a", "wide"], ["b"]),
        node("Softmax", ["b"], ["c"]),
        node("ReduceMax", ["c"], ["y"], axes=[1], keepdims=1),
    ]
    made = model(
        nodes, [value("x", ("N", 1))], [value("y", ("N", 1))], {"wide": np.array([1, wide])}
    )
    session = open_session(made)
    assert claimed(session) == 4
    with pytest.raises(Exception, match=r"cannot get \d+ bytes of memory"):
        session.run(None, {"x": floats(rng, 1 << 20, 1)})
    assert session.run(None, {"x": floats(rng, 0, 1)})[0].shape == (0, 1)


# ---- options


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tunning": "off"}, "did you mean 'tuning'"),
        ({"target": "cuda"}, "'target': got 'cuda'"),
        ({"debug": "much"}, "a whole number from 0 to 5"),
        ({"min_partition_nodes": "0"}, "a whole number from 1"),
        ({"cache": "perhaps"}, "on, off"),
    ],
)
def test_bad_option(options, says):
    with pytest.raises(Exception, match=says):
        open_session(small(), options)
    with pytest.raises(BadOption, match=says):
        hidet_ep.provider(**options)


def test_with_its_default_onnxruntime_goes_on_without_us(capfd):
    session = ort.InferenceSession(small(), settings(), providers=[(HIDET, {"target": "tpu"})])
    assert session.get_providers() == [CPU]


@pytest.mark.parametrize("name", ["HIDET_CACHE", "HIDET_CACHE_MB", "HIDET_WORKERS", "HIDET_DEBUG"])
def test_bad_environment_is_named(monkeypatch, name, rng):
    """The environment is not the model's fault: a warning, and the CPU provider runs the model."""
    monkeypatch.setenv(name, "perhaps")
    with collect_reports() as reports:
        session = open_session(small())
    assert claimed(session) == 0
    (warning,) = reports[0].result.warnings
    assert f"option '{name}': got 'perhaps', allowed: " in warning
    still_works(session, rng)


def test_the_log_says_which_node_is_left_and_why(capfd):
    options = settings()
    options.log_severity_level = VERBOSE
    ort.set_default_logger_severity(VERBOSE)
    try:
        nodes = [node("Exp", ["x"], ["a"]), not_ours("a", "y")]
        made = model(nodes, [value("x", (4, 4)), AXIS], [value("y", (4, 4))])
        open_session(made, None, options)
    finally:
        ort.set_default_logger_severity(WARNING)
    shown = capfd.readouterr().err
    assert "HidetEP leaves node 'CumSum_y' (CumSum): axis (input 1) is not known" in shown
    assert "HidetEP takes 1 of 2 nodes of graph 'test_graph' in 1 partition(s)" in shown


# ---- cache folders


def run_with_cache(folder, rng):
    """What counts: the right result, from HidetEP."""
    checked = check(small(), {"x": floats(rng, 3, 8)}, {"cache_dir": str(folder)})
    assert checked.claimed == 2


def kernels(folder):
    return sorted((folder / "kernels").glob("*.kernel"))


def test_cache_folder_is_made_and_filled(tmp_path, rng):
    run_with_cache(tmp_path / "deep" / "cache", rng)
    assert kernels(tmp_path / "deep" / "cache")


def test_cache_off_keeps_nothing(tmp_path, rng):
    options = {"cache_dir": str(tmp_path / "cache"), "cache": "off"}
    check(small(), {"x": floats(rng, 3, 8)}, options)
    assert not (tmp_path / "cache").exists()


def test_cache_folder_that_cannot_be_made(tmp_path, rng, caplog):
    (tmp_path / "file").write_text("in the way")
    run_with_cache(tmp_path / "file", rng)
    assert "kernel cache is not used" in caplog.text


def test_cache_folder_that_cannot_be_written(tmp_path, rng, caplog):
    """Root may write anywhere, so the folder is one that no file can be made in."""
    if os.geteuid() == 0:
        run_with_cache("/proc/self", rng)
    else:
        tmp_path.chmod(0o500)
        run_with_cache(tmp_path, rng)
        tmp_path.chmod(0o700)
    assert "kernel cache is not used" in caplog.text or "are not kept" in caplog.text


def test_cache_folder_that_everybody_can_write(tmp_path, rng, caplog):
    (tmp_path / "open" / "kernels").mkdir(parents=True)
    for folder in (tmp_path / "open" / "kernels", tmp_path / "open"):
        folder.chmod(stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
    run_with_cache(tmp_path / "open", rng)
    assert "kernel cache is not used" in caplog.text
    assert not kernels(tmp_path / "open")


@pytest.mark.parametrize("spoil", ["cut", "flipped", "empty", "folder"])
def test_damaged_entry_is_compiled_anew(tmp_path, rng, spoil):
    run_with_cache(tmp_path, rng)
    for file in (entries := kernels(tmp_path)):
        content = file.read_bytes()
        match spoil:
            case "cut":
                file.write_bytes(content[:-7])
            case "flipped":
                file.write_bytes(content[:-7] + bytes([content[-7] ^ 1]) + content[-6:])
            case "empty":
                file.write_bytes(b"")
            case "folder":
                file.unlink()
                file.mkdir()
    run_with_cache(tmp_path, rng)
    if spoil != "folder":
        assert kernels(tmp_path) == entries
        assert all(file.stat().st_size > 100 for file in entries)


def test_cache_deleted_while_running(tmp_path, rng):
    options = {"cache_dir": str(tmp_path / "cache")}
    session = open_session(small(), options)
    shutil.rmtree(tmp_path / "cache")
    still_works(session, rng)
    run_with_cache(tmp_path / "cache", rng)
    assert kernels(tmp_path / "cache")


def test_cache_deleted_while_compiling(tmp_path, rng, monkeypatch):
    """The folder goes between opening it and putting the first kernel in."""
    from hidet_core.build.cache import KernelCache

    put = KernelCache.put

    def gone(self, key, payload):
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        put(self, key, payload)

    monkeypatch.setattr(KernelCache, "put", gone)
    run_with_cache(tmp_path / "cache", rng)
    monkeypatch.setattr(KernelCache, "put", put)
    run_with_cache(tmp_path / "cache", rng)
    assert kernels(tmp_path / "cache")
