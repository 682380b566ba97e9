// The seam between the plugin library (no Python inside) and whoever compiles partitions.
//
// The Python package hands a Bridge to the library with HidetSetBridge. Without one the library
// still loads and registers, and leaves every node to other providers. Both sides are built
// together from this header. Ownership: views and sinks are valid during the call only.
// Threading: calls come from any thread, several at once, with or without Python's lock (which only
// the Bridge knows about). No function here may throw across the seam.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ep/csrc/graph_view.h"

namespace hidet {

using OptionMap = std::map<std::string, std::string>;

struct ByteView {
  const void* data = nullptr;
  size_t bytes = 0;
};

struct CompiledPartition {
  std::vector<size_t> node_ids;
  ByteView plan;                    // a serialised plan; its inputs and outputs have the names
  std::vector<ByteView> constants;  // of the graph's values
};

// Receives the outcome of one partitioning.
class PartitionSink {
 public:
  virtual void Add(const CompiledPartition& partition) noexcept = 0;
  virtual void Refuse(const std::string& node, const std::string& op_type,
                      const std::string& reason) noexcept = 0;
  // Something went wrong that the user should see; `detail` is the long form (a traceback).
  virtual void Warn(const std::string& text, const std::string& detail) noexcept = 0;

 protected:
  ~PartitionSink() = default;
};

// What the options of a session come to on this machine.
struct Settings {
  std::string problem;        // what is wrong with them; empty: nothing, and the rest holds
  bool on_gpu = false;        // whether kernels run there
  std::string target;         // for people: "sm_90a on CUDA device 0 (NVIDIA H200)"
  int device_id = 0;          // of the GPU
  uint64_t memory_limit = 0;  // bytes; 0: none
  bool use_graph = true;
  uint64_t stream = 0;        // CUstream of the user; 0: none
};

class Bridge {
 public:
  virtual Settings Settle(const OptionMap& options) noexcept = 0;
  virtual void Partition(const GraphView& graph, const OptionMap& options,
                         PartitionSink& sink) noexcept = 0;

 protected:
  ~Bridge() = default;
};

// The bridge in use, null if there is none. It is never destroyed.
Bridge* CurrentBridge() noexcept;

}  // namespace hidet

extern "C" void HidetSetBridge(hidet::Bridge* bridge) noexcept;
