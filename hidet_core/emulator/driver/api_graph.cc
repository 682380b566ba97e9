// Graphs: capture, explicit construction, instantiation, launch, update.
#include <algorithm>

#include "hidet_core/emulator/driver/api.h"
#include "hidet_core/emulator/driver/arguments.h"

namespace hidet::emu {
namespace {

GraphNode* Node(CUgraphNode handle) { return reinterpret_cast<GraphNode*>(handle); }

std::vector<GraphNode*> Nodes(const CUgraphNode* handles, size_t count) {
  std::vector<GraphNode*> nodes;
  for (size_t index = 0; index < count; ++index) nodes.push_back(Node(handles[index]));
  return nodes;
}

Launch FromParams(const State& state, const CUDA_KERNEL_NODE_PARAMS& params) {
  return MakeLaunch(state, {params.func,
                            {params.gridDimX, params.gridDimY, params.gridDimZ},
                            {params.blockDimX, params.blockDimY, params.blockDimZ},
                            params.sharedMemBytes, params.kernelParams, params.extra});
}

Place SourceOf(const CUDA_MEMCPY3D& copy) {
  const bool host = copy.srcMemoryType == CU_MEMORYTYPE_HOST;
  const uintptr_t base = host ? reinterpret_cast<uintptr_t>(copy.srcHost) : copy.srcDevice;
  const size_t slice = copy.srcPitch * copy.srcHeight;
  return Place{base + copy.srcXInBytes + copy.srcY * copy.srcPitch + copy.srcZ * slice,
               copy.srcPitch, slice};
}

Place TargetOf(const CUDA_MEMCPY3D& copy) {
  const bool host = copy.dstMemoryType == CU_MEMORYTYPE_HOST;
  const uintptr_t base = host ? reinterpret_cast<uintptr_t>(copy.dstHost) : copy.dstDevice;
  const size_t slice = copy.dstPitch * copy.dstHeight;
  return Place{base + copy.dstXInBytes + copy.dstY * copy.dstPitch + copy.dstZ * slice,
               copy.dstPitch, slice};
}

Fill FromParams(const CUDA_MEMSET_NODE_PARAMS& params) {
  const unsigned size = params.elementSize;
  if ((size != 1 && size != 2 && size != 4) || params.dst % size != 0) {
    throw Fault{CUDA_ERROR_INVALID_VALUE, Format("fill of elements of %u bytes", size)};
  }
  return Fill{Place{static_cast<uintptr_t>(params.dst), params.pitch, 0},
              {params.width * size, params.height, 1},
              params.value, size};
}

// What is the same for all functions that add a node.
struct NewNode {
  CUgraphNode* node;
  CUgraph graph;
  const CUgraphNode* after;
  size_t count;
};

void Add(State& state, const NewNode& where, Operation operation) {
  RequireArgument(where.node, "node");
  const CUgraphNodeType type = NodeType(operation);
  *where.node = reinterpret_cast<CUgraphNode>(state.graphs.Get(where.graph)->Add(
      type, std::move(operation), Nodes(where.after, where.count)));
}

// Whether every node that was captured comes before the origin's end.
bool AllJoined(const Graph& graph, const std::vector<GraphNode*>& tail) {
  std::vector<GraphNode*> reached = tail;
  for (size_t next = 0; next < reached.size(); ++next) {
    for (GraphNode* before : reached[next]->after) {
      if (std::find(reached.begin(), reached.end(), before) == reached.end()) {
        reached.push_back(before);
      }
    }
  }
  return reached.size() == graph.nodes.size();
}

// A programmatic edge lets the second kernel start before the first one has ended.
CUresult AddDependencies(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                         const CUgraphEdgeData* edges, size_t count) {
  return Enter([&](State& state) {
    const Graph& owner = *state.graphs.Get(graph);
    for (size_t index = 0; index < count; ++index) {
      owner.IndexOf(Node(from[index]));
      owner.IndexOf(Node(to[index]));
      if (edges == nullptr || edges[index].type == CU_GRAPH_DEPENDENCY_TYPE_DEFAULT) {
        Node(to[index])->after.push_back(Node(from[index]));
        continue;
      }
      const bool kernels = Node(from[index])->type == CU_GRAPH_NODE_TYPE_KERNEL &&
                           Node(to[index])->type == CU_GRAPH_NODE_TYPE_KERNEL;
      if (edges[index].type != CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC || !kernels ||
          edges[index].from_port == 0) {
        throw Fault{CUDA_ERROR_INVALID_VALUE,
                    Format("edge %zu of type %d from port %d: programmatic edges (1) go from a "
                           "kernel's port 1 or 2 to a kernel",
                           index, edges[index].type, edges[index].from_port)};
      }
      Node(to[index])->after.push_back(Node(from[index]));
      Node(to[index])->early_after.push_back(Node(from[index]));
    }
  });
}

}  // namespace

HIDET_EMU_API cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode) {
  return Enter([&](State& state) {
    Stream& stream = *state.StreamOf(handle);
    if (&stream == state.queues.legacy().get()) {
      throw Fault{CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
                  "the legacy default stream cannot be captured"};
    }
    if (stream.capture != nullptr) {
      throw Fault{CUDA_ERROR_ILLEGAL_STATE, "the stream is captured already"};
    }
    stream.capture = std::make_shared<Capture>(
        Capture{std::make_shared<Graph>(), stream.id, stream.blocking, mode, false});
    stream.capture_tail.clear();
    state.captures.push_back(stream.capture);
  });
}

