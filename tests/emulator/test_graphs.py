"""Graphs: captured or built by hand, replayed, updated; missing dependencies show."""

import ctypes

import numpy as np
import pytest

from tests.emulator.cuda import CudaError, parameters

INVALID_VALUE, INVALID_HANDLE, ILLEGAL_STATE, FAILED = 1, 400, 401, 719
UNSUPPORTED, INVALIDATED, UNMATCHED, UNJOINED, ISOLATION, IMPLICIT = 900, 901, 903, 904, 905, 906
CAPTURED_EVENT, UPDATE_FAILURE = 907, 910
KERNEL, MEMCPY, MEMSET, HOST, EMPTY = 0, 1, 2, 3, 5
size, pointer = ctypes.c_size_t, ctypes.c_void_p
N = 64

SCALE = """
extern "C" __global__ void kernel(float* x, float factor) { x[threadIdx.x] *= factor; }
extern "C" __global__ void add(float* x, const float* y) { x[threadIdx.x] += y[threadIdx.x]; }
"""


def structure(name, **fields):
    return type(name, (ctypes.Structure,), {"_fields_": tuple(fields.items())})


KernelParams = structure(
    "KernelParams",
    function=pointer, sizes=ctypes.c_uint * 7, parameters=pointer, extra=pointer,
    kernel=pointer, context=pointer,
)  # fmt: skip
MemsetParams = structure(
    "MemsetParams",
    target=ctypes.c_uint64, pitch=size, value=ctypes.c_uint, element=ctypes.c_uint,
    width=size, height=size,
)  # fmt: skip
Side = dict.fromkeys(("x", "y", "z", "lod"), size) | {
    "kind": ctypes.c_int, "host": pointer, "device": ctypes.c_uint64, "array": pointer,
    "reserved": pointer, "pitch": size, "height": size,
}  # fmt: skip
CopyParams = structure(
    "CopyParams",
    **{f"from_{key}": kind for key, kind in Side.items()},
    **{f"to_{key}": kind for key, kind in Side.items()},
    width=size, height=size, depth=size,
)  # fmt: skip
UpdateInfo = structure("UpdateInfo", result=ctypes.c_int, node=pointer, source=pointer)


def code(match, call, *arguments):
    with pytest.raises(CudaError, match=match) as caught:
        call(*arguments)
    return caught.value.code


def stream(cuda):
    return cuda.out(pointer, "cuStreamCreate", 1)


def scale(cuda, data, factor, where):
    cuda.launch(cuda.kernel(SCALE), 1, N, data, ctypes.c_float(factor), stream=where)


def add(cuda, target, source, where):
    cuda.launch(cuda.kernel(SCALE, "add"), 1, N, target, source, stream=where)


def order(cuda, before, after):
    """What `after` does next comes after what `before` did so far."""
    event = cuda.out(pointer, "cuEventCreate", 2)
    cuda.cuEventRecord(event, before)
    cuda.cuStreamWaitEvent(after, event, 0)


def begin(cuda, where, mode=0):
    cuda.cuStreamBeginCapture_v2(where, mode)


def end(cuda, where):
    graph = pointer()
    cuda.cuStreamEndCapture(where, ctypes.byref(graph))
    return graph


def instantiate(cuda, graph):
    return cuda.out(pointer, "cuGraphInstantiateWithFlags", graph, ctypes.c_uint64(0))


def node_types(cuda, graph):
    count = size()
    cuda.cuGraphGetNodes(graph, None, ctypes.byref(count))
    nodes, kind = (pointer * count.value)(), ctypes.c_int()
    cuda.cuGraphGetNodes(graph, nodes, ctypes.byref(count))
    out = []
    for node in nodes:
        cuda.cuGraphNodeGetType(pointer(node), ctypes.byref(kind))
        out.append(kind.value)
    return out


def values(cuda, data):
    found = np.unique(cuda.download(data, N, np.float32))
    assert len(found) == 1
    return found[0]


