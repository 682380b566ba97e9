// CUDA streams and events as ONNX Runtime's streams and notifications.
//
// A run gets a stream of its own, or wraps that of option user_compute_stream. Flush waits for all
// its work: after it the caller reads the outputs. (ONNX Runtime leaves it out where run option
// disable_synchronize_execution_providers is set.) Ownership: ONNX Runtime releases them; each
// holds the session's memory, which knows which streams are in use.
#pragma once

#include <memory>

#include "ep/csrc/device_memory.h"
#include "ep/csrc/ort_api.h"
#include "ep/csrc/ort_callbacks.h"

namespace hidet {

class SyncStream : public ort::OrtSyncStreamImpl {
 public:
  // users_stream: to be wrapped; null: makes one.
  SyncStream(Api api, std::shared_ptr<DeviceMemory> memory, CUstream users_stream);
  ~SyncStream();
  SyncStream(const SyncStream&) = delete;
  SyncStream& operator=(const SyncStream&) = delete;

 private:
  static ort::OrtStatus* OnCreateNotification(ort::OrtSyncStreamImpl* self,
                                              ort::OrtSyncNotificationImpl** notification);
  static ort::OrtStatus* OnFlush(ort::OrtSyncStreamImpl* self);

  Api api_;
  std::shared_ptr<DeviceMemory> memory_;
  std::shared_ptr<cuda::Device> device_;
  CUstream stream_;
  bool owned_;
};

}  // namespace hidet
