#include "hidet_core/runtime/executable.h"

#include "hidet_core/runtime/frame_pool.h"
#include "hidet_core/runtime/loaded_plan.h"

namespace hidet {
namespace {

std::vector<TensorInfo> Describe(const std::vector<TensorSpec>& specs) {
  std::vector<TensorInfo> infos;
  for (const TensorSpec& spec : specs) infos.push_back({spec.name, spec.dtype, spec.shape.size()});
  return infos;
}

}  // namespace

class Executable::Impl {
 public:
  Impl(ByteSpan plan, const ConstantView* constants, size_t constant_count)
      : loaded_(plan, constants, constant_count),
        inputs_(Describe(loaded_.data().inputs)),
        outputs_(Describe(loaded_.data().outputs)),
        pool_(loaded_) {
    FramePool::Lease first(
        pool_);  // a static plan with impossible sizes fails here, not at run time
  }

  LoadedPlan loaded_;
  std::vector<TensorInfo> inputs_;
  std::vector<TensorInfo> outputs_;
  FramePool pool_;
};

std::unique_ptr<Executable> Executable::Load(const uint8_t* plan, size_t bytes,
                                             const ConstantView* constants, size_t constant_count) {
  auto impl = std::make_unique<Impl>(ByteSpan{plan, bytes}, constants, constant_count);
  return std::unique_ptr<Executable>(new Executable(std::move(impl)));
}

Executable::Executable(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Executable::~Executable() = default;

void Executable::Run(RunContext& context) const {
  FramePool::Lease frame(impl_->pool_);
  frame->Run(context, nullptr);
}

std::vector<LaunchRecord> Executable::Profile(RunContext& context) const {
  std::vector<LaunchRecord> records;
  records.reserve(impl_->loaded_.data().launches.size());
  FramePool::Lease frame(impl_->pool_);
  frame->Run(context, &records);
  return records;
}

const std::string& Executable::name() const { return impl_->loaded_.data().name; }
const std::vector<TensorInfo>& Executable::inputs() const { return impl_->inputs_; }
const std::vector<TensorInfo>& Executable::outputs() const { return impl_->outputs_; }
size_t Executable::constant_bytes() const { return impl_->loaded_.constant_bytes(); }
size_t Executable::arena_bytes() const { return impl_->pool_.arena_bytes(); }

}  // namespace hidet
