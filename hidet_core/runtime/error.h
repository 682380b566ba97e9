// The one exception of the runtime. Texts name the thing, what was expected and what came.
//
// Threading: plain values. Nothing else is thrown on purpose; std::bad_alloc may pass through.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <stdexcept>
#include <string>

namespace hidet {

enum class ErrorCode {
  kFail,             // the operating system refused something (memory, page protection)
  kInvalidArgument,  // the caller's tensors do not fit the plan; the next call may be right
  kInvalidPlan,      // plan or kernel bytes are corrupt, of another version or of another machine
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& text) : std::runtime_error(text), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

// Throws Error(code) with a printf-formatted text.
[[noreturn, gnu::format(printf, 2, 3)]] inline void Fail(ErrorCode code, const char* format, ...) {
  char text[1024];
  va_list values;
  va_start(values, format);
  std::vsnprintf(text, sizeof text, format, values);
  va_end(values);
  throw Error(code, text);
}

}  // namespace hidet
