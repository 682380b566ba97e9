#include "hidet_core/runtime/plan.h"

#include <algorithm>
#include <cmath>

#include "hidet_core/runtime/crc32.h"

namespace hidet {
namespace {

constexpr char kMagic[] = "HIDETPLN";  // 8 bytes, without the terminating zero
constexpr uint32_t kMaxRank = 64;

ByteSpan CheckHeader(ByteSpan file) {
  Reader reader(file, "the plan");
  const ByteSpan magic = reader.Bytes(sizeof kMagic - 1);
  if (std::memcmp(magic.data, kMagic, magic.bytes) != 0) {
    Fail(ErrorCode::kInvalidPlan, "these bytes are no plan: they do not begin with %s", kMagic);
  }
  const auto version = reader.Read<uint32_t>();
  if (version != kPlanVersion) {
    Fail(ErrorCode::kInvalidPlan, "the plan has version %u, this runtime reads version %u", version,
         kPlanVersion);
  }
  const auto expected = reader.Read<uint32_t>();
  const auto bytes = reader.Read<uint64_t>();
  if (bytes != reader.remaining()) {
    Fail(ErrorCode::kInvalidPlan,
         "the plan is damaged: expected %llu bytes after the header, got %zu",
         static_cast<unsigned long long>(bytes), reader.remaining());
  }
  const ByteSpan payload = reader.Bytes(bytes);
  const uint32_t actual = Crc32(payload.data, payload.bytes);
  if (actual != expected) {
    Fail(ErrorCode::kInvalidPlan, "the plan is damaged: expected CRC-32 %08x, got %08x", expected,
         actual);
  }
  return payload;
}

// Reads the sections in file order; each Read... may use the sections before it.
class PlanParser {
 public:
  explicit PlanParser(ByteSpan payload) : reader_(payload, "the plan") {}

  PlanData Parse() {
    plan_.name = reader_.String();
    plan_.device = ReadDevice();
    ReadList(4, plan_.symbols, [this] { return reader_.String(); });
    ReadList(4, plan_.expressions, [this] {
      return Expression::Parse(reader_.Bytes(reader_.Read<uint32_t>()), plan_.symbols.size());
    });
    ReadList(12, plan_.inputs, [this] { return ReadTensor(); });
    ReadList(12, plan_.outputs, [this] { return ReadTensor(); });
    ReadList(12, plan_.checks, [this] { return ReadCheck(); });
    ReadList(25, plan_.buffers, [this] { return ReadBuffer(); });
    ReadList(8, plan_.images, [this] { return reader_.Bytes(reader_.Read<uint64_t>()); });
    ReadList(17, plan_.kernels, [this] { return ReadKernel(); });
    ReadList(28, plan_.launches, [this] { return ReadLaunch(); });
    if (reader_.remaining() != 0) {
      Fail(ErrorCode::kInvalidPlan, "the plan has %zu bytes too many", reader_.remaining());
    }
    return std::move(plan_);
  }

 private:
  template <typename T, typename ReadOne>
  void ReadList(size_t element_bytes, std::vector<T>& list, ReadOne read_one) {
    const uint32_t count = reader_.Count(element_bytes);
    list.reserve(count);
    for (uint32_t i = 0; i < count; ++i) list.push_back(read_one());
  }

  uint32_t ReadIndex(size_t count, const char* what) {
    const auto index = reader_.Read<uint32_t>();
    if (index >= count) {
      Fail(ErrorCode::kInvalidPlan, "the plan refers to %s %u of %zu", what, index, count);
    }
    return index;
  }

  ExpressionId ReadExpressionId() { return ReadIndex(plan_.expressions.size(), "expression"); }

  DeviceKind ReadDevice() {
    const auto device = reader_.Read<uint8_t>();
    if (device > static_cast<uint8_t>(DeviceKind::kCuda)) {
      Fail(ErrorCode::kInvalidPlan, "device kind %d is unknown", device);
    }
    return static_cast<DeviceKind>(device);
  }

  bool ReadFlag(const char* what) {
    const auto flag = reader_.Read<uint8_t>();
    if (flag > 1) Fail(ErrorCode::kInvalidPlan, "%s: expected 0 or 1, got %d", what, flag);
    return flag == 1;
  }

