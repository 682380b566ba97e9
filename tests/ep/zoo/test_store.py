"""Zoo files: written once, whole, and made anew when the recipe changes."""

import onnx
import pytest

from hidet_ep import zoo
from hidet_ep.zoo import store

SMALL = {"name": "squeezenet", "image": 64}


def test_a_model_is_built_once(cache_dir, monkeypatch):
    first = zoo.path(**SMALL)
    assert first.parent == cache_dir / "zoo"
    assert onnx.load(first).graph.name == "squeezenet"
    monkeypatch.setattr(store.light, "build", None)  # a second build would fail
    assert zoo.path(**SMALL) == first


def test_every_argument_has_a_file_of_its_own(cache_dir):
    paths = {zoo.path(**SMALL, seed=s, batch=b) for s in (0, 1) for b in (1, "N")}
    assert len(paths) == 4


def test_a_new_recipe_does_not_meet_an_old_file(cache_dir, monkeypatch):
    old = zoo.path(**SMALL)
    monkeypatch.setattr(store, "RECIPE", store.RECIPE[:1])
    assert zoo.path(**SMALL) != old


def test_a_failed_write_leaves_nothing(cache_dir, monkeypatch):
    monkeypatch.setattr(store.Path, "replace", _disk_full)
    with pytest.raises(OSError, match="No space"):
        zoo.path(**SMALL)
    assert list((cache_dir / "zoo").iterdir()) == []


def _disk_full(*_):
    raise OSError(28, "No space left on device")


def test_float16_of_a_builder_and_its_twin_have_the_same_weights(cache_dir):
    half, twin = (
        onnx.load(zoo.path("t5_encoder", form=form, scale="reduced"))
        for form in ("float16", "rounded")
    )
    drawn, wide = (
        {t.name: onnx.numpy_helper.to_array(t) for t in m.graph.initializer} for m in (half, twin)
    )
    weights = [name for name in wide if wide[name].ndim == 2]
    assert weights
    for name in weights:
        assert (drawn[name].astype(wide[name].dtype) == wide[name]).all()
    assert {t.data_type for t in half.graph.initializer} >= {onnx.TensorProto.FLOAT}, "the buckets"
