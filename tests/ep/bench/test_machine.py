"""What a report says of the machine: enough to judge a figure, nothing that names it."""

from hidet_ep.bench import machine


def test_the_fields():
    found = machine.describe_machine()
    assert set(found) == {"cpu", "vector", "cores", "memory_gib", "os", "versions"}
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