  TensorSpec ReadTensor() {
    TensorSpec tensor;
    tensor.name = reader_.String();
    tensor.dtype = static_cast<DataType>(reader_.Read<int32_t>());
    if (Info(tensor.dtype).bytes == 0) {
      Fail(ErrorCode::kInvalidPlan, "tensor '%s' has unknown element type %d", tensor.name.c_str(),
           static_cast<int>(tensor.dtype));
    }
    ReadList(4, tensor.shape, [this] { return ReadExpressionId(); });
    if (tensor.shape.size() > kMaxRank) {
      Fail(ErrorCode::kInvalidPlan, "tensor '%s' has rank %zu, at most %u is possible",
           tensor.name.c_str(), tensor.shape.size(), kMaxRank);
    }
    return tensor;
  }

  SizeCheck ReadCheck() {
    SizeCheck check;
    check.where = reader_.String();
    check.left = ReadExpressionId();
    check.right = ReadExpressionId();
    return check;
  }

  BufferSpec ReadBuffer() {
    BufferSpec buffer;
    const auto kind = reader_.Read<uint8_t>();
    if (kind > static_cast<uint8_t>(BufferKind::kTemp)) {
      Fail(ErrorCode::kInvalidPlan, "buffer kind %d is unknown", kind);
    }
    buffer.kind = static_cast<BufferKind>(kind);
    buffer.index = ReadBufferIndex(buffer.kind);
    buffer.bytes = ReadExpressionId();
    buffer.first = reader_.Read<int32_t>();
    buffer.last = reader_.Read<int32_t>();
    buffer.halo = reader_.Read<uint32_t>();
    buffer.alignment = reader_.Read<uint32_t>();
    if (buffer.alignment == 0 || (buffer.alignment & (buffer.alignment - 1)) != 0) {
      Fail(ErrorCode::kInvalidPlan, "buffer alignment: expected a power of two, got %u",
           buffer.alignment);
    }
    return buffer;
  }

  uint32_t ReadBufferIndex(BufferKind kind) {
    if (kind == BufferKind::kInput) return ReadIndex(plan_.inputs.size(), "input");
    if (kind == BufferKind::kOutput) return ReadIndex(plan_.outputs.size(), "output");
    const auto index = reader_.Read<uint32_t>();
    if (kind == BufferKind::kConstant) {
      if (index == UINT32_MAX) Fail(ErrorCode::kInvalidPlan, "constant %u is impossible", index);
      plan_.constant_count = std::max(plan_.constant_count, index + 1);
    }
    return index;
  }

  KernelSpec ReadKernel() {
    KernelSpec kernel;
    kernel.symbol = reader_.String();
    kernel.image = ReadIndex(plan_.images.size(), "kernel image");
    kernel.threads = reader_.Read<uint32_t>();
    kernel.shared_bytes = reader_.Read<uint32_t>();
    kernel.dependent = ReadFlag("kernel flag 'dependent'");
    if ((kernel.threads > 0) != (plan_.device == DeviceKind::kCuda)) {
      Fail(ErrorCode::kInvalidPlan, "kernel '%s': %u threads do not fit the plan's device",
           kernel.symbol.c_str(), kernel.threads);
    }
    return kernel;
  }

  ArgumentSpec ReadArgument() {
    ArgumentSpec argument{};
    argument.buffer = ReadIndex(plan_.buffers.size(), "buffer");
    argument.offset_bytes = ReadExpressionId();
    argument.part = reader_.Read<uint32_t>();
    argument.stored = ReadFlag("argument flag 'stored'");
    const auto rank = reader_.Read<uint8_t>();
    if (rank == 0) return argument;
    if (rank > kMaxMapRank || plan_.device != DeviceKind::kCuda) {
      Fail(ErrorCode::kInvalidPlan, "a tensor map of rank %d: possible are 1 to %zu, for CUDA",
           rank, kMaxMapRank);
    }
    argument.map = ReadMap(rank);
    return argument;
  }

