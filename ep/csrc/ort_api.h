// ONNX Runtime's function tables, and the one door through which errors pass in either direction.
//
// Ownership: the tables belong to ONNX Runtime and live as long as the process. An Api is a plain
// value, copied freely and used from any thread. Check turns a failing OrtStatus into hidet::Error
// (and frees it); Guard turns whatever a callback's body throws into an OrtStatus.
#pragma once

#include <string>

#include "ep/csrc/ort_abi.h"
#include "hidet_core/runtime/error.h"

namespace hidet {

class Api {
 public:
  // Picks the newest version that both sides know. Throws Error for a runtime that is too old.
  static Api Resolve(const ort::OrtApiBase& base);

  const ort::OrtApi* operator->() const noexcept { return api_; }
  const ort::OrtEpApi& ep() const noexcept { return *ep_api_; }
  uint32_t version() const noexcept { return version_; }

  void Check(ort::OrtStatus* status) const {
    if (status != nullptr) Throw(status);
  }

  template <typename Body>
  ort::OrtStatus* Guard(Body&& body) const noexcept {
    try {
      body();
      return nullptr;
    } catch (...) {
      return StatusOfCurrentException(*api_);
    }
  }

  // For Guard, and for callers that have no Api yet. Call it inside a catch block.
  static ort::OrtStatus* StatusOfCurrentException(const ort::OrtApi& api) noexcept;

 private:
  Api(const ort::OrtApi* api, uint32_t version)
      : api_(api), ep_api_(api->GetEpApi()), version_(version) {}
  [[noreturn]] void Throw(ort::OrtStatus* status) const;

  const ort::OrtApi* api_;
  const ort::OrtEpApi* ep_api_;
  uint32_t version_;
};

// Writes to ONNX Runtime's log. Never throws; a null logger swallows everything.
class Logger {
 public:
  Logger(Api api, const ort::OrtLogger* logger) : api_(api), logger_(logger) {}

  // Whether a message of this level would be seen: ask before building a long text.
  bool Enabled(ort::OrtLoggingLevel level) const noexcept;
  void Log(ort::OrtLoggingLevel level, const std::string& text) const noexcept;

 private:
  Api api_;
  const ort::OrtLogger* logger_;
};

}  // namespace hidet
