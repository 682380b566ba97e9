"""A case that kills or hangs its process is a finding, and the next case runs."""

from hidet_ep.fuzz.case import Settings, generate
from hidet_ep.fuzz.process import Worker
from tests.ep.fuzz.judges import ABORTS, SLEEPS, by_seed


def test_crashes_and_hangs_are_verdicts():
    worker = Worker(by_seed, limit_s=20)
    cases = [generate(seed, Settings()) for seed in (1, ABORTS, 2, SLEEPS, 5)]
    verdicts = []
    for case in cases:
        worker.limit_s = 0.5 if case.seed == SLEEPS else 20
        verdicts.append(worker.run(case))
    worker.stop()
    assert [verdict.kind for verdict in verdicts] == ["ok", "crash", "ok", "hang", "ok"]
    assert "-6" in verdicts[1].detail and "Aborted" in verdicts[1].detail
    assert verdicts[2].ops == tuple(cases[2].op_types)
