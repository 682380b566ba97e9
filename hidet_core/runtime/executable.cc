#include "hidet_core/runtime/executable.h"

#include <utility>

#include "hidet_core/runtime/executable_impl.h"

namespace hidet {
namespace {

std::vector<TensorInfo> Describe(const std::vector<TensorSpec>& specs) {
  std::vector<TensorInfo> infos;
  for (const TensorSpec& spec : specs) infos.push_back({spec.name, spec.dtype, spec.shape.size()});
  return infos;
}

}  // namespace

std::unique_ptr<Executable> Executable::Load(const uint8_t* plan, size_t bytes,
                                             const ConstantView* constants, size_t constant_count,
                                             const DeviceOptions& options) {
  PlanData data = ParsePlan(ByteSpan{plan, bytes});
  const bool on_cpu = data.device == DeviceKind::kCpu;
  auto impl = on_cpu ? LoadForCpu(std::move(data), constants, constant_count)
                     : cuda::LoadForCuda(std::move(data), constants, constant_count, options);
  return std::unique_ptr<Executable>(new Executable(std::move(impl)));
}

Executable::Executable(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)),
      inputs_(Describe(impl_->plan().inputs)),
      outputs_(Describe(impl_->plan().outputs)) {}

Executable::~Executable() = default;

void Executable::Run(RunContext& context) const { impl_->Run(context, nullptr); }

std::vector<LaunchRecord> Executable::Profile(RunContext& context) const {
  std::vector<LaunchRecord> records;
  records.reserve(impl_->plan().launches.size());
  impl_->Run(context, &records);
  return records;
}

DeviceKind Executable::device() const { return impl_->plan().device; }
const std::string& Executable::name() const { return impl_->plan().name; }
size_t Executable::constant_bytes() const { return impl_->constant_bytes(); }
size_t Executable::arena_bytes() const { return impl_->arena_bytes(); }

}  // namespace hidet
