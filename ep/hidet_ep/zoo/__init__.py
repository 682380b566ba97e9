"""The light model zoo with numbers that mean something: nine real networks, nothing downloaded.

The `onnx` wheel carries the graphs of nine image classifiers whose weights are constants. Here they
get seeded random parameters, so that activations stay of order one and a wrong kernel shows in the
output. In: a name, a seed, a batch (int or symbol), an image size; out: an onnx.ModelProto, or the
path of a file written once into the cache folder. Equal arguments give equal bytes.
"""

from hidet_ep.zoo.halves import in_half, rounded
from hidet_ep.zoo.light import build, names
from hidet_ep.zoo.samples import inputs
from hidet_ep.zoo.store import folder, path

__all__ = ["build", "folder", "in_half", "inputs", "names", "path", "rounded"]
