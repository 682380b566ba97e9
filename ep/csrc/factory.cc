// The library's entry points: what ONNX Runtime calls when it registers the plugin.
//
// One Factory per registration: the function tables, and where there are GPUs, what makes their
// memory known: devices, allocators and streams for OrtValues outside of sessions, copies. On a
// machine without a CUDA driver none of these exist. Every callback is guarded.
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "ep/csrc/bridge.h"
#include "ep/csrc/device_memory.h"
#include "ep/csrc/gpus.h"
#include "ep/csrc/options.h"
#include "ep/csrc/ort_api.h"
#include "ep/csrc/ort_callbacks.h"
#include "ep/csrc/provider.h"
#include "ep/csrc/streams.h"
#include "ep/csrc/tensor_copy.h"

namespace hidet {
namespace {

// Set once by the Python package when it is imported; the library's only mutable static.
std::atomic<Bridge*> current_bridge{nullptr};

class Factory : public ort::OrtEpFactory {
 public:
  Factory(Api api, Logger logger)
      : ort::OrtEpFactory{}, api_(api), logger_(logger), gpus_(api) {
    ort_version_supported = api.version();
    GetName = [](const ort::OrtEpFactory*) { return kProviderName; };
    GetVendor = [](const ort::OrtEpFactory*) { return "HidetEP"; };
    GetVendorId = [](const ort::OrtEpFactory*) -> uint32_t { return 0; };
    GetVersion = [](const ort::OrtEpFactory*) { return HIDET_VERSION; };
    GetSupportedDevices = &Factory::OnGetSupportedDevices;
    CreateEp = &Factory::OnCreateEp;
    ReleaseEp = [](ort::OrtEpFactory*, ort::OrtEp* ep) { delete static_cast<Provider*>(ep); };
    CreateDataTransfer = [](ort::OrtEpFactory* self, ort::OrtDataTransferImpl** transfer) {
      const auto& factory = *static_cast<Factory*>(self);
      return factory.api_.Guard([&] {
        *transfer = factory.gpus_.empty() ? nullptr : new DataTransfer(factory.api_);
      });
    };
    if (!gpus_.empty()) ServeGpus();
  }

 private:
  void ServeGpus() {
    CreateAllocator = &Factory::OnCreateAllocator;
    ReleaseAllocator = [](ort::OrtEpFactory*, ort::OrtAllocator* allocator) {
      delete static_cast<DeviceAllocator*>(allocator);  // those of sessions too
    };
    IsStreamAware = [](const ort::OrtEpFactory*) { return true; };
    CreateSyncStreamForDevice = &Factory::OnCreateStream;
  }

  // Of OrtValues that are made outside of sessions.
  std::shared_ptr<DeviceMemory> SharedMemory(const ort::OrtMemoryDevice& device) {
    const auto ordinal = static_cast<int>(api_.ep().MemoryDevice_GetDeviceId(&device));
    const std::lock_guard<std::mutex> lock(mutex_);
    std::shared_ptr<DeviceMemory>& memory = shared_[ordinal];
    if (memory == nullptr) memory = std::make_shared<DeviceMemory>(ordinal, SIZE_MAX);
    return memory;
  }

  static ort::OrtStatus* OnCreateAllocator(ort::OrtEpFactory* self, const ort::OrtMemoryInfo* info,
                                           const ort::OrtKeyValuePairs*,
                                           ort::OrtAllocator** allocator) {
    auto& factory = *static_cast<Factory*>(self);
    const Api& api = factory.api_;
    return api.Guard([&] {
      const ort::OrtMemoryDevice* device = api.ep().MemoryInfo_GetMemoryDevice(info);
      *allocator =
          new DeviceAllocator(api, factory.logger_, info, factory.SharedMemory(*device));
    });
  }

