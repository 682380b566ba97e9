// CUDA graphs: nodes with dependencies, captured from streams or built by hand, and replayed.
//
// A launch gives every node a stream of its own, so nodes without a dependency between them run in
// any order and their conflicts are found as between streams.
// Ownership: a Graph owns its nodes; an ExecutableGraph owns copies. Threading: the driver's lock.
#pragma once

#include <memory>
#include <vector>

#include "hidet_core/emulator/driver/queues.h"

namespace hidet::emu {

struct GraphNode {
  CUgraphNodeType type;
  Operation operation;
  std::vector<GraphNode*> after;
  std::vector<GraphNode*> early_after;  // those of `after` that it need not see the end of
};

struct Graph {
  std::vector<std::shared_ptr<GraphNode>> nodes;

  GraphNode* Add(CUgraphNodeType type, Operation operation, std::vector<GraphNode*> after);

  // Throws INVALID_VALUE for a node of another graph.
  size_t IndexOf(const GraphNode* node) const;
};

// Streams that are being recorded into one graph.
struct Capture {
  std::shared_ptr<Graph> graph;
  uint64_t origin;  // the id of the stream it began in
  bool blocking;    // that stream is ordered with the legacy default stream
  CUstreamCaptureMode mode;
  bool invalid = false;
};

// The node type an operation is captured as.
CUgraphNodeType NodeType(const Operation& operation);

class ExecutableGraph {
 public:
  // Throws INVALID_VALUE for a cycle.
  explicit ExecutableGraph(const Graph& graph);

  void Launch(Queues& queues, Stream& stream) const;

  // Takes over the operations of a graph of the same shape. Returns the first node that differs
  // and how; {SUCCESS, null} when it was updated.
  std::pair<CUgraphExecUpdateResult, GraphNode*> Update(const Graph& graph);

  // The operation that was made from a node. Throws INVALID_VALUE.
  Operation& OperationOf(const GraphNode* node);

 private:
  struct Step {
    const GraphNode* source;
    CUgraphNodeType type;
    Operation operation;
    std::vector<size_t> after;        // indices of nodes
    std::vector<size_t> early_after;  // programmatic ones
  };
  std::vector<Step> steps_;     // as in the graph
  std::vector<size_t> sorted_;  // dependencies first
};

}  // namespace hidet::emu
