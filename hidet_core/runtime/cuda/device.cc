#include "hidet_core/runtime/cuda/device.h"

#include <map>

#include "hidet_core/runtime/error.h"

namespace hidet::cuda {
namespace {

CUdevice DeviceOf(const Driver& driver, int ordinal) {
  int count = 0;
  driver.Check(driver.functions().DeviceGetCount(&count), "cuDeviceGetCount");
  if (ordinal < 0 || ordinal >= count) {
    Fail(ErrorCode::kFail, "CUDA device %d: the driver has %d devices", ordinal, count);
  }
  CUdevice device = 0;
  driver.Check(driver.functions().DeviceGet(&device, ordinal), "cuDeviceGet");
  return device;
}

// Errors after which a context refuses all work: those of kernels, ECC and lost devices.
bool IsFinal(CUresult code) {
  const int number = code;
  const bool of_launch = number == 701 || (number >= 704 && number <= 708) ||
                         (number >= 711 && number <= 713);
  return number == 214 || (number >= 700 && number <= 721 && !of_launch && number != 720);
}

}  // namespace

int DeviceCount() {
  const Driver& driver = Driver::Get();
  int count = 0;
  driver.Check(driver.functions().DeviceGetCount(&count), "cuDeviceGetCount");
  return count;
}

DeviceInfo QueryDevice(int ordinal) {
  const Driver& driver = Driver::Get();
  const DriverFunctions& f = driver.functions();
  const CUdevice device = DeviceOf(driver, ordinal);
  const auto attribute = [&](CUdevice_attribute which) {
    int value = 0;
    driver.Check(f.DeviceGetAttribute(&value, which, device), "cuDeviceGetAttribute");
    return value;
  };
  char name[256] = "";
  driver.Check(f.DeviceGetName(name, sizeof name, device), "cuDeviceGetName");
  size_t bytes = 0;
  driver.Check(f.DeviceTotalMem(&bytes, device), "cuDeviceTotalMem");
  DeviceInfo info{};
  info.name = name;
  info.memory_bytes = bytes;
  info.compute_major = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  info.compute_minor = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  info.multiprocessors = attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  info.clock_khz = attribute(CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
  info.memory_clock_khz = attribute(CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE);
  info.memory_bus_bits = attribute(CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
  info.l2_bytes = attribute(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
  info.shared_bytes_per_block = attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);
  info.shared_bytes_per_block_optin =
      attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
  info.shared_bytes_per_multiprocessor =
      attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR);
  info.threads_per_multiprocessor = attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR);
  info.blocks_per_multiprocessor = attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR);
  info.registers_per_multiprocessor =
      attribute(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR);
  info.pci_domain = attribute(CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID);
  info.pci_bus = attribute(CU_DEVICE_ATTRIBUTE_PCI_BUS_ID);
  info.pci_device = attribute(CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID);
  info.driver_version = driver.version();
  info.emulated = driver.emulated();
  return info;
}

std::shared_ptr<Device> Device::Get(int ordinal) {
  const Driver& driver = Driver::Get();
  static std::mutex mutex;
  static auto& devices = *new std::map<std::pair<const Driver*, int>, std::weak_ptr<Device>>;
  const std::lock_guard<std::mutex> lock(mutex);
  std::weak_ptr<Device>& known = devices[{&driver, ordinal}];
  std::shared_ptr<Device> device = known.lock();
  if (device == nullptr) {
    device.reset(new Device(driver, ordinal));
    known = device;
  }
  return device;
}

Device::Device(const Driver& driver, int ordinal)
    : driver_(driver),
      ordinal_(ordinal),
      info_(QueryDevice(ordinal)),
      device_(DeviceOf(driver, ordinal)) {
  driver_.Check(functions().DevicePrimaryCtxRetain(&context_, device_), "cuDevicePrimaryCtxRetain");
}

Device::~Device() {
  if (!Driver::forked()) functions().DevicePrimaryCtxRelease(device_);
}

void Device::RequireUsable() const {
  if (Driver::forked()) Driver::Get();  // says what is wrong
  if (!is_broken()) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  Fail(ErrorCode::kFail,
       "CUDA device %d cannot be used by this process any more, since an error of a kernel: %s",
       ordinal_, why_broken_.c_str());
}

