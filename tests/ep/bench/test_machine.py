"""What a report says of the machine: enough to judge a figure, nothing that names it."""

from hidet_ep.bench import machine


def test_the_fields():
    found = machine.describe_machine()
    assert set(found) == {"cpu", "vector", "gpu", "cores", "memory_gib", "os", "versions"}
    assert found["cores"] >= 1 and found["memory_gib"] >= 1
    assert {"python", "numpy", "onnxruntime"} <= set(found["versions"])


def test_the_processor_is_read_from_cpuinfo(tmp_path, monkeypatch):
    info = tmp_path / "cpuinfo"
    info.write_text(
        "processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nflags\t\t: sse avx2 avx512f\n\n"
        "processor\t: 1\nmodel name\t: Another\n"
    )
    monkeypatch.setattr(machine, "CPUINFO", info)
    found = machine.describe_machine()
    assert (found["cpu"], found["vector"]) == ("Some CPU @ 3 GHz", ["avx2", "avx512f"])


def test_without_cpuinfo(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "missing")
    assert machine.describe_machine()["vector"] == []


def test_the_gpu_is_what_its_driver_tells(tmp_path, monkeypatch):
    monkeypatch.delenv(machine.DRIVER, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.gpu() is None
    tool = tmp_path / machine.SMI[0]
    tool.write_text("#!/bin/sh\necho 'Some GPU, 580.1'\n")
    tool.chmod(0o755)
    assert machine.gpu() == "Some GPU (driver 580.1)"
    tool.write_text("#!/bin/sh\necho 'no devices were found'\nexit 6\n")
    assert machine.gpu() is None


def test_an_emulated_gpu_is_called_one(monkeypatch):
    monkeypatch.setenv(machine.DRIVER, "emulated")
    assert machine.gpu() == "emulated: times mean nothing"