  TensorMapSpec ReadMap(size_t rank) {
    TensorMapSpec map{};
    map.dtype = static_cast<DataType>(reader_.Read<int32_t>());
    map.swizzle = reader_.Read<uint8_t>();
    const bool is_swizzle = map.swizzle == 0 || map.swizzle == 32 || map.swizzle == 64 ||
                            map.swizzle == 128;
    if (Info(map.dtype).bytes == 0 || !is_swizzle) {
      Fail(ErrorCode::kInvalidPlan, "a tensor map has element type %d and a swizzle of %d bytes",
           static_cast<int>(map.dtype), map.swizzle);
    }
    for (size_t axis = 0; axis < rank; ++axis) {
      const ExpressionId size = ReadExpressionId();
      const ExpressionId stride = ReadExpressionId();
      map.axes.push_back({size, stride, reader_.Read<uint32_t>()});
    }
    return map;
  }

  LaunchSpec ReadLaunch() {
    LaunchSpec launch;
    launch.name = reader_.String();
    launch.kernel = ReadIndex(plan_.kernels.size(), "kernel");
    launch.work_ns = reader_.Read<double>();
    if (!std::isfinite(launch.work_ns) || launch.work_ns < 0) {
      Fail(ErrorCode::kInvalidPlan,
           "launch '%s' has work %g ns per task, expected a finite number >= 0",
           launch.name.c_str(), launch.work_ns);
    }
    launch.tasks = ReadExpressionId();
    ReadList(14, launch.args, [this] { return ReadArgument(); });
    ReadList(4, launch.scalars, [this] { return ReadExpressionId(); });
    return launch;
  }

  Reader reader_;
  PlanData plan_;
};

// A symbol gets its value from the first input dim that is exactly this symbol.
void BindSymbols(PlanData& plan) {
  std::vector<bool> bound(plan.symbols.size());
  plan.bindings.resize(plan.symbols.size());
  for (uint32_t input = 0; input < plan.inputs.size(); ++input) {
    const std::vector<ExpressionId>& shape = plan.inputs[input].shape;
    for (uint32_t axis = 0; axis < shape.size(); ++axis) {
      const int64_t symbol = plan.expressions[shape[axis]].symbol();
      if (symbol < 0 || bound[static_cast<size_t>(symbol)]) continue;
      bound[static_cast<size_t>(symbol)] = true;
      plan.bindings[static_cast<size_t>(symbol)] = {input, axis};
    }
  }
  const auto free = std::find(bound.begin(), bound.end(), false);
  if (free == bound.end()) return;
  Fail(ErrorCode::kInvalidPlan, "symbol '%s' is the size of no input axis, so its value is unknown",
       plan.symbols[static_cast<size_t>(free - bound.begin())].c_str());
}

// Every use of a temporary lies within its stored lifetime; every output is given to some launch.
void CheckUses(const PlanData& plan) {
  std::vector<bool> stored(plan.outputs.size());
  for (size_t i = 0; i < plan.launches.size(); ++i) {
    const LaunchSpec& launch = plan.launches[i];
    for (const ArgumentSpec& arg : launch.args) {
      const BufferSpec& buffer = plan.buffers[arg.buffer];
      if (buffer.kind == BufferKind::kOutput) stored[buffer.index] = true;
      if (buffer.kind != BufferKind::kTemp) continue;
      const auto now = static_cast<int64_t>(i);
      if (now >= buffer.first && now <= buffer.last) continue;
      Fail(ErrorCode::kInvalidPlan, "launch %zu ('%s') uses buffer %u, which lives from %d to %d",
           i, launch.name.c_str(), arg.buffer, buffer.first, buffer.last);
    }
  }
  const auto missing = std::find(stored.begin(), stored.end(), false);
  if (missing == stored.end()) return;
  const size_t output = static_cast<size_t>(missing - stored.begin());
  Fail(ErrorCode::kInvalidPlan, "no launch stores output '%s'", plan.outputs[output].name.c_str());
}

}  // namespace

PlanData ParsePlan(ByteSpan bytes) {
  PlanData plan = PlanParser(CheckHeader(bytes)).Parse();
  BindSymbols(plan);
  CheckUses(plan);
  return plan;
}

}  // namespace hidet
