#include "hidet_core/emulator/driver/graph.h"

#include <algorithm>
#include <utility>

namespace hidet::emu {

GraphNode* Graph::Add(CUgraphNodeType type, Operation operation, std::vector<GraphNode*> after) {
  for (const GraphNode* node : after) IndexOf(node);
  nodes.push_back(std::make_shared<GraphNode>(
      GraphNode{type, std::move(operation), std::move(after), {}}));
  return nodes.back().get();
}

size_t Graph::IndexOf(const GraphNode* node) const {
  for (size_t index = 0; index < nodes.size(); ++index) {
    if (nodes[index].get() == node) return index;
  }
  throw Fault{CUDA_ERROR_INVALID_VALUE, "the node belongs to another graph"};
}

CUgraphNodeType NodeType(const Operation& operation) {
  if (std::holds_alternative<Launch>(operation)) return CU_GRAPH_NODE_TYPE_KERNEL;
  if (std::holds_alternative<Copy>(operation)) return CU_GRAPH_NODE_TYPE_MEMCPY;
  if (std::holds_alternative<Fill>(operation)) return CU_GRAPH_NODE_TYPE_MEMSET;
  if (std::holds_alternative<HostCall>(operation)) return CU_GRAPH_NODE_TYPE_HOST;
  return CU_GRAPH_NODE_TYPE_EMPTY;
}

ExecutableGraph::ExecutableGraph(const Graph& graph) {
  for (const auto& node : graph.nodes) {
    Step step{node.get(), node->type, node->operation, {}, {}};
    for (const GraphNode* before : node->after) step.after.push_back(graph.IndexOf(before));
    for (const GraphNode* before : node->early_after) {
      step.early_after.push_back(graph.IndexOf(before));
    }
    steps_.push_back(std::move(step));
  }
  std::vector<bool> placed(steps_.size());
  for (bool progress = true; progress && sorted_.size() < steps_.size();) {
    progress = false;
    for (size_t index = 0; index < steps_.size(); ++index) {
      bool ready = !placed[index];
      for (const size_t before : steps_[index].after) ready = ready && placed[before];
      if (!ready) continue;
      placed[index] = progress = true;
      sorted_.push_back(index);
    }
  }
  if (sorted_.size() < steps_.size()) {
    throw Fault{CUDA_ERROR_INVALID_VALUE, "the graph has a cycle"};
  }
}

void ExecutableGraph::Launch(Queues& queues, Stream& stream) const {
  queues.Submit(stream, Nothing{});
  const Order start = stream.tail;
  std::vector<std::shared_ptr<Stream>> own(steps_.size());
  for (const size_t index : sorted_) {
    own[index] = queues.NewStream(false);
    own[index]->tail = start;
    Operation operation = steps_[index].operation;
    const auto& early_after = steps_[index].early_after;
    const bool programmatic = !early_after.empty();
    if (auto* launch = std::get_if<emu::Launch>(&operation)) launch->programmatic = programmatic;
    Order early = start;
    for (const size_t before : steps_[index].after) {
      own[index]->tail.Join(own[before]->tail);
      const bool is_early =
          std::find(early_after.begin(), early_after.end(), before) != early_after.end();
      early.Join(is_early ? *own[before]->early : own[before]->tail);
    }
    if (programmatic) own[index]->early = std::move(early);
    queues.Submit(*own[index], std::move(operation));
    stream.tail.Join(own[index]->tail);
  }
  queues.Submit(stream, Nothing{});
}

std::pair<CUgraphExecUpdateResult, GraphNode*> ExecutableGraph::Update(const Graph& graph) {
  if (graph.nodes.size() != steps_.size()) {
    return {CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, nullptr};
  }
  const ExecutableGraph other(graph);
  for (size_t index = 0; index < steps_.size(); ++index) {
    GraphNode* node = graph.nodes[index].get();
    if (steps_[index].type != node->type) {
      return {CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED, node};
    }
    if (steps_[index].after != other.steps_[index].after ||
        steps_[index].early_after != other.steps_[index].early_after) {
      return {CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, node};
    }
  }
  for (size_t index = 0; index < steps_.size(); ++index) {
    steps_[index].operation = other.steps_[index].operation;
  }
  return {CU_GRAPH_EXEC_UPDATE_SUCCESS, nullptr};
}

Operation& ExecutableGraph::OperationOf(const GraphNode* node) {
  for (Step& step : steps_) {
    if (step.source == node) return step.operation;
  }
  throw Fault{CUDA_ERROR_INVALID_VALUE, "the node is not one this graph was instantiated from"};
}

}  // namespace hidet::emu
