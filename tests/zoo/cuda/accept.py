"""A zoo model through a session on the emulated GPU: what the CUDA target is accepted by."""

from hidet_ep.validate import Request, validate
from tests.emulated import Counted

# the smallest image of which something reaches the end of each network
IMAGES = {
    "bvlc_alexnet": 64,
    "densenet121": 32,
    "inception_v1": 64,
    "inception_v2": 32,
    "resnet50": 32,
    "shufflenet": 32,
    "squeezenet": 32,
    "vgg19": 32,
    "zfnet512": 64,
}
RUNS = 2
# Of the image in float16: others bring the largest logits of resnet50 so close together that its
# softmax tells what was rounded where (errors of 0.03 to 0.4, on CPUs and GPUs alike).
HALF_SEED = 3


def accept(name, dtype, seed=0):
    """Right outputs, all nodes in kernels of ours, and the second run replays a graph."""
    request = Request(target="cuda", dtype=dtype, image=IMAGES[name], seed=seed, runs=RUNS)
    with Counted() as counted:
        verdict = validate(name, request)
    assert not verdict.problems
    assert verdict.claimed == verdict.nodes > 0
    assert verdict.partitions == 1
    assert counted["launches"] == RUNS * verdict.kernels
    assert counted["graph_launches"] >= RUNS - 1
    assert counted["copies_to_host"] == RUNS, "the output, and nothing between kernels"