  static ort::OrtStatus* OnCreateStream(ort::OrtEpFactory* self, const ort::OrtMemoryDevice* device,
                                        const ort::OrtKeyValuePairs*,
                                        ort::OrtSyncStreamImpl** stream) {
    auto& factory = *static_cast<Factory*>(self);
    return factory.api_.Guard([&] {
      *stream = new SyncStream(factory.api_, factory.SharedMemory(*device), nullptr);
    });
  }

  static const Api& ApiOf(ort::OrtEpFactory* self) { return static_cast<Factory*>(self)->api_; }

  static ort::OrtStatus* OnGetSupportedDevices(ort::OrtEpFactory* self,
                                               const ort::OrtHardwareDevice* const* devices,
                                               size_t num_devices, ort::OrtEpDevice** ep_devices,
                                               size_t max_ep_devices, size_t* num_ep_devices) {
    const Api& api = ApiOf(self);
    return api.Guard([&] {
      *num_ep_devices = 0;
      // GPUs first: of a name in `providers=[...]` the first device counts.
      static_cast<Factory*>(self)->gpus_.Declare(self, ep_devices, max_ep_devices, num_ep_devices);
      for (size_t i = 0; i < num_devices && *num_ep_devices < max_ep_devices; ++i) {
        if (api->HardwareDevice_Type(devices[i]) != ort::kCpuDevice) continue;
        api.Check(api.ep().CreateEpDevice(self, devices[i], nullptr, nullptr,
                                          &ep_devices[*num_ep_devices]));
        ++*num_ep_devices;
      }
    });
  }

  static ort::OrtStatus* OnCreateEp(ort::OrtEpFactory* self, const ort::OrtHardwareDevice* const*,
                                    const ort::OrtKeyValuePairs* const*, size_t,
                                    const ort::OrtSessionOptions* session_options,
                                    const ort::OrtLogger* logger, ort::OrtEp** ep) {
    const Api& api = ApiOf(self);
    return api.Guard([&] {
      *ep = nullptr;
      OptionMap options = ReadOptions(api, *session_options);
      Settings settings = Settle(options);
      *ep = new Provider(api, Logger(api, logger), std::move(options), std::move(settings),
                         static_cast<Factory*>(self)->gpus_);
    });
  }

  Api api_;
  Logger logger_;  // ONNX Runtime's default one
  Gpus gpus_;
  std::mutex mutex_;
  std::map<int, std::shared_ptr<DeviceMemory>> shared_;  // by ordinal
};

}  // namespace

Bridge* CurrentBridge() noexcept { return current_bridge.load(std::memory_order_acquire); }

}  // namespace hidet

#define HIDET_EXPORT __attribute__((visibility("default")))  // and named in exports.map

extern "C" {

HIDET_EXPORT void HidetSetBridge(hidet::Bridge* bridge) noexcept {
  hidet::current_bridge.store(bridge, std::memory_order_release);
}

HIDET_EXPORT hidet::ort::OrtStatus* CreateEpFactories(
    const char* /*registered_name*/, const hidet::ort::OrtApiBase* base,
    const hidet::ort::OrtLogger* logger, hidet::ort::OrtEpFactory** factories,
    size_t max_factories, size_t* num_factories) {
  try {
    *num_factories = 0;
    const hidet::Api api = hidet::Api::Resolve(*base);
    if (max_factories < 1) {
      hidet::Fail(hidet::ErrorCode::kInvalidArgument, "HidetEP: no room for a factory");
    }
    factories[0] = new hidet::Factory(api, hidet::Logger(api, logger));
    *num_factories = 1;
    return nullptr;
  } catch (...) {
    // 22 is the first version with plugin providers: every runtime that can come here has it.
    const hidet::ort::OrtApi* oldest = base->GetApi(22);
    return oldest ? hidet::Api::StatusOfCurrentException(*oldest) : nullptr;
  }
}

HIDET_EXPORT hidet::ort::OrtStatus* ReleaseEpFactory(hidet::ort::OrtEpFactory* factory) {
  delete static_cast<hidet::Factory*>(factory);
  return nullptr;
}

}  // extern "C"