HIDET_EMU_API cuStreamEndCapture(CUstream handle, CUgraph* graph) {
  return Enter([&](State& state) {
    Stream& stream = *state.StreamOf(handle);
    if (graph != nullptr) *graph = nullptr;
    const std::shared_ptr<Capture> capture = stream.capture;
    if (capture == nullptr) {
      throw Fault{CUDA_ERROR_ILLEGAL_STATE, "the stream is not captured"};
    }
    if (capture->origin != stream.id) {
      throw Fault{CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "the capture began in another stream"};
    }
    RequireArgument(graph, "graph");
    const bool joined = AllJoined(*capture->graph, stream.capture_tail);
    state.EndCapture(capture);
    if (capture->invalid) {
      throw Fault{CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "the capture was invalidated"};
    }
    if (!joined) {
      throw Fault{CUDA_ERROR_STREAM_CAPTURE_UNJOINED,
                  "work of another stream was not joined to the stream the capture began in"};
    }
    *graph = state.graphs.Add(capture->graph);
  });
}

HIDET_EMU_API cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus* status) {
  return Enter([&](State& state) {
    RequireArgument(status, "status");
    const auto& capture = state.StreamOf(handle)->capture;
    *status = capture == nullptr ? CU_STREAM_CAPTURE_STATUS_NONE
              : capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                 : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  });
}

HIDET_EMU_API cuGraphCreate(CUgraph* graph, unsigned) {
  return Enter([&](State& state) {
    RequireArgument(graph, "graph");
    *graph = state.graphs.Add(std::make_shared<Graph>());
  });
}

HIDET_EMU_API cuGraphDestroy(CUgraph graph) {
  return Enter([&](State& state) { state.graphs.Remove(graph); });
}

HIDET_EMU_API cuGraphAddKernelNode_v2(CUgraphNode* node, CUgraph graph, const CUgraphNode* after,
                                      size_t count, const CUDA_KERNEL_NODE_PARAMS* params) {
  return Enter([&](State& state) {
    RequireArgument(params, "params");
    Add(state, {node, graph, after, count}, FromParams(state, *params));
  });
}

HIDET_EMU_API cuGraphAddMemcpyNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* after,
                                   size_t count, const CUDA_MEMCPY3D* params, CUcontext) {
  return Enter([&](State& state) {
    RequireArgument(params, "params");
    const Copy copy{TargetOf(*params), SourceOf(*params),
                    {params->WidthInBytes, params->Height, params->Depth}, nullptr};
    CheckRanges(copy, state.memory);
    Add(state, {node, graph, after, count}, copy);
  });
}

HIDET_EMU_API cuGraphAddMemsetNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* after,
                                   size_t count, const CUDA_MEMSET_NODE_PARAMS* params,
                                   CUcontext) {
  return Enter([&](State& state) {
    RequireArgument(params, "params");
    const Fill fill = FromParams(*params);
    CheckRanges(fill, state.memory);
    Add(state, {node, graph, after, count}, fill);
  });
}

