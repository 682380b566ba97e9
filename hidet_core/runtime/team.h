// Runs kernel calls one after the other on several threads, in one parallel region.
//
// Each member walks through all calls: it takes tasks of a call until none is left, waits until
// those that others took are done, and goes on. So members need not all come, nor in time: one
// alone does everything. Each member has a range of consecutive tasks of its own (neighbours share
// cached data) and takes from the others' ranges when it is done with it.
// Threading: one Run at a time. Ownership: borrows the calls given to Split. Run allocates nothing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "hidet_core/runtime/launch.h"
#include "hidet_core/runtime/pages.h"
#include "hidet_core/runtime/run_context.h"

namespace hidet {

class Team {
 public:
  // Plans how `threads` members share the calls. `calls` must not move until the next Split.
  // Allocates for calls.capacity() calls, so that more calls up to that cost no allocation; and the
  // largest workspace of the calls for each member. Throws kFail if the system gives no memory.
  void Split(const std::vector<KernelCall>& calls, size_t threads);

  // Runs all calls. There must be as many workers as Split was told.
  void Run(Workers& workers);

  // Of call `index` in the last run: pieces it was cut in, and when it was done.
  size_t pieces(size_t index) const;
  int64_t end_ns(size_t index) const { return progress_[index].end_ns; }

 private:
  // Alone in their cache lines: each is written by one member most of the time.
  struct alignas(64) Range {
    std::atomic<int64_t> next{0};
    int64_t begin = 0;
    int64_t end = 0;
  };
  struct alignas(64) Progress {
    std::atomic<int64_t> done{0};
    int64_t grain = 1;  // tasks taken at once
    int64_t end_ns = 0;
  };

  static void RunMember(void* team, size_t member);
  void SplitCall(size_t index);
  void MakeWorkspaces();
  void Help(size_t index, size_t member);
  void Await(size_t index) const;

  const std::vector<KernelCall>* calls_ = nullptr;
  size_t threads_ = 0;
  size_t range_capacity_ = 0;
  size_t call_capacity_ = 0;
  std::unique_ptr<Range[]> ranges_;       // [call][member]
  std::unique_ptr<Progress[]> progress_;  // [call]
  size_t workspace_bytes_ = 0;            // of a member
  Pages workspaces_;                      // [member]
};

int64_t NowNs();

}  // namespace hidet
