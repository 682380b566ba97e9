"""Models with numbers that mean something: real networks, seeded weights, nothing downloaded.

The `onnx` wheel carries the graphs of nine image classifiers whose weights are constants: the light
zoo. Here they get seeded random parameters, so that activations stay of order one and a wrong
kernel shows in the output. The other networks are written here, in the spellings of exporters and
at any size; `build_network` knows them by name (catalog.py).

In: a name, a seed, a batch (int or symbol), an image size; out: an onnx.ModelProto, or the path of
a file written once into the cache folder. Equal arguments give equal bytes.
"""

from hidet_ep.zoo.bert_graph import bert
from hidet_ep.zoo.catalog import NETWORKS, SCALES, Network
from hidet_ep.zoo.catalog import build as build_network
from hidet_ep.zoo.convnext import ConvNextSizes, convnext
from hidet_ep.zoo.efficientnet import efficientnet_b0
from hidet_ep.zoo.encoder import SPELLINGS, Sizes
from hidet_ep.zoo.gpt2_graph import gpt2
from hidet_ep.zoo.halves import in_half, rounded
from hidet_ep.zoo.images import inception_v3, mobilenet_v2
from hidet_ep.zoo.light import build, names
from hidet_ep.zoo.llama_graph import LLAMA_SPELLINGS, LlamaSizes, llama
from hidet_ep.zoo.lstm import LstmSizes, lstm
from hidet_ep.zoo.optimized import OPTIMIZED
from hidet_ep.zoo.quantised import GIVEN, cut, in_int8
from hidet_ep.zoo.resnet import resnet50_v1_5
from hidet_ep.zoo.samples import inputs
from hidet_ep.zoo.store import folder, path, written
from hidet_ep.zoo.swin import SwinSizes, swin
from hidet_ep.zoo.t5 import T5Sizes, t5_encoder
from hidet_ep.zoo.unet import unet
from hidet_ep.zoo.vit import VitSizes, vit
from hidet_ep.zoo.whisper import WhisperSizes, whisper_encoder
from hidet_ep.zoo.yolo import yolo

__all__ = [
    "GIVEN",
    "LLAMA_SPELLINGS",
    "NETWORKS",
    "OPTIMIZED",
    "SCALES",
    "SPELLINGS",
    "ConvNextSizes",
    "LlamaSizes",
    "LstmSizes",
    "Network",
    "Sizes",
    "SwinSizes",
    "T5Sizes",
    "VitSizes",
    "WhisperSizes",
    "bert",
    "build",
    "build_network",
    "convnext",
    "cut",
    "efficientnet_b0",
    "folder",
    "gpt2",
    "in_half",
    "in_int8",
    "inception_v3",
    "inputs",
    "llama",
    "lstm",
    "mobilenet_v2",
    "names",
    "path",
    "resnet50_v1_5",
    "rounded",
    "swin",
    "t5_encoder",
    "unet",
    "vit",
    "whisper_encoder",
    "written",
    "yolo",
]
