"""The table of environment variables."""

import pytest

from hidet_core.base import knobs
from hidet_core.base.errors import BadOption


def test_defaults_and_values(monkeypatch):
    for name in ("HIDET_DEBUG", "HIDET_DUMP", "HIDET_CACHE"):
        monkeypatch.delenv(name, raising=False)
    assert knobs.read("HIDET_DEBUG") == 0
    assert knobs.read("HIDET_DUMP") is None
    assert knobs.read("HIDET_CACHE") is True
    monkeypatch.setenv("HIDET_DEBUG", " 3 ")
    monkeypatch.setenv("HIDET_CACHE", "Off")
    monkeypatch.setenv("HIDET_DUMP", "")
    assert knobs.read("HIDET_DEBUG") == 3
    assert knobs.read("HIDET_CACHE") is False
    assert knobs.read("HIDET_DUMP") is None


@pytest.mark.parametrize(("name", "text"), [("HIDET_DEBUG", "loud"), ("HIDET_CACHE", "maybe")])
def test_bad_values_name_the_knob(monkeypatch, name, text):
    monkeypatch.setenv(name, text)
    with pytest.raises(BadOption, match=f"{name}.*{text}"):
        knobs.read(name)


def test_unknown_knob():
    with pytest.raises(KeyError):
        knobs.read("HIDET_NOTHING")


def test_only_knobs_that_alter_code_are_in_the_key(monkeypatch):
    before = knobs.code_key()
    monkeypatch.setenv("HIDET_DEBUG", "5")
    assert knobs.code_key() == before
    monkeypatch.setenv("HIDET_OVERRIDE", "elsewhere")
    assert knobs.code_key() != before


def test_user_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert knobs.user_cache() == tmp_path
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert knobs.user_cache() == tmp_path / ".cache"
