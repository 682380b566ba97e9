"""Reports: JSON both ways, the means, the tables."""

import json

import pytest

from hidet_ep.bench.report import (
    ModelReport,
    Report,
    Result,
    failures,
    geometric_means,
    markdown_table,
    percent,
    text_table,
)
from hidet_ep.bench.timing import Stats

MACHINE = {"cpu": "Some CPU", "cores": 2, "versions": {"onnxruntime": "1.30.0"}}


def model(name, cpu_ms, hidet_ms):
    cpu = Result("CPU", Stats(cpu_ms, cpu_ms * 0.9, cpu_ms * 1.2, 30), claimed=1.0)
    hidet = Result(
        "HidetEP",
        Stats(hidet_ms, hidet_ms * 0.9, hidet_ms * 1.2, 40),
        speedup=cpu_ms / hidet_ms,
        max_error=3e-7,
        claimed=0.996,
        partitions=1,
        create_cold_s=4.567,
        create_warm_s=0.5,
    )
    return ModelReport(name, 1, 100, (cpu, hidet))


def report(*models):
    return Report(date="2030-01-02", machine=MACHINE, settings={"threads": 2}, models=models)


BROKEN = ModelReport(
    "broken", 1, 5, (Result("CPU", Stats(1.0, 1.0, 1.0, 5)), Result("HidetEP", failure="no luck"))
)


def test_json_both_ways():
    first = report(model("one", 8.0, 4.0), BROKEN)
    again = Report.from_json(json.loads(json.dumps(first.to_json())))
    assert again == first
    assert first.to_json()["geomean"] == {"HidetEP": pytest.approx(2.0)}


def test_another_schema_is_refused():
    data = report(BROKEN).to_json() | {"schema": 99}
    with pytest.raises(ValueError, match="schema 99"):
        Report.from_json(data)


def test_the_geometric_mean_is_over_the_models_that_ran():
    both = report(model("one", 8.0, 4.0), model("two", 1.0, 2.0), BROKEN)
    assert geometric_means(both) == {"HidetEP": pytest.approx(1.0)}
    assert failures(both) == ["broken on HidetEP: no luck"]


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100%"), (0.9996, "99.9%"), (0.5, "50.0%"), (0.0, "0.0%"), (None, "-")],
)
def test_only_all_is_a_hundred_percent(share, text):
    assert percent(share) == text


def test_text_table(golden):
    golden(text_table(report(model("one", 123.4, 61.7), model("two", 0.05, 0.1), BROKEN)))


def test_text_table_of_one_model(golden):
    golden(text_table(report(model("one", 123.4, 61.7))))


def test_markdown_table(golden):
    golden(markdown_table(report(model("one", 123.4, 61.7), model("two", 0.05, 0.1))))
