"""A plan as bytes, and back; hidet_core/runtime/plan.cc is the native reader of this layout.

    header    "HIDETPLN", u32 version, u32 CRC-32 of the payload, u64 bytes of the payload
    payload   str name; u8 device (0: CPU, 1: CUDA); lists of: str symbol; code expression;
              tensor input; tensor output; check; buffer; image; kernel; launch
    list      u32 count, elements         str    u32 bytes, UTF-8        code   u32 bytes, bytecode
    tensor    str name, i32 ONNX dtype, list of expr          image  u64 bytes, machine code
    check     str where, expr left, expr right
    buffer    u8 kind, u32 index, expr bytes, i32 first, i32 last launch, u32 halo group (0: none),
              u32 alignment
    kernel    str symbol, u32 image, u32 threads, u32 shared bytes, u8 is dependent
    launch    str name, u32 kernel, f64 work, expr tasks,
              list of argument, list of expr scalar
    argument  u32 buffer, expr offset, u32 part, u8 is stored, u8 rank (0: a pointer), of a tensor
              map: i32 ONNX dtype, u8 swizzle, for each dim: expr size, expr stride, u32 box

Little endian, not aligned. expr is the u32 index of an expression; equal expressions and equal
images are stored once. Invariant: serialize(deserialize(data)) == data.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import from_onnx
from hidet_core.ir.expr import Var

from .bytecode import decode_dim, encode_dim
from .memory import lifetimes
from .model import (
    Argument,
    Buffer,
    BufferKind,
    Dim,
    KernelCode,
    Launch,
    Plan,
    SizeCheck,
    TensorMap,
    TensorSpec,
)

MAGIC = b"HIDETPLN"
VERSION = 4
DEVICES = ("cpu", "cuda")
_HEADER = struct.Struct("<8sIIQ")

T = TypeVar("T")


def serialize(plan: Plan) -> bytes:
    """The plan as bytes. Raises CompilerBug for a plan that no runtime could accept."""
    return _Writer(plan).write()


def deserialize(data: bytes) -> Plan:
    """The plan of some bytes, with new symbols. Raises ValueError saying what is wrong."""
    if len(data) < _HEADER.size:
        raise ValueError(f"a plan has at least {_HEADER.size} bytes, got {len(data)}")
    magic, version, checksum, size = _HEADER.unpack_from(data)
    payload = data[_HEADER.size :]
    if magic != MAGIC:
        raise ValueError(f"these bytes are no plan: they begin with {magic!r}, not {MAGIC!r}")
    if version != VERSION:
        raise ValueError(f"the plan has version {version}, expected {VERSION}")
    if size != len(payload) or zlib.crc32(payload) != checksum:
        raise ValueError(f"the plan is damaged: {len(payload)} bytes after the header, {size} due")
    try:
        return _Reader(payload).read()
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"the plan is damaged: {error}") from error


class _Table:
    """Byte strings, each stored once, numbered in order of first use."""

    def __init__(self) -> None:
        self.index: dict[bytes, int] = {}

    def add(self, item: bytes) -> int:
        return self.index.setdefault(item, len(self.index))


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<I", len(raw)) + raw


def _listed(items: Iterable[bytes]) -> bytes:
    parts = list(items)
    return struct.pack("<I", len(parts)) + b"".join(parts)


class _Writer:
    """Serialises one plan; the expression and image tables fill while the rest is written."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.expressions = _Table()
        self.images = _Table()
        self.symbols = {var: index for index, var in enumerate(plan.symbols)}
        names = [var.name for var in plan.symbols]
        if len(set(names)) != len(names):
            raise CompilerBug("plan", f"two symbols of plan {plan.name!r} have one name: {names}")

    def write(self) -> bytes:
        plan = self.plan
        tail = [
            _listed(map(self.tensor, plan.inputs)),
            _listed(map(self.tensor, plan.outputs)),
            _listed(map(self.check, plan.checks)),
            _listed(map(self.buffer, plan.buffers, lifetimes(plan), self.halo_groups())),
        ]
        kernels = _listed(map(self.kernel, plan.kernels))
        launches = _listed(map(self.launch, plan.launches))
        images = _listed(struct.pack("<Q", len(image)) + image for image in self.images.index)
        head = [
            _text(plan.name) + bytes([DEVICES.index(plan.device)]),
            _listed(_text(var.name) for var in plan.symbols),
            _listed(struct.pack("<I", len(code)) + code for code in self.expressions.index),
        ]
        payload = b"".join([*head, *tail, images, kernels, launches])
        return _HEADER.pack(MAGIC, VERSION, zlib.crc32(payload), len(payload)) + payload

    def expression(self, dim: Dim) -> int:
        return self.expressions.add(encode_dim(dim, self.symbols))

    def tensor(self, tensor: TensorSpec) -> bytes:
        dims = _listed(struct.pack("<I", self.expression(dim)) for dim in tensor.shape)
        return _text(tensor.name) + struct.pack("<i", tensor.dtype.onnx) + dims

    def check(self, check: SizeCheck) -> bytes:
        sides = self.expression(check.left), self.expression(check.right)
        return _text(check.where) + struct.pack("<II", *sides)

    def halo_groups(self) -> list[int]:
        keys: dict[str, int] = {}
        return [
            0 if b.halo_key is None else keys.setdefault(b.halo_key, len(keys) + 1)
            for b in self.plan.buffers
        ]

    def buffer(self, buffer: Buffer, life: tuple[int, int], halo: int) -> bytes:
        if buffer.halo_key is not None and buffer.kind is not BufferKind.TEMP:
            raise CompilerBug("plan", f"only temporary buffers have halos, not {buffer}")
        size = self.expression(buffer.bytes)
        alignment = buffer.alignment
        return struct.pack("<BIIiiII", buffer.kind, buffer.index, size, *life, halo, alignment)

    def kernel(self, kernel: KernelCode) -> bytes:
        image = self.images.add(kernel.image)
        sizes = (kernel.threads, kernel.shared_bytes)
        return _text(kernel.symbol) + struct.pack("<III?", image, *sizes, kernel.dependent)

    def launch(self, launch: Launch) -> bytes:
        for what, index, count in [
            ("kernel", launch.kernel, len(self.plan.kernels)),
            *(("buffer", arg.buffer, len(self.plan.buffers)) for arg in launch.args),
        ]:
            if not 0 <= index < count:
                raise CompilerBug("plan", f"launch {launch.name!r}: {what} {index} of {count}")
        args = _listed(map(self.argument, launch.args))
        scalars = _listed(struct.pack("<I", self.expression(dim)) for dim in launch.scalars)
        fixed = struct.pack("<IdI", launch.kernel, launch.work, self.expression(launch.tasks))
        return _text(launch.name) + fixed + args + scalars

    def argument(self, arg: Argument) -> bytes:
        offset, map_ = self.expression(arg.offset_bytes), arg.map
        fixed = struct.pack("<III?", arg.buffer, offset, arg.part, arg.stored)
        if map_ is None:
            return fixed + bytes([0])
        head = struct.pack("<BiB", len(map_.sizes), map_.dtype.onnx, map_.swizzle)
        axes = (
            struct.pack("<III", self.expression(size), self.expression(stride), side)
            for size, stride, side in zip(map_.sizes, map_.strides, map_.box, strict=True)
        )
        return fixed + head + b"".join(axes)


