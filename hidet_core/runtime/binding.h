// The caller's tensors in one run at a time: checked against the plan, and what follows from their
// sizes: values of symbols and expressions, shapes of outputs.
//
// Ownership: borrows the plan. Threading: one thread at a time. No method allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "hidet_core/runtime/plan.h"
#include "hidet_core/runtime/run_context.h"

namespace hidet {

class Binding {
 public:
  explicit Binding(const PlanData& plan);

  // Asks for the inputs and binds the symbols. Returns whether a symbol's value changed (the first
  // time: true); then Evaluate must follow. Throws kInvalidArgument for a wrong rank or type.
  bool BindInputs(RunContext& context);

  // The values of all expressions. Throws for sizes that are not possible, and where a kernel would
  // leave the caller's tensor.
  void Evaluate();

  // Throws kInvalidArgument unless the inputs have the sizes that the symbols give.
  void CheckInputs() const;

  // Asks for the outputs.
  void BindOutputs(RunContext& context);

  // Where an argument points in its buffer. Throws kInvalidArgument if it is outside.
  int64_t Offset(const LaunchSpec& launch, const ArgumentSpec& arg) const;

  // Throws kInvalidArgument if there are fewer than none.
  int64_t Tasks(const LaunchSpec& launch) const;

  // The caller's memory of a buffer that is an input or output.
  void* Data(const BufferSpec& buffer) const {
    return buffer.kind == BufferKind::kInput ? const_cast<void*>(inputs_[buffer.index].data)
                                             : outputs_[buffer.index].data;
  }

  const PlanData& plan() const { return plan_; }
  const std::vector<int64_t>& symbols() const { return symbols_; }
  const std::vector<int64_t>& values() const { return values_; }  // of expressions
  const std::vector<TensorView>& inputs() const { return inputs_; }
  const std::vector<OutputView>& outputs() const { return outputs_; }
  const std::vector<int64_t>& input_bytes() const { return input_bytes_; }
  const std::vector<int64_t>& output_bytes() const { return output_bytes_; }

 private:
  void CheckRankAndType(size_t input) const;
  void CheckDims(size_t input) const;
  bool BindSymbols();
  void EvaluateTensors(const std::vector<TensorSpec>& specs, std::vector<int64_t>& bytes);
  void CheckCallerBuffer(const BufferSpec& buffer) const;

  const PlanData& plan_;
  std::vector<int64_t> symbols_;  // values
  std::vector<int64_t> values_;   // of expressions
  std::vector<int64_t> input_bytes_;
  std::vector<int64_t> output_bytes_;
  std::vector<int64_t> output_dims_;  // of all outputs, one after the other
  std::vector<TensorView> inputs_;    // of this run
  std::vector<OutputView> outputs_;
};

inline bool IsCallers(BufferKind kind) {
  return kind == BufferKind::kInput || kind == BufferKind::kOutput;
}

// A new arena is this much larger than asked for (1/8) if the old one was too small, so that slowly
// growing shapes (a sequence that gets one token longer per run) do not ask the system each time.
inline size_t WithSlack(size_t bytes, size_t before) {
  return before == 0 ? bytes : bytes + bytes / 8;
}

}  // namespace hidet
