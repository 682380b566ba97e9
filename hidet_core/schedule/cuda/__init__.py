"""CUDA schedule templates, one file each; the order is that in which they are asked."""

from ..template import Template
from .attention import Attention
from .attention_mma import AttentionMma
from .depthwise import Depthwise
from .gemv import Gemv
from .injective import Injective
from .lrn import Lrn
from .pool import Pool2d
from .recurrent import Recurrent
from .reduce import ReduceTemplate
from .rows import Rows
from .scan import Scan
from .scatter import Scatter
from .simt import Simt
from .specialised import Specialised
from .tensor_core import TensorCore
from .tensor_core_i8 import TensorCoreInt8
from .top_k import TopK
from .warpgroup import Warpgroup

TEMPLATES: tuple[Template, ...] = (
    Depthwise(), Gemv(), Specialised(), Warpgroup(), TensorCore(), TensorCoreInt8(), Simt(),
    Rows(), AttentionMma(), Attention(), Pool2d(), Lrn(), Scatter(), Scan(), TopK(), Recurrent(),
    Injective(), ReduceTemplate(),
)  # fmt: skip

__all__ = ["TEMPLATES"]
