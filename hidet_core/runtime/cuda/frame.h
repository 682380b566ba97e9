// The state of one run at a time on a GPU: an arena, and prepared launches for the sizes seen last.
//
// A run binds the symbols, finds or makes the Prepared of these sizes, copies inputs from the host,
// launches (as a CUDA graph from the second run with the same sizes on) and copies outputs to the
// host. Ownership: owns the arena, its stream and events; borrows the LoadedPlan. Threading: one
// thread at a time. A run with the sizes of one of the last kMostPrepared signatures allocates
// nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "hidet_core/runtime/binding.h"
#include "hidet_core/runtime/cuda/loaded_plan.h"
#include "hidet_core/runtime/cuda/prepared.h"
#include "hidet_core/runtime/executable.h"

namespace hidet::cuda {

class Frame {
 public:
  static constexpr size_t kMostPrepared = 8;

  explicit Frame(const LoadedPlan& loaded);
  ~Frame();
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  // The whole run. With `records`, appends one record per launch that had tasks.
  void Run(RunContext& context, std::vector<LaunchRecord>* records);

  size_t arena_bytes() const { return arena_bytes_; }
  // Whether the caller captured a run into a graph of its own, which uses the arena from now on:
  // no other run may.
  bool is_retired() const { return is_captured_; }

 private:
  void ChooseStream(RunContext& context);
  void FindStaged();
  bool MustStage(const void* data, hidet::Place place, const char* name, uint32_t alignment) const;
  Prepared& FindPrepared();
  void MakeRoom();
  void PlaceArena(Prepared& prepared);
  void FollowLastRun();
  void Wait();
  void Enqueue(Prepared& prepared, std::vector<LaunchRecord>* records);
  void CopyInputs(const Prepared& prepared);
  void CopyOutputs(const Prepared& prepared);
  void LaunchAll(Prepared& prepared);
  void LaunchTimed(Prepared& prepared, std::vector<LaunchRecord>& records);
  void Finish();
  [[noreturn]] void Abandon(const Error& error);

  const LoadedPlan& loaded_;
  const PlanData& plan_;
  Device& device_;
  Binding binding_;
  bool is_evaluated_ = false;           // whether binding_ has the values for its symbols
  std::vector<uint32_t> alignments_;    // that kernels need of the inputs, then of the outputs
  CUstream own_stream_ = nullptr;
  CUstream stream_ = nullptr;           // of this run
  CUstream last_stream_ = nullptr;      // in which the arena was last used
  CUevent done_ = nullptr;              // when that ends
  bool is_pending_ = false;             // whether it may not have ended
  bool is_capturing_ = false;           // of this run
  bool is_captured_ = false;
  bool has_host_tensors_ = false;       // of this run
  uint8_t* arena_ = nullptr;
  size_t arena_bytes_ = 0;
  const Prepared* last_ = nullptr;      // whose zeros the arena has
  uint64_t runs_ = 0;
  StagedTensors staged_;                // of this run
  std::vector<std::unique_ptr<Prepared>> prepared_;
  std::vector<CUevent> timers_;
};

}  // namespace hidet::cuda
