"""From kernels to a plan: buffers, shared code, constants packed once, offsets."""

from dataclasses import replace

import numpy as np
import pytest

from hidet_core.base.errors import BadOption
from hidet_core.build.llvm import compile_object
from hidet_core.codegen import emit
from hidet_core.ir.dtypes import f32, i32
from hidet_core.ir.expr import Buffer
from hidet_core.ir.node import rebuild
from hidet_core.plan import BufferKind, deserialize, serialize
from hidet_core.stages import CompileOptions, assemble
from tests.hidet_core.compiled import CPU, Net, compiled, lowered

SAME = {"pads": (1, 1, 1, 1)}


def plan_of(*outputs, net):
    result = compiled(net.done(*outputs))
    for kernel in result.kernels:
        kernel.image.set_result(compile_object(emit(lowered(kernel.program)), CPU))
    return assemble(result.graph, result.storage, result.kernels)


def kinds(plan):
    return [buffer.kind.name for buffer in plan.buffers]


def test_buffers_of_each_kind():
    net = Net()
    x = net.softmax(net.matmul(net.x(3, 5), net.const(5, 7)))
    plan, constants = plan_of(x, net=net)
    assert sorted(kinds(plan)) == ["CONSTANT", "INPUT", "OUTPUT", "TEMP"]
    assert len(constants) == 1 and [spec.name for spec in plan.outputs] == ["y0"]
    assert len(plan.launches) == len(plan.kernels) == 2


def test_equal_kernels_share_their_code():
    net = Net()
    outs = [net.reduce(net.x(3, 20), op="max", axes=(1,), keepdims=False) for _ in range(3)]
    plan, _ = plan_of(*outs, net=net)
    assert len(plan.launches) == 3 and len(plan.kernels) == 1
    assert {launch.kernel for launch in plan.launches} == {0}


def test_constants_are_packed_once_per_form():
    net = Net()
    w = net.const(7, 33)
    outs = [net.matmul(net.x(3, 7), w) for _ in range(2)]
    plan, constants = plan_of(*outs, net=net)
    assert len(constants) == 1 and kinds(plan).count("CONSTANT") == 1
    assert constants[0].size >= w.type.size


def test_a_packed_constant_that_is_also_read_as_it_is():
    net = Net()
    w = net.const(7, 7)
    plan, constants = plan_of(net.matmul(net.x(3, 7), w), net.add(net.x(7, 7), w), net=net)
    assert (7, 7) in [array.shape for array in constants] and len(constants) == 2
    assert kinds(plan).count("CONSTANT") == 2


def test_views_of_constants_are_stored_contiguous():
    net = Net()
    w = net.constant(np.broadcast_to(np.arange(7, dtype=np.float32)[:, None], (7, 5)))
    _, constants = plan_of(net.add(net.x(7, 5), w), net=net)
    assert constants[0].flags.c_contiguous and constants[0].shape == (7, 5)


def test_parts_of_a_concat_are_offsets_of_one_buffer():
    net = Net()
    parts = [net.relu(net.x(3, 4)), net.tanh(net.x(3, 5)), net.neg(net.x(3, 6))]
    plan, _ = plan_of(net.concat(*parts, axis=1), net=net)
    outputs = [
        (arg.buffer, arg.offset_bytes)
        for launch in plan.launches
        for arg in launch.args
        if plan.buffers[arg.buffer].kind is BufferKind.OUTPUT
    ]
    assert len({buffer for buffer, _ in outputs}) == 1
    assert sorted(offset for _, offset in outputs) == [0, 16, 36]


def test_halos_of_one_layout_may_share_memory():
    """Equal layouts have equal keys; another size, or no halo at all, does not."""
    net = Net()
    x = net.relu(net.x(1, 5, 5, 3))
    for size, pads in ((3, (1, 1, 1, 1)), (3, (1, 1, 1, 1)), (5, (2, 2, 2, 2))):
        x = net.relu(net.conv(x, size, size, 3, 3, pads=pads))
    plan, _ = plan_of(net.softmax(x), net=net)
    keys = [buffer.halo_key for buffer in plan.buffers if buffer.kind is BufferKind.TEMP]
    halos = [key for key in keys if key is not None]
    assert len(halos) == 3 and len(set(halos)) == 2 and None in keys


def test_symbolic_sizes_become_expressions():
    net = Net()
    plan, _ = plan_of(net.softmax(net.matmul(net.x("n", 5), net.const(5, 7))), net=net)
    assert [symbol.name for symbol in plan.symbols] == ["n"]
    assert not any(isinstance(launch.tasks, int) for launch in plan.launches)
    assert all(launch.work >= 1 for launch in plan.launches)


def test_options_name_what_is_allowed():
    assert CompileOptions(target="cpu").target == "cpu"
    with pytest.raises(BadOption, match=r"target.*tpu"):
        CompileOptions(target="tpu")


def test_workspaces_are_temporaries_of_one_launch():
    net = Net()
    result = compiled(net.done(net.softmax(net.relu(net.x(3, 5)))))
    for kernel in result.kernels:
        kernel.image.set_result(b"code")
        plain = Buffer("work", f32, (6, 7), alignment=16)
        zero = Buffer("tickets", i32, (5,))
        program = kernel.program
        kernel.program = rebuild(program, {"params": (*program.params, plain, zero)})
        kernel.scheduled = replace(kernel.scheduled, workspace={plain: False, zero: True})
        kernel.launch = (128, 1000, True)
    plan, _ = assemble(result.graph, result.storage, result.kernels, "cuda")
    assert (plan.device, plan.kernels[0].threads, plan.kernels[0].shared_bytes) == (
        "cuda",
        128,
        1000,
    )
    assert all(kernel.dependent for kernel in plan.kernels)
    keys = []
    for launch in plan.launches:
        work, tickets = (plan.buffers[arg.buffer] for arg in launch.args[-2:])
        assert (work.kind, work.bytes, work.alignment) == (BufferKind.TEMP, 6 * 7 * 4, 16)
        assert work.halo_key is None and tickets.bytes == 5 * 4
        keys.append(tickets.halo_key)
    assert None not in keys and len(set(keys)) == len(keys) == len(plan.launches)
    assert serialize(deserialize(serialize(plan))) == serialize(plan)


def test_arguments_that_are_only_read():
    net = Net()
    plan, _ = plan_of(net.softmax(net.add(net.x(3, 5), net.const(3, 5))), net=net)
    stored = [[arg.stored for arg in launch.args] for launch in plan.launches]
    assert all(flags.count(True) == 1 for flags in stored) and any(map(len, stored))
    for launch, flags in zip(plan.launches, stored, strict=True):
        kinds = {plan.buffers[launch.args[k].buffer].kind for k, f in enumerate(flags) if f}
        assert not kinds & {BufferKind.INPUT, BufferKind.CONSTANT}
