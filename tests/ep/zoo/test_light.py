"""The zoo's models: valid, constant weights, seeded, with the batch and image asked for."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from hidet_ep import zoo

NINE = {
    "bvlc_alexnet",
    "densenet121",
    "inception_v1",
    "inception_v2",
    "resnet50",
    "shufflenet",
    "squeezenet",
    "vgg19",
    "zfnet512",
}
SMALL = ("inception_v1", "resnet50", "shufflenet", "squeezenet")


def cpu_session(model):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def run(model, seed=0, **dims):
    return cpu_session(model).run(None, zoo.inputs(model, seed, dims))[0]


def weights(model):
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def test_there_are_nine_models():
    assert set(zoo.names()) == NINE


@pytest.mark.parametrize("name", SMALL)
def test_a_model_is_valid_and_its_weights_are_constant(name):
    model = zoo.build(name)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version >= 8
    assert len(model.graph.input) == 1
    assert not any(node.op_type == "ConstantOfShape" for node in model.graph.node)
    given = {t.name for t in model.graph.initializer}
    assert not given & {value.name for value in model.graph.input}


def test_equal_seeds_give_equal_bytes_and_others_do_not():
    first, again, other = (zoo.build("squeezenet", seed=s) for s in (3, 3, 4))
    assert first.SerializeToString() == again.SerializeToString()
    drawn, redrawn = weights(first), weights(other)
    same = [n for n in drawn if drawn[n].size > 8 and np.array_equal(drawn[n], redrawn[n])]
    assert not same


@pytest.mark.parametrize("name", SMALL)
def test_the_output_is_neither_flat_nor_one_hot(name):
    top = run(zoo.build(name)).ravel()
    assert top.sum() == pytest.approx(1.0, abs=1e-4)
    assert 5 / top.size < top.max() < 0.6


def test_the_output_depends_on_the_image():
    model = zoo.build("resnet50", image=64)
    first, second = run(model, seed=1), run(model, seed=2)
    assert abs(first - second).max() > 0.1 * first.max()


def test_activations_in_front_of_an_lrn_are_large_enough_for_it_to_matter():
    model = zoo.build("bvlc_alexnet")
    lrn = next(node for node in model.graph.node if node.op_type == "LRN")
    for value in (*lrn.input, *lrn.output):
        model.graph.output.append(onnx.ValueInfoProto(name=value))
    _, before, after = cpu_session(model).run(None, zoo.inputs(model))
    assert abs(before - after).max() > 0.1 * abs(before).max()


@pytest.mark.parametrize("name", ["resnet50", "shufflenet", "squeezenet"])
def test_a_symbolic_batch_runs_at_any_size(name):
    model = zoo.build(name, batch="N", image=64)
    onnx.checker.check_model(model, full_check=True)
    three = zoo.inputs(model, 0, {"N": 3})
    (feed,) = three
    session = cpu_session(model)
    together = session.run(None, three)[0]
    alone = [session.run(None, {feed: three[feed][i : i + 1]})[0] for i in range(3)]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", sorted(NINE))
def test_reduced_images_keep_the_class_count(name):
    assert run(zoo.build(name, batch=2, image=96)).shape[:2] == (2, 1000)


@pytest.mark.parametrize("name", ["densenet121", "resnet50", "shufflenet", "vgg19"])
def test_images_of_one_step_are_enough(name):
    assert run(zoo.build(name, image=32)).size == 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet99"}, "unknown; there are bvlc_alexnet"),
        ({"name": "resnet50", "batch": 0}, "must be 1 or more"),
        ({"name": "resnet50", "batch": "2 x"}, "identifier, not '2 x'"),
        ({"name": "resnet50", "image": 100}, "multiple of 32"),
        ({"name": "inception_v1", "image": 32}, "image of 32 is too small"),
    ],
)
def test_a_wrong_request_says_what_is_allowed(arguments, message):
    with pytest.raises(ValueError, match=message):
        zoo.build(**arguments)


def test_a_parameter_without_a_rule_is_an_error():
    node = onnx.helper.make_node("Erf", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [], [])
    conv = onnx.helper.make_node("Conv", ["y", "w"], ["z"])
    graph.node.append(conv)
    with pytest.raises(ValueError, match="no rule for the parameters of a Erf"):
        list(zoo.light.draw_parameters(graph, "g", np.random.default_rng(0)))
