// Tests of the runtime that need its own allocator or sanitizers; test_native.py builds and runs
// it.
//
//   steady PLAN CONSTANT     allocations of 100 runs with known shapes (two signatures,
//   alternating) concurrent PLAN CONSTANT runs on 4 threads at once that share a pool; prints wrong
//   results fuzz-plan PLAN CONSTANT SEEDS     loads damaged plans whose checksum is right again
//   team SEEDS - -           random calls, members that come late or never; prints mistakes
//   dependencies SEEDS -     orders of random launches; prints mistakes
//   fuzz-object OBJECT SEEDS          loads damaged kernel images
// The fuzzers print how many were refused and how many loaded; a crash is the failure.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "hidet_core/runtime/crc32.h"
#include "hidet_core/runtime/cuda/dependencies.h"
#include "hidet_core/runtime/executable.h"
#include "hidet_core/runtime/module.h"
#include "hidet_core/runtime/team.h"
#include "hidet_core/runtime/thread_pool.h"

namespace {
std::atomic<long> allocations{0};
}

#if defined(COUNT_ALLOCATIONS)
extern "C" void* __libc_malloc(size_t bytes);
extern "C" void* malloc(size_t bytes) {
  allocations.fetch_add(1);
  return __libc_malloc(bytes);
}
#endif