def test_capture_and_replay(cuda_seeds):
    cuda, where = cuda_seeds, stream(cuda_seeds)
    host = np.ones(N, np.float32)
    data, back = cuda.upload(np.zeros(N, np.float32)), np.zeros(N, np.float32)
    begin(cuda, where)
    cuda.cuMemcpyHtoDAsync_v2(data, host.ctypes.data_as(pointer), size(host.nbytes), where)
    scale(cuda, data, 3, where)
    cuda.cuMemcpyDtoHAsync_v2(back.ctypes.data_as(pointer), data, size(host.nbytes), where)
    graph = end(cuda, where)
    assert values(cuda, data) == 0  # capturing runs nothing
    assert node_types(cuda, graph) == [MEMCPY, KERNEL, MEMCPY]
    executable = instantiate(cuda, graph)
    cuda.cuGraphDestroy(graph)
    for value in (1, 2, 5):
        host[:] = value
        cuda.cuGraphUpload(executable, where)
        cuda.cuGraphLaunch(executable, where)
        cuda.cuStreamSynchronize(where)
        assert (back == 3 * value).all()
    cuda.cuGraphExecDestroy(executable)
    assert code("is no executable", cuda.cuGraphLaunch, executable, where) == INVALID_HANDLE


def test_fork_and_join(cuda_seeds):
    cuda, main, side = cuda_seeds, stream(cuda_seeds), stream(cuda_seeds)
    first, second = (cuda.upload(np.ones(N, np.float32)) for _ in range(2))
    begin(cuda, main)
    scale(cuda, first, 2, main)
    order(cuda, main, side)
    scale(cuda, second, 5, side)
    scale(cuda, first, 3, main)
    order(cuda, side, main)
    add(cuda, first, second, main)
    executable = instantiate(cuda, end(cuda, main))
    cuda.cuGraphLaunch(executable, main)
    cuda.cuGraphLaunch(executable, main)
    cuda.cuStreamSynchronize(main)
    assert values(cuda, first) == (6 + 5) * 6 + 25
    scale(cuda, second, 2, side)  # the side stream is free again
    cuda.cuStreamSynchronize(side)
    assert values(cuda, second) == 50


def test_a_missing_edge_is_a_race(cuda_seeds):
    cuda, main, side = cuda_seeds, stream(cuda_seeds), stream(cuda_seeds)
    first, second = (cuda.upload(np.ones(N, np.float32)) for _ in range(2))
    begin(cuda, main)
    order(cuda, main, side)
    scale(cuda, first, 2, side)
    scale(cuda, first, 3, main)
    order(cuda, side, main)
    add(cuda, first, second, main)
    executable = instantiate(cuda, end(cuda, main))
    with pytest.raises(CudaError, match=r"race: .*kernel kernel in another stream") as caught:
        cuda.cuGraphLaunch(executable, main)
        cuda.cuStreamSynchronize(main)
    assert caught.value.code == FAILED


def test_unjoined_capture(cuda):
    main, side = stream(cuda), stream(cuda)
    data = cuda.upload(np.ones(N, np.float32))
    begin(cuda, main)
    order(cuda, main, side)
    scale(cuda, data, 2, side)
    assert code("not joined", end, cuda, main) == UNJOINED


def test_rules_of_capture(cuda):
    main, side = stream(cuda), stream(cuda)
    status = ctypes.c_int()
    begin(cuda, main)
    cuda.cuStreamIsCapturing(main, ctypes.byref(status))
    assert status.value == 1
    assert code("captured already", begin, cuda, main) == ILLEGAL_STATE
    assert code("not captured", end, cuda, side) == ILLEGAL_STATE
    assert code("while a stream is captured", cuda.cuCtxSynchronize) == UNSUPPORTED
    cuda.cuStreamIsCapturing(main, ctypes.byref(status))
    assert status.value == 2
    assert code("invalidated", end, cuda, main) == INVALIDATED
    cuda.cuStreamIsCapturing(main, ctypes.byref(status))
    assert status.value == 0
    assert code("legacy default stream", begin, cuda, None) == UNSUPPORTED


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("cuStreamSynchronize", ()), ("cuStreamQuery", ())],
)
def test_a_captured_stream_cannot_be_waited_for(cuda, name, arguments):
    where = stream(cuda)
    begin(cuda, where, mode=2)
    assert code("that is captured", getattr(cuda, name), where, *arguments) == UNSUPPORTED
    assert code("invalidated", end, cuda, where) == INVALIDATED