HIDET_EMU_API cuGraphAddHostNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* after,
                                 size_t count, const CUDA_HOST_NODE_PARAMS* params) {
  return Enter([&](State& state) {
    RequireArgument(params, "params");
    Add(state, {node, graph, after, count}, HostCall{params->fn, params->userData});
  });
}

HIDET_EMU_API cuGraphAddEmptyNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* after,
                                  size_t count) {
  return Enter([&](State& state) { Add(state, {node, graph, after, count}, Nothing{}); });
}

HIDET_EMU_API cuGraphAddDependencies(CUgraph graph, const CUgraphNode* from,
                                     const CUgraphNode* to, size_t count) {
  return AddDependencies(graph, from, to, nullptr, count);
}

HIDET_EMU_API cuGraphAddDependencies_v2(CUgraph graph, const CUgraphNode* from,
                                        const CUgraphNode* to, const CUgraphEdgeData* edges,
                                        size_t count) {
  return AddDependencies(graph, from, to, edges, count);
}

HIDET_EMU_API cuGraphGetNodes(CUgraph graph, CUgraphNode* nodes, size_t* count) {
  return Enter([&](State& state) {
    RequireArgument(count, "count");
    const Graph& owner = *state.graphs.Get(graph);
    const size_t room = nodes == nullptr ? 0 : *count;
    for (size_t index = 0; index < std::min(room, owner.nodes.size()); ++index) {
      nodes[index] = reinterpret_cast<CUgraphNode>(owner.nodes[index].get());
    }
    *count = nodes == nullptr ? owner.nodes.size() : std::min(room, owner.nodes.size());
  });
}

HIDET_EMU_API cuGraphNodeGetType(CUgraphNode node, CUgraphNodeType* type) {
  return Enter([&](State&) {
    RequireArgument(node, "node");
    RequireArgument(type, "type");
    *type = Node(node)->type;
  });
}

HIDET_EMU_API cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph graph,
                                          unsigned long long) {
  return Enter([&](State& state) {
    RequireArgument(executable, "executable");
    *executable =
        state.executables.Add(std::make_shared<ExecutableGraph>(*state.graphs.Get(graph)));
  });
}

HIDET_EMU_API cuGraphUpload(CUgraphExec executable, CUstream stream) {
  return Enter([&](State& state) {
    state.executables.Get(executable);
    state.StreamOf(stream);
  });
}

HIDET_EMU_API cuGraphLaunch(CUgraphExec executable, CUstream handle) {
  return Enter([&](State& state) {
    Stream& stream = *state.StreamOf(handle);
    if (stream.capture != nullptr) {
      stream.capture->invalid = true;
      throw Fault{CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
                  "the emulator captures no launches of graphs"};
    }
    state.executables.Get(executable)->Launch(state.queues, stream);
    ++state.machine.counters.graph_launches;
  });
}

HIDET_EMU_API cuGraphExecDestroy(CUgraphExec executable) {
  return Enter([&](State& state) { state.executables.Remove(executable); });
}

HIDET_EMU_API cuGraphExecKernelNodeSetParams_v2(CUgraphExec executable, CUgraphNode node,
                                                const CUDA_KERNEL_NODE_PARAMS* params) {
  return Enter([&](State& state) {
    RequireArgument(params, "params");
    Operation& operation = state.executables.Get(executable)->OperationOf(Node(node));
    if (!std::holds_alternative<Launch>(operation)) {
      throw Fault{CUDA_ERROR_INVALID_VALUE, "the node launches no kernel"};
    }
    operation = FromParams(state, *params);
  });
}

HIDET_EMU_API cuGraphExecUpdate_v2(CUgraphExec executable, CUgraph graph,
                                   CUgraphExecUpdateResultInfo* info) {
  return Enter([&](State& state) {
    RequireArgument(info, "info");
    const auto [result, node] =
        state.executables.Get(executable)->Update(*state.graphs.Get(graph));
    *info = {result, reinterpret_cast<CUgraphNode>(node), nullptr};
    if (result != CU_GRAPH_EXEC_UPDATE_SUCCESS) {
      throw Fault{CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, "the graphs differ in shape"};
    }
  });
}

}  // namespace hidet::emu
