#include "ep/csrc/ort_api.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace hidet {
namespace {

// "1.32.0" -> 32; a later major version counts as newer than everything known here.
uint32_t RuntimeVersion(const char* text) {
  char* end = nullptr;
  const unsigned long major = std::strtoul(text, &end, 10);
  if (major != 1) return major > 1 ? ort::kHeaderVersion : 0;
  return *end == '.' ? static_cast<uint32_t>(std::strtoul(end + 1, nullptr, 10)) : 0;
}

ort::OrtErrorCode CodeOf(ErrorCode code) {
  // Never ORT_EP_FAIL: for that code ONNX Runtime rebuilds the session without this provider.
  return code == ErrorCode::kInvalidArgument ? ort::ORT_INVALID_ARGUMENT : ort::ORT_FAIL;
}

}  // namespace

Api Api::Resolve(const ort::OrtApiBase& base) {
  const char* runtime = base.GetVersionString();
  const uint32_t version = std::min(ort::kHeaderVersion, RuntimeVersion(runtime));
  if (version < ort::kMinimumVersion) {
    Fail(ErrorCode::kInvalidArgument,
         "HidetEP needs onnxruntime 1.%u or newer, this is onnxruntime %s", ort::kMinimumVersion,
         runtime);
  }
  const ort::OrtApi* api = base.GetApi(version);
  if (api == nullptr) {
    Fail(ErrorCode::kInvalidArgument,
         "onnxruntime %s does not offer version %u of its C interface, which HidetEP uses", runtime,
         version);
  }
  return Api(api, version);
}

void Api::Throw(ort::OrtStatus* status) const {
  const std::string text = api_->GetErrorMessage(status);
  const bool bad_argument = api_->GetErrorCode(status) == ort::ORT_INVALID_ARGUMENT;
  api_->ReleaseStatus(status);
  throw Error(bad_argument ? ErrorCode::kInvalidArgument : ErrorCode::kFail, text);
}

ort::OrtStatus* Api::StatusOfCurrentException(const ort::OrtApi& api) noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return api.CreateStatus(CodeOf(error.code()), error.what());
  } catch (const std::bad_alloc&) {
    return api.CreateStatus(ort::ORT_FAIL, "HidetEP: out of memory");
  } catch (const std::exception& error) {
    return api.CreateStatus(ort::ORT_FAIL, error.what());
  } catch (...) {
    return api.CreateStatus(ort::ORT_FAIL, "HidetEP: unknown exception");
  }
}

bool Logger::Enabled(ort::OrtLoggingLevel level) const noexcept {
  if (logger_ == nullptr) return false;
  ort::OrtLoggingLevel threshold = ort::kFatal;
  ort::OrtStatus* status = api_->Logger_GetLoggingSeverityLevel(logger_, &threshold);
  if (status != nullptr) api_->ReleaseStatus(status);
  return level >= threshold;
}

void Logger::Log(ort::OrtLoggingLevel level, const std::string& text) const noexcept {
  if (logger_ == nullptr) return;
  ort::OrtStatus* status =
      api_->Logger_LogMessage(logger_, level, text.c_str(), __FILE__, __LINE__, "HidetEP");
  if (status != nullptr) api_->ReleaseStatus(status);
}

}  // namespace hidet