def test_capture_forbids_unsafe_calls_unless_relaxed(cuda):
    where = stream(cuda)
    begin(cuda, where)
    assert code("cuMemAlloc while", cuda.alloc, 16) == UNSUPPORTED
    assert code("invalidated", end, cuda, where) == INVALIDATED
    begin(cuda, where, mode=2)
    cuda.alloc(16)
    end(cuda, where)


def test_the_default_stream_during_capture(cuda):
    where = cuda.out(pointer, "cuStreamCreate", 0)
    data = cuda.alloc(4 * N)
    begin(cuda, where)
    assert code("legacy default", scale, cuda, data, 1, None) == IMPLICIT
    assert code("invalidated", end, cuda, where) == INVALIDATED


def test_events_of_a_capture(cuda):
    main, side = stream(cuda), stream(cuda)
    event = cuda.out(pointer, "cuEventCreate", 0)
    begin(cuda, main, mode=2)
    cuda.cuEventRecord(event, main)
    assert code("into a capture", cuda.cuEventQuery, event) == CAPTURED_EVENT
    cuda.cuStreamWaitEvent(side, event, 0)
    assert code("another stream", end, cuda, side) == UNMATCHED
    end(cuda, main)
    outside = cuda.out(pointer, "cuEventCreate", 0)
    cuda.cuEventRecord(outside, side)
    begin(cuda, main)
    assert code("from outside", cuda.cuStreamWaitEvent, main, outside, 0) == ISOLATION
    assert code("a capture that ended", cuda.cuStreamWaitEvent, side, event, 0) == ISOLATION


def test_destroying_a_captured_stream_ends_the_capture(cuda):
    main, side = stream(cuda), stream(cuda)
    data = cuda.upload(np.ones(N, np.float32))
    begin(cuda, main)
    order(cuda, main, side)
    cuda.cuStreamDestroy_v2(main)
    scale(cuda, data, 2, side)
    cuda.cuCtxSynchronize()
    assert values(cuda, data) == 2


def kernel_params(cuda, arguments, name="kernel"):
    sizes = (ctypes.c_uint * 7)(1, 1, 1, N, 1, 1, 0)
    kernel = cuda.kernel(SCALE, name)
    return KernelParams(kernel, sizes, ctypes.cast(arguments, pointer), None, None, None)


def add_node(cuda, kind, graph, after, *params):
    node = pointer()
    handles = (pointer * max(len(after), 1))(*after)
    getattr(cuda, f"cuGraphAdd{kind}")(
        ctypes.byref(node), graph, handles, size(len(after)), *params
    )
    return node


def copy_params(target, source, rows, columns, pitch):
    """A copy of a part of device memory, rows pitch bytes apart, to packed device memory."""
    return CopyParams(
        from_kind=2, from_device=source, from_pitch=pitch, from_height=rows, from_x=4, from_y=1,
        to_kind=2, to_device=target, to_pitch=columns, to_height=rows,
        width=columns, height=rows, depth=1,
    )  # fmt: skip