class _Reader:
    """Reads one payload front to back."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.position = 0

    def read(self) -> Plan:
        name, device = self.text(), DEVICES[self.one("B")]
        self.symbols = self.list_of(lambda: Var(self.text()))
        self.dims = self.list_of(lambda: decode_dim(self.raw(self.one("I")), self.symbols))
        inputs, outputs = self.list_of(self.tensor), self.list_of(self.tensor)
        checks = self.list_of(lambda: SizeCheck(self.text(), self.dim(), self.dim()))
        buffers = self.list_of(self.buffer)
        self.images = self.list_of(lambda: self.raw(self.one("Q")))
        kernels, launches = self.list_of(self.kernel), self.list_of(self.launch)
        if self.position != len(self.payload):
            raise ValueError(f"the plan has {len(self.payload) - self.position} bytes too many")
        return Plan(self.symbols, inputs, outputs, buffers, kernels, launches, name, device, checks)

    def fields(self, code: str) -> tuple[Any, ...]:
        layout = struct.Struct("<" + code)
        return layout.unpack(self.raw(layout.size))

    def one(self, code: str) -> Any:
        return self.fields(code)[0]

    def raw(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self.payload):
            raise ValueError(f"the plan is truncated: byte {self.position} needs {size} more")
        part = self.payload[self.position : end]
        self.position = end
        return part

    def text(self) -> str:
        return self.raw(self.one("I")).decode()

    def list_of(self, read: Callable[[], T]) -> tuple[T, ...]:
        return tuple(read() for _ in range(self.one("I")))

    def dim(self) -> Dim:
        return self.dims[self.one("I")]

    def tensor(self) -> TensorSpec:
        name, number = self.text(), self.one("i")
        dtype = from_onnx(number)
        if dtype is None:
            raise ValueError(f"tensor {name!r} has unknown element type {number}")
        return TensorSpec(name, dtype, self.list_of(self.dim))

    def buffer(self) -> Buffer:
        kind, index, size, _first, _last, halo, alignment = self.fields("BIIiiII")
        key = f"halo{halo}" if halo else None
        return Buffer(BufferKind(kind), index, self.dims[size], key, alignment)

    def kernel(self) -> KernelCode:
        symbol = self.text()
        image, *sizes, dependent = self.fields("III?")
        return KernelCode(symbol, self.images[image], *sizes, dependent)

    def argument(self) -> Argument:
        buffer, offset, part, stored, rank = self.fields("III?B")
        map_ = self.map(rank) if rank else None
        return Argument(buffer, self.dims[offset], stored, part, map_)

    def map(self, rank: int) -> TensorMap:
        number, swizzle = self.fields("iB")
        dtype = from_onnx(number)
        if dtype is None:
            raise ValueError(f"a tensor map has unknown element type {number}")
        axes = [(self.dim(), self.dim(), self.one("I")) for _ in range(rank)]
        sizes, strides, box = zip(*axes, strict=True)
        return TensorMap(dtype, sizes, strides, box, swizzle)

    def launch(self) -> Launch:
        name = self.text()
        kernel, work = self.fields("Id")
        tasks = self.dim()
        args = self.list_of(self.argument)
        return Launch(kernel, args, self.list_of(self.dim), tasks, work, name)
