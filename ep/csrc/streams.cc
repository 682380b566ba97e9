#include "ep/csrc/streams.h"

#include <utility>

namespace hidet {
namespace {

class Notification : public ort::OrtSyncNotificationImpl {
 public:
  Notification(Api api, std::shared_ptr<cuda::Device> device, CUstream stream)
      : ort::OrtSyncNotificationImpl{}, api_(api), device_(std::move(device)), stream_(stream) {
    ort_version_supported = api.version();
    event_ = device_->CreateEvent(/*timed=*/false);
    Release = [](ort::OrtSyncNotificationImpl* self) { delete static_cast<Notification*>(self); };
    Activate = [](ort::OrtSyncNotificationImpl* self) {
      auto& own = *static_cast<Notification*>(self);
      return own.api_.Guard([&] { own.device_->Record(own.event_, own.stream_); });
    };
    WaitOnDevice = [](ort::OrtSyncNotificationImpl* self, ort::OrtSyncStream* consumer) {
      auto& own = *static_cast<Notification*>(self);
      return own.api_.Guard([&] {
        void* stream = own.api_->SyncStream_GetHandle(consumer);
        own.device_->Wait(static_cast<CUstream>(stream), own.event_);
      });
    };
    WaitOnHost = [](ort::OrtSyncNotificationImpl* self) {
      auto& own = *static_cast<Notification*>(self);
      return own.api_.Guard([&] { own.device_->Synchronize(own.event_); });
    };
  }
  ~Notification() { device_->DestroyEvent(event_); }
  Notification(const Notification&) = delete;
  Notification& operator=(const Notification&) = delete;

 private:
  Api api_;
  std::shared_ptr<cuda::Device> device_;
  CUstream stream_;
  CUevent event_ = nullptr;
};

}  // namespace

SyncStream::SyncStream(Api api, std::shared_ptr<DeviceMemory> memory, CUstream users_stream)
    : ort::OrtSyncStreamImpl{},
      api_(api),
      memory_(std::move(memory)),
      device_(memory_->Pool()->device()),
      stream_(users_stream),
      owned_(users_stream == nullptr) {
  ort_version_supported = api.version();
  if (owned_) stream_ = device_->CreateStream();
  memory_->Add(stream_);
  Release = [](ort::OrtSyncStreamImpl* self) { delete static_cast<SyncStream*>(self); };
  GetHandle = [](ort::OrtSyncStreamImpl* self) {
    return static_cast<void*>(static_cast<SyncStream*>(self)->stream_);
  };
  CreateNotification = &SyncStream::OnCreateNotification;
  Flush = &SyncStream::OnFlush;
  OnSessionRunEnd = [](ort::OrtSyncStreamImpl*) { return static_cast<ort::OrtStatus*>(nullptr); };
}

SyncStream::~SyncStream() {
  memory_->Remove(stream_);
  if (owned_) device_->DestroyStream(stream_);
}

ort::OrtStatus* SyncStream::OnCreateNotification(ort::OrtSyncStreamImpl* self,
                                                 ort::OrtSyncNotificationImpl** notification) {
  const auto& own = *static_cast<SyncStream*>(self);
  return own.api_.Guard(
      [&] { *notification = new Notification(own.api_, own.device_, own.stream_); });
}

ort::OrtStatus* SyncStream::OnFlush(ort::OrtSyncStreamImpl* self) {
  const auto& own = *static_cast<SyncStream*>(self);
  return own.api_.Guard([&] { own.device_->Synchronize(own.stream_); });
}

}  // namespace hidet