void Device::Check(CUresult code, const char* call, const char* what) const {
  if (code == CUDA_SUCCESS) return;
  std::string text = std::string(call) + ": " + driver_.Describe(code);
  if (what != nullptr) text = std::string(what) + ": " + text;
  if (IsFinal(code)) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!broken_.load()) why_broken_ = text;
    broken_.store(true, std::memory_order_release);
  }
  throw Error(ErrorCode::kFail, text);
}

Device::Scope::Scope(const Device& device) {
  device.RequireUsable();
  CUcontext current = nullptr;
  device.functions().CtxGetCurrent(&current);
  if (current == device.context_) return;
  device.Check(device.functions().CtxPushCurrent(device.context_), "cuCtxPushCurrent");
  pushed_ = &device.driver();
}

Device::Scope::~Scope() {
  CUcontext ours = nullptr;
  if (pushed_ != nullptr) pushed_->functions().CtxPopCurrent(&ours);
}

CUstream Device::CreateStream() {
  const Scope scope(*this);
  CUstream stream = nullptr;
  Check(functions().StreamCreate(&stream, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
  return stream;
}

void Device::DestroyStream(CUstream stream) noexcept {
  try {
    const Scope scope(*this);
    functions().StreamDestroy(stream);
  } catch (const std::exception&) {
    // the device is gone, and the stream with it
  }
}

void Device::Synchronize(CUstream stream) const {
  const Scope scope(*this);
  Check(functions().StreamSynchronize(stream), "cuStreamSynchronize");
}

bool Device::IsCapturing(CUstream stream) const {
  const Scope scope(*this);
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  Check(functions().StreamIsCapturing(stream, &status), "cuStreamIsCapturing");
  return status != CU_STREAM_CAPTURE_STATUS_NONE;
}

CUevent Device::CreateEvent(bool timed) {
  const Scope scope(*this);
  CUevent event = nullptr;
  const unsigned flags = timed ? 0u : unsigned{CU_EVENT_DISABLE_TIMING};
  Check(functions().EventCreate(&event, flags), "cuEventCreate");
  return event;
}

void Device::DestroyEvent(CUevent event) noexcept {
  try {
    const Scope scope(*this);
    functions().EventDestroy(event);
  } catch (const std::exception&) {
    // the device is gone, and the event with it
  }
}

void Device::Record(CUevent event, CUstream stream) const {
  const Scope scope(*this);
  Check(functions().EventRecord(event, stream), "cuEventRecord");
}

void Device::Wait(CUstream stream, CUevent event) const {
  const Scope scope(*this);
  Check(functions().StreamWaitEvent(stream, event, 0), "cuStreamWaitEvent");
}

void Device::Synchronize(CUevent event) const {
  const Scope scope(*this);
  Check(functions().EventSynchronize(event), "cuEventSynchronize");
}

float Device::MillisecondsBetween(CUevent begin, CUevent end) const {
  const Scope scope(*this);
  float milliseconds = 0;
  Check(functions().EventElapsedTime(&milliseconds, begin, end), "cuEventElapsedTime");
  return milliseconds;
}

void Device::Copy(void* to, Place to_place, const void* from, Place from_place, size_t bytes,
                  CUstream stream) const {
  if (bytes == 0) return;
  const Scope scope(*this);
  const DriverFunctions& f = functions();
  const bool to_host = to_place == Place::kHost;
  if (to_host && from_place == Place::kHost) {
    Check(f.MemcpyAsync(Address(to), Address(from), bytes, stream), "cuMemcpyAsync");
  } else if (to_host) {
    Check(f.MemcpyDtoHAsync(to, Address(from), bytes, stream), "cuMemcpyDtoHAsync");
  } else if (from_place == Place::kHost) {
    Check(f.MemcpyHtoDAsync(Address(to), from, bytes, stream), "cuMemcpyHtoDAsync");
  } else {
    Check(f.MemcpyDtoDAsync(Address(to), Address(from), bytes, stream), "cuMemcpyDtoDAsync");
  }
}

void Device::Zero(void* to, size_t bytes, CUstream stream) const {
  if (bytes == 0) return;
  const Scope scope(*this);
  Check(functions().MemsetD8Async(Address(to), 0, bytes, stream), "cuMemsetD8Async");
}

}  // namespace hidet::cuda
