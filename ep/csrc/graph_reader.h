// Reads an OrtGraph into a GraphView. Throws Error if ONNX Runtime refuses a question.
#pragma once

#include <string>
#include <vector>

#include "ep/csrc/graph_view.h"
#include "ep/csrc/ort_api.h"

namespace hidet {

GraphView ReadGraph(const Api& api, const ort::OrtGraph& graph);

// The nodes in topological order; pointers are valid during the callback that got the graph.
std::vector<const ort::OrtNode*> ListNodes(const Api& api, const ort::OrtGraph& graph);

size_t NodeId(const Api& api, const ort::OrtNode& node);
std::string NodeName(const Api& api, const ort::OrtNode& node);
std::string NodeOwner(const Api& api, const ort::OrtNode& node);

// Names, "" where an optional one is absent.
std::vector<std::string> InputNames(const Api& api, const ort::OrtNode& node);
std::vector<std::string> OutputNames(const Api& api, const ort::OrtNode& node);

}  // namespace hidet
