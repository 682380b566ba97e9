"""CPU schedule templates, one file each; the order is that in which they are asked."""

from ..template import Template
from .attention import Attention
from .conv import Conv2d
from .depthwise import Depthwise
from .dot import DotConv, DotMatmul
from .injective import Injective
from .lrn import Lrn
from .matmul import Matmul
from .nbits import MatmulNBits
from .pool import Pool2d
from .recurrent import Recurrent
from .reduce import ReduceTemplate
from .rows import Rows
from .scan import Scan
from .scatter import Scatter
from .top_k import TopK
from .winograd import Winograd

TEMPLATES: tuple[Template, ...] = (
    Depthwise(), DotConv(), DotMatmul(), Conv2d(), Winograd(), Matmul(), Pool2d(), Rows(), Lrn(),
    MatmulNBits(), Attention(), Scatter(), Scan(), TopK(), Recurrent(), Injective(),
    ReduceTemplate(),
)  # fmt: skip

__all__ = ["TEMPLATES"]