def test_a_graph_by_hand(cuda_seeds):
    cuda = cuda_seeds
    data = cuda.alloc(4 * N)
    seen = []
    look = ctypes.CFUNCTYPE(None, pointer)(lambda _: seen.append("host"))
    graph = cuda.out(pointer, "cuGraphCreate", 0)
    one = int(np.float32(1).view(np.uint32))
    memset = MemsetParams(data, 0, one, 4, N, 1)
    start = add_node(cuda, "EmptyNode", graph, [])
    fill = add_node(cuda, "MemsetNode", graph, [start], ctypes.byref(memset), None)
    twice = kernel_params(cuda, parameters(data, ctypes.c_float(2)))
    first = add_node(cuda, "KernelNode_v2", graph, [fill], ctypes.byref(twice))
    second = add_node(cuda, "KernelNode_v2", graph, [], ctypes.byref(twice))
    cuda.cuGraphAddDependencies(graph, (pointer * 1)(first), (pointer * 1)(second), size(1))
    host = structure("HostParams", function=pointer, data=pointer)
    call = host(ctypes.cast(look, pointer), None)
    last = add_node(cuda, "HostNode", graph, [second], ctypes.byref(call))
    assert node_types(cuda, graph) == [EMPTY, MEMSET, KERNEL, KERNEL, HOST]
    executable = instantiate(cuda, graph)
    where = stream(cuda)
    cuda.cuGraphLaunch(executable, where)
    cuda.cuStreamSynchronize(where)
    assert values(cuda, data) == 4 and seen == ["host"]

    ten = kernel_params(cuda, parameters(data, ctypes.c_float(10)))
    cuda.cuGraphExecKernelNodeSetParams_v2(executable, second, ctypes.byref(ten))
    cuda.cuGraphLaunch(executable, where)
    cuda.cuStreamSynchronize(where)
    assert values(cuda, data) == 20
    set_params = cuda.cuGraphExecKernelNodeSetParams_v2
    assert code("launches no kernel", set_params, executable, last, ctypes.byref(ten)) == 1

    back = (pointer * 1)(second), (pointer * 1)(fill)
    cuda.cuGraphAddDependencies_v2(graph, *back, None, size(1))
    assert code("cycle", instantiate, cuda, graph) == INVALID_VALUE


def test_a_node_that_copies_a_part(cuda):
    grid = np.arange(64, dtype=np.float32).reshape(8, 8)
    source, target = cuda.upload(grid), cuda.alloc(4 * 6)
    graph = cuda.out(pointer, "cuGraphCreate", 0)
    params = copy_params(target, source, rows=2, columns=12, pitch=32)
    add_node(cuda, "MemcpyNode", graph, [], ctypes.byref(params), None)
    cuda.cuGraphLaunch(instantiate(cuda, graph), None)
    np.testing.assert_array_equal(cuda.download(target, (2, 3), np.float32), grid[1:3, 1:4])
    wide = copy_params(target, source, rows=3, columns=12, pitch=32)
    arguments = (cuda, "MemcpyNode", graph, [], ctypes.byref(wide), None)
    assert code("behind", add_node, *arguments) == INVALID_VALUE


def captured(cuda, data, factors):
    where = stream(cuda)
    begin(cuda, where)
    for factor in factors:
        scale(cuda, data, factor, where)
    return end(cuda, where)


def test_update_of_an_executable_graph(cuda):
    data, info = cuda.upload(np.ones(N, np.float32)), UpdateInfo()
    executable = instantiate(cuda, captured(cuda, data, [2, 3]))
    update = cuda.cuGraphExecUpdate_v2
    update(executable, captured(cuda, data, [5, 7]), ctypes.byref(info))
    assert info.result == 0
    cuda.cuGraphLaunch(executable, None)
    assert values(cuda, data) == 35
    longer = captured(cuda, data, [1, 1, 1])
    assert code("shape", update, executable, longer, ctypes.byref(info)) == UPDATE_FAILURE
    assert info.result == 2
    other = cuda.out(pointer, "cuGraphCreate", 0)
    first = add_node(cuda, "EmptyNode", other, [])
    add_node(cuda, "EmptyNode", other, [first])
    assert code("shape", update, executable, other, ctypes.byref(info)) == UPDATE_FAILURE
    assert info.result == 3