namespace {

using Bytes = std::vector<uint8_t>;
constexpr size_t kPayload = 24;  // behind the header of a plan
constexpr size_t kChecksum = 12;

Bytes ReadFile(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

// Inputs x [n, m] and k [n * m, 2], outputs [n] and [n, m]: the plan of conftest.py.
class Context : public hidet::RunContext {
 public:
  Context(int64_t n, int64_t m, hidet::ThreadPool& pool)
      : x_shape_{n, m},
        k_shape_{n * m, 2},
        x_(n * m),
        k_(2 * n * m),
        sums_(n),
        scaled_(n * m),
        pool_(pool) {}
  hidet::TensorView Input(size_t i) override {
    const int64_t* shape = i == 0 ? x_shape_ : k_shape_;
    return {i == 0 ? x_.data() : k_.data(), shape, 2, hidet::DataType::kFloat};
  }
  hidet::OutputView Output(size_t i, const int64_t*, size_t) override {
    return {i == 0 ? sums_.data() : scaled_.data()};
  }
  void Fill(float value) { x_.assign(x_.size(), value); }
  // Whether sums is `sum` and scaled is `scaled` in all places.
  bool Holds(float sum, float scaled) const {
    const auto is = [](float wanted) { return [=](float each) { return each == wanted; }; };
    return std::all_of(sums_.begin(), sums_.end(), is(sum)) &&
           std::all_of(scaled_.begin(), scaled_.end(), is(scaled));
  }
  void ParallelFor(void (*function)(void*, size_t), size_t total, void* user) override {
    pool_.ParallelFor(function, total, user);
  }
  size_t Threads() const override { return pool_.threads(); }

 private:
  int64_t x_shape_[2];
  int64_t k_shape_[2];
  std::vector<float> x_, k_, sums_, scaled_;
  hidet::ThreadPool& pool_;
};

std::unique_ptr<hidet::Executable> Load(const Bytes& plan, const Bytes& constant) {
  const hidet::ConstantView view{constant.data(), constant.size()};
  return hidet::Executable::Load(plan.data(), plan.size(), &view, 1);
}

int Steady(const Bytes& plan, const Bytes& constant) {
  const auto executable = Load(plan, constant);
  hidet::ThreadPool pool(2);
  Context small(3, 5, pool);
  Context large(64, 300, pool);
  executable->Run(large);
  executable->Run(small);
  const long before = allocations.load();
  for (int i = 0; i < 50; ++i) {
    executable->Run(large);
    executable->Run(small);
  }
  std::printf("loading %d\nsteady %ld\n", before > 0, allocations.load() - before);
  return 0;
}

// With constants 2 and 0.5: t = 3 x, sums = m t, scaled = 1.5 t.
int Concurrent(const Bytes& plan, const Bytes& constant) {
  const auto executable = Load(plan, constant);
  hidet::ThreadPool pool(2);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int64_t worker = 1; worker <= 4; ++worker) {
    threads.emplace_back([&, worker] {
      Context context(16 * worker, worker, pool);
      for (int i = 0; i < 100; ++i) {
        const auto x = static_cast<float>(i);
        context.Fill(x);
        executable->Run(context);
        if (!context.Holds(3 * x * static_cast<float>(worker), 4.5f * x)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::printf("wrong %d\n", wrong.load());
  return 0;
}

// Each task writes the number of its call; a task of a later call finds all those of the earlier
// ones written. args: the cells of this call and of the one before (or null), counters of mistakes.
// Nobody else writes the workspace meanwhile.
void CheckedTasks(void* const* args, const int64_t* scalars, int64_t begin, int64_t end,
                  void* workspace) {
  auto* room = static_cast<int64_t*>(workspace);
  const int64_t words = scalars[2], mine = begin + 1000 * scalars[0];
  std::fill(room, room + words, mine);
  auto* cells = static_cast<int64_t*>(args[0]);
  const auto* before = static_cast<const int64_t*>(args[1]);
  auto& wrong = *static_cast<std::atomic<int>*>(args[2]);
  const int64_t earlier = before == nullptr ? 0 : scalars[1];
  for (int64_t i = 0; i < earlier; ++i) wrong += before[i] != scalars[0] - 1;
  for (int64_t i = begin; i < end; ++i) wrong += std::exchange(cells[i], scalars[0]) != 0;
  wrong += words - std::count(room, room + words, mine);
}

// Members come in any order, late, one after the other or not at the same time.
class Stragglers : public hidet::Workers {
 public:
  Stragglers(size_t threads, std::mt19937& random) : threads_(threads), random_(random) {}
  void ParallelFor(void (*function)(void*, size_t), size_t total, void* user) override {
    std::vector<std::thread> late;
    for (size_t i = 1; i < total; ++i) {
      const auto delay = std::chrono::microseconds(random_() % 200);
      late.emplace_back([=] {
        std::this_thread::sleep_for(delay);
        function(user, i);
      });
      if (random_() % 2 == 0) late.back().join(), late.pop_back();
    }
    function(user, 0);
    for (std::thread& thread : late) thread.join();
  }
  size_t Threads() const override { return threads_; }

 private:
  size_t threads_;
  std::mt19937& random_;
};

int TeamOfStragglers(int seeds) {
  std::atomic<int> wrong{0};
  for (int seed = 0; seed < seeds; ++seed) {
    std::mt19937 random(static_cast<uint32_t>(seed));
    const size_t count = 1 + random() % 12;
    std::vector<std::vector<int64_t>> cells;
    for (size_t i = 0; i < count; ++i) cells.emplace_back(1 + random() % 50);
    std::vector<std::array<void*, 3>> args(count);
    std::vector<std::array<int64_t, 3>> scalars(count);
    std::vector<hidet::KernelCall> calls;
    for (size_t i = 0; i < count; ++i) {
      args[i] = {cells[i].data(), i == 0 ? nullptr : cells[i - 1].data(), &wrong};
      const int64_t words = random() % 2 == 0 ? 0 : random() % 2000;
      const int64_t earlier = i == 0 ? 0 : static_cast<int64_t>(cells[i - 1].size());
      scalars[i] = {static_cast<int64_t>(i + 1), earlier, words};
      const double work = random() % 2 == 0 ? 1.0 : 1e5;
      calls.push_back({CheckedTasks, args[i].data(), scalars[i].data(),
                       static_cast<int64_t>(cells[i].size()), work,
                       static_cast<size_t>(words) * sizeof(int64_t)});
    }
    Stragglers workers(1 + random() % 4, random);
    hidet::Team team;
    team.Split(calls, workers.Threads());
    for (int run = 0; run < 2; ++run) {
      for (auto& each : cells) each.assign(each.size(), 0);
      team.Run(workers);
      wrong += std::count(cells.back().begin(), cells.back().end(), 0);
    }
  }
  std::printf("wrong %d\n", wrong.load());
  return 0;
}

// Flips, overwrites or removes a few bytes.
Bytes Damage(Bytes bytes, size_t from, std::mt19937& random) {
  const uint8_t edges[] = {0, 1, 0x7F, 0x80, 0xFF};
  for (auto left = 1 + random() % 3; left > 0; --left) {
    const size_t at = from + random() % (bytes.size() - from);
    switch (random() % 4) {
      case 0: bytes[at] ^= static_cast<uint8_t>(1u << random() % 8); break;
      case 1: bytes[at] = edges[random() % 5]; break;
      case 2: std::memset(&bytes[at], 0xFF, std::min<size_t>(4, bytes.size() - at)); break;
      default: bytes[at] = static_cast<uint8_t>(random()); break;
    }
  }
  if (random() % 16 == 0) bytes.resize(from + random() % (bytes.size() - from));
  return bytes;
}

void Repair(Bytes& plan) {
  const uint64_t size = plan.size() - kPayload;
  const uint32_t crc = hidet::Crc32(plan.data() + kPayload, size);
  std::memcpy(&plan[kChecksum], &crc, sizeof crc);
  std::memcpy(&plan[kChecksum + 4], &size, sizeof size);
}

// Counts seeds for which load(bytes) throws hidet::Error; any other end is a failure.
template <typename Load>
int Fuzz(const Bytes& good, size_t from, int seeds, Load load) {
  int refused = 0;
  for (int seed = 0; seed < seeds; ++seed) {
    std::mt19937 random(static_cast<uint32_t>(seed));
    try {
      load(Damage(good, from, random));
    } catch (const hidet::Error&) {
      ++refused;
    }
  }
  std::printf("refused %d\nloaded %d\n", refused, seeds - refused);
  return 0;
}

using Launches = std::vector<std::vector<hidet::cuda::Access>>;
using Pairs = std::vector<std::vector<bool>>;
constexpr uint32_t kMemories = 3;

bool Conflict(const hidet::cuda::Access& a, const hidet::cuda::Access& b) {
  int64_t shared = 0;
  for (int64_t i = a.begin; i < a.end; ++i) shared += b.begin <= i && i < b.end;
  const bool apart = a.buffer == b.buffer && a.part != b.part && a.part > 0 && b.part > 0;
  return shared > 0 && a.memory == b.memory && (a.stored || b.stored) && !apart;
}

bool Conflict(const Launches& launches, size_t left, size_t right) {
  for (const auto& a : launches[left]) {
    for (const auto& b : launches[right]) {
      if (Conflict(a, b)) return true;
    }
  }
  return false;
}

// Each pair of which one stores what the other uses must be ordered by the edges, and no edge may
// be there that the others make needless. `ordered` gets what the edges order.
int WrongEdges(const Launches& launches, Pairs& ordered) {
  const auto before = hidet::cuda::FindDependencies(launches);
  int wrong = 0;
  Pairs longer = ordered;  // by paths of two edges or more
  for (size_t later = 0; later < launches.size(); ++later) {
    for (const uint32_t earlier : before[later]) {
      wrong += earlier >= later || !Conflict(launches, earlier, later);
      ordered[later][earlier] = true;
      for (size_t i = 0; i < earlier; ++i) {
        if (ordered[earlier][i]) ordered[later][i] = longer[later][i] = true;
      }
    }
    for (const uint32_t earlier : before[later]) wrong += longer[later][earlier];
    for (size_t i = 0; i < later; ++i) wrong += Conflict(launches, i, later) && !ordered[later][i];
  }
  return wrong;
}

bool Uses(const std::vector<hidet::cuda::Access>& accesses, uint32_t memory) {
  return std::any_of(accesses.begin(), accesses.end(),
                     [&](const auto& access) { return access.memory == memory; });
}

// Memories are in use at the same time unless all users of one come before those of the other.
int WrongPairs(const Launches& launches, const Pairs& ordered) {
  const auto concurrent = hidet::cuda::FindConcurrent(launches, kMemories);
  const auto all_before = [&](uint32_t left, uint32_t right) {
    int late = 0;
    for (size_t i = 0; i < launches.size(); ++i) {
      for (size_t j = 0; j < launches.size(); ++j) {
        late += Uses(launches[i], left) && Uses(launches[j], right) && !ordered[j][i];
      }
    }
    return late == 0;
  };
  int wrong = 0;
  for (uint32_t left = 0; left < kMemories; ++left) {
    for (uint32_t right = 0; right < kMemories; ++right) {
      wrong += concurrent[left][right] == (all_before(left, right) || all_before(right, left));
    }
  }
  return wrong;
}

int Dependencies(int seeds) {
  int wrong = 0;
  for (int seed = 0; seed < seeds; ++seed) {
    std::mt19937 random(static_cast<uint32_t>(seed));
    Launches launches(1 + random() % 12);
    for (auto& accesses : launches) {
      for (size_t i = 1 + random() % 4; i > 0; --i) {
        const int64_t begin = random() % 20;
        const auto memory = static_cast<uint32_t>(random() % kMemories);
        accesses.push_back({memory, begin, begin + static_cast<int64_t>(random() % 6),
                            random() % 3 == 0, static_cast<uint32_t>(random() % 2),
                            static_cast<uint32_t>(random() % 3)});
      }
    }
    Pairs ordered(launches.size(), std::vector<bool>(launches.size()));
    wrong += WrongEdges(launches, ordered);
    wrong += WrongPairs(launches, ordered);
  }
  std::printf("wrong %d\n", wrong);
  return 0;
}

}  // namespace

int main(int count, char** words) {
  const std::string mode = count > 3 ? words[1] : "";
  if (mode == "steady") return Steady(ReadFile(words[2]), ReadFile(words[3]));
  if (mode == "concurrent") return Concurrent(ReadFile(words[2]), ReadFile(words[3]));
  if (mode == "team") return TeamOfStragglers(std::atoi(words[2]));
  if (mode == "dependencies") return Dependencies(std::atoi(words[2]));
  if (mode == "fuzz-plan" && count > 4) {
    const Bytes constant = ReadFile(words[3]);
    return Fuzz(ReadFile(words[2]), kPayload, std::atoi(words[4]), [&](Bytes plan) {
      Repair(plan);
      Load(plan, constant);
    });
  }
  if (mode == "fuzz-object") {
    return Fuzz(ReadFile(words[2]), 0, std::atoi(words[3]),
                [](const Bytes& image) { hidet::Module module({image.data(), image.size()}); });
  }
  std::fprintf(stderr, "usage: see the top of native_driver.cc\n");
  return 2;
}
