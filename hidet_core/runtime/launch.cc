#include "hidet_core/runtime/launch.h"

#include <algorithm>

namespace hidet {
namespace {

constexpr double kMinChunkNs = 10e3;
constexpr size_t kChunksPerThread = 4;

}  // namespace

size_t ChunkCount(int64_t tasks, double work_ns, size_t threads) {
  if (threads <= 1 || tasks <= 1) return 1;
  const double worth = static_cast<double>(tasks) * work_ns / kMinChunkNs;
  size_t chunks = std::min<uint64_t>(threads * kChunksPerThread, static_cast<uint64_t>(tasks));
  if (worth < static_cast<double>(chunks)) chunks = static_cast<size_t>(worth);
  if (chunks > threads) chunks -= chunks % threads;
  return std::max<size_t>(chunks, 1);
}

void RunChunk(void* call, size_t chunk) {
  const auto& kernel = *static_cast<const KernelCall*>(call);
  const auto chunks = static_cast<int64_t>(kernel.chunks);
  const auto index = static_cast<int64_t>(chunk);
  const int64_t each = kernel.tasks / chunks;
  const int64_t longer = kernel.tasks % chunks;  // the first `longer` chunks have one task more
  const int64_t begin = index * each + std::min(index, longer);
  kernel.function(kernel.args, kernel.scalars, begin, begin + each + (index < longer ? 1 : 0));
}

}  // namespace hidet
