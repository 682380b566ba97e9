"""The light model zoo with numbers that mean something: nine real networks, nothing downloaded.

The `onnx` wheel carries the graphs of nine image classifiers whose weights are constants. Here they
get seeded random parameters, so that activations stay of order one and a wrong kernel shows in the
output. In: a name, a seed, a batch (int or symbol), an image size; out: an onnx.ModelProto, or the
path of a file written once into the cache folder. Equal arguments give equal bytes.

`bert`, `gpt2`, `llama`, `mobilenet_v2` and `inception_v3` write networks that the wheel does not
have, at any size: transformers in the spellings of several exporters, for tests and for counts of
kernels.
"""

from hidet_ep.zoo.bert_graph import bert
from hidet_ep.zoo.encoder import SPELLINGS, Sizes
from hidet_ep.zoo.gpt2_graph import gpt2
from hidet_ep.zoo.halves import in_half, rounded
from hidet_ep.zoo.images import inception_v3, mobilenet_v2
from hidet_ep.zoo.light import build, names
from hidet_ep.zoo.llama_graph import LLAMA_SPELLINGS, LlamaSizes, llama
from hidet_ep.zoo.optimized import OPTIMIZED
from hidet_ep.zoo.samples import inputs
from hidet_ep.zoo.store import folder, path, written

__all__ = [
    "LLAMA_SPELLINGS",
    "OPTIMIZED",
    "SPELLINGS",
    "LlamaSizes",
    "Sizes",
    "bert",
    "build",
    "folder",
    "gpt2",
    "in_half",
    "inception_v3",
    "inputs",
    "llama",
    "mobilenet_v2",
    "names",
    "path",
    "rounded",
    "written",
]
