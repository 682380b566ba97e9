"""Provider specs: text both ways, sessions that never fall back in silence, who runs what."""

import pytest

from hidet_ep.bench.providers import Provider, assignment, open_session, parse_provider

CPU = Provider("CPUExecutionProvider")


@pytest.mark.parametrize(
    ("text", "provider"),
    [
        ("cpu", CPU),
        ("CPUExecutionProvider", CPU),
        (
            "hidet:target=cpu,tuning=off",
            Provider("HidetEP", (("target", "cpu"), ("tuning", "off"))),
        ),
        ("SomeEP:key=a=b", Provider("SomeEP", (("key", "a=b"),))),
    ],
)
def test_parse(text, provider):
    assert parse_provider(text) == provider
    assert parse_provider(provider.text) == provider


@pytest.mark.parametrize("text", ["", ":a=b", "cpu:tuning", "cpu:=off"])
def test_a_wrong_spec_is_named(text):
    with pytest.raises(ValueError, match="expected name or name:key=value"):
        parse_provider(text)


def test_labels_are_short_and_tell_options_apart():
    assert CPU.label == "CPU"
    assert parse_provider("hidet:tuning=off").label == "HidetEP tuning=off"


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_missing_provider_is_an_error(tiny):
    with pytest.raises(Exception, match="NoSuchEP"):
        open_session(tiny, Provider("NoSuchEP"), threads=1)


def test_assignment_counts_nodes_and_partitions(tiny):
    session = open_session(tiny, CPU, threads=1)
    counted = assignment(session, CPU)
    assert (counted.nodes, counted.claimed, counted.share) == (2, 2, 1.0)
    assert counted.elsewhere == ()
    other = assignment(session, Provider("HidetEP"))
    assert (other.claimed, other.partitions) == (0, 0)
    assert other.elsewhere == ("MatMul", "Relu")
