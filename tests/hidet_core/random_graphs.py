"""Random small graphs, as a Hypothesis strategy: anchors, chains, residuals, layout changes, pads
and concats in any order, values with several readers, several outputs.

Values stay small (every product is of bounded factors), so that results compare well.
"""

from hypothesis import strategies as st

from hidet_core.compute.evaluate import dim_value
from tests.hidet_core.compiled import Net

UNARY = ("relu", "tanh", "sigmoid", "neg", "abs", "gelu")
BINARY = ("add", "sub", "maximum", "minimum")
LIMIT = 600  # elements of a value


class Drawn:
    """A net that is being drawn; values: all so far. symbolic: the first dim of inputs is "n"."""

    def __init__(self, draw, seed, symbolic):
        self.draw = draw
        self.net = Net(seed)
        self.values = []
        for _ in range(draw(st.integers(1, 2))):
            first, *rest = draw(shapes)
            self.values.append(self.net.x("n" if symbolic else first, *rest))

    def pick(self, test=lambda value: True):
        """One of the values, late ones preferred; None where none fits."""
        found = [value for value in self.values if test(value)]
        if not found:
            return None
        return found[-1 - min(self.draw(st.integers(0, 2 * len(found))) // 2, len(found) - 1)]

    def one_of(self, *choices):
        return self.draw(st.sampled_from(choices))

    def size(self, value):
        """Elements, for n = 1."""
        return dim_value(value.type.size, dict.fromkeys(self.net.symbols.values(), 1))

    # one operator each; None where it does not apply

    def unary(self):
        return self.net.emit(self.one_of(*UNARY), self.pick())

    def binary(self):
        x = self.pick()
        y = self.pick(lambda v: v.type.shape == x.type.shape)
        pair = (x, y) if self.draw(st.booleans()) else (y, x)
        return self.net.emit(self.one_of(*BINARY), *pair)

    def broadcast(self):
        """With a constant: a scalar, a vector over the last axis, or one with dims of 1."""
        x = self.pick()
        shape = x.type.shape
        fixed = [n if isinstance(n, int) else 1 for n in shape]
        kinds = [(), fixed[-1:], [1 if k % 2 else n for k, n in enumerate(fixed)], (1,)]
        return self.net.emit(self.one_of(*BINARY, "mul"), x, self.net.const(*self.one_of(*kinds)))

    def twice(self):
        """x * sigmoid(x)."""
        x = self.net.tanh(self.pick())
        return self.net.mul(x, self.net.sigmoid(x))

    def conv(self):
        x = self.pick(lambda v: v.type.rank == 4)
        if x is None:
            return None
        _, height, width, channels = x.type.shape
        if not all(isinstance(size, int) for size in (height, width, channels)):
            return None
        kernel = (self.one_of(1, 2, 3), self.one_of(1, 3))
        pads = self.one_of((0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 2, 0), (2, 0, 0, 2))
        groups = self.one_of(1, channels)
        if height + pads[0] + pads[2] < kernel[0] or width + pads[1] + pads[3] < kernel[1]:
            return None
        out = self.one_of(1, 3, 4) if groups == 1 else channels * self.one_of(1, 2)
        strides = self.one_of((1, 1), (2, 1))
        attrs = {"pads": pads, "groups": groups, "strides": strides}
        y = self.net.conv(x, *kernel, channels // groups, out, **attrs)
        return self.net.tanh(y) if self.draw(st.booleans()) else y

    def matmul(self):
        x = self.pick(lambda v: v.type.rank >= 2 and isinstance(v.type.shape[-1], int))
        if x is None:
            return None
        return self.net.matmul(x, self.net.const(x.type.shape[-1], self.one_of(1, 3, 17)))

    def rows(self):
        x, op = self.pick(), self.one_of("softmax", "layer_norm")
        return self.net.emit(op, x, **({} if op == "softmax" else {"eps": 0.1}))

    def reduce(self):
        x = self.pick()
        axes = (self.draw(st.integers(0, x.type.rank - 1)),)
        op = self.one_of("max", "mean")
        return self.net.reduce(
            x, op=op, axes=axes, keepdims=x.type.rank == 1 or self.draw(st.booleans())
        )

    def transpose(self):
        x = self.pick()
        return self.net.emit(
            "transpose", x, perm=tuple(self.draw(st.permutations(range(x.type.rank))))
        )

    def reshape(self):
        x = self.pick()
        first, *rest = x.type.shape
        merged = (first * rest[0], *rest[1:]) if rest else (1, first)
        return self.net.emit(
            "reshape", x, shape=self.one_of(merged, (1, *x.type.shape), (x.type.size,))
        )

    def slice(self):
        x = self.pick()
        shape = x.type.shape
        starts = tuple(self.draw(st.integers(0, n - 1)) if isinstance(n, int) else 0 for n in shape)
        sizes = tuple(n - start for n, start in zip(shape, starts, strict=True))
        return self.net.emit("slice", x, starts=starts, steps=(1,) * len(shape), sizes=sizes)

    def pad(self):
        x = self.pick()
        before, after = ([self.one_of(0, 1) for _ in x.type.shape] for _ in range(2))
        mode = self.one_of("constant", "edge")
        return self.net.emit(
            "pad", x, before=tuple(before), after=tuple(after), mode=mode, value=0.0
        )

    def concat(self):
        """Of values that differ in one axis at most; any may be there twice."""
        x = self.pick()
        axis = self.draw(st.integers(0, x.type.rank - 1))

        def cut(value):
            return value.type.shape[:axis] + value.type.shape[axis + 1 :]

        def fits(value):
            return value.type.rank == x.type.rank and cut(value) == cut(x)

        parts = [self.pick(fits) for _ in range(self.draw(st.integers(1, 3)))]
        extra = []
        if x.type.is_static and self.draw(st.integers(0, 4)) == 0:
            extra = [self.net.const(*x.type.shape)]
        return self.net.concat(x, *parts, *extra, axis=axis)


shapes = st.sampled_from(
    [
        (1, 4, 3, 2),
        (1, 5, 5, 4),
        (2, 3, 4, 3),
        (1, 1, 1, 1),
        (3, 5),
        (2, 3, 4),
        (17,),
        (1, 16),
        (1, 4, 4, 16),
    ]
)
STEPS = (
    "unary", "binary", "broadcast", "twice", "conv", "conv", "matmul", "rows", "reduce",
    "transpose", "reshape", "slice", "pad", "concat", "concat",
)  # fmt: skip


@st.composite
def graphs(draw, steps=STEPS, most=9, symbolic=False):
    """A graph of at most `most` drawn steps; every value that nothing reads is an output."""
    drawn = Drawn(draw, draw(st.integers(0, 9)), symbolic)
    for _ in range(draw(st.integers(1, most))):
        value = getattr(drawn, draw(st.sampled_from(steps)))()
        if value is not None and drawn.size(value) <= LIMIT:
            drawn.values.append(value)
    net = drawn.net
    made = [value for operator in net.operators for value in operator.outputs]
    read = {value for operator in net.operators for value in operator.inputs}
    extra = [value for value in made if value in read and draw(st.integers(0, 5)) == 0]
    outputs = [value for value in made if value not in read] + extra
    return net.done(*(outputs or [net.relu(drawn.values[0])]))
