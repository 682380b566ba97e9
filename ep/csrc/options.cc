#include "ep/csrc/options.h"

#include <memory>

namespace hidet {

OptionMap ReadOptions(const Api& api, const ort::OrtSessionOptions& session_options) {
  static constexpr char kPrefix[] = "ep.hidetep.";
  constexpr size_t kPrefixLength = sizeof kPrefix - 1;
  ort::OrtKeyValuePairs* raw = nullptr;
  api.Check(api->GetSessionOptionsConfigEntries(&session_options, &raw));
  const auto release = [&api](ort::OrtKeyValuePairs* pairs) { api->ReleaseKeyValuePairs(pairs); };
  const std::unique_ptr<ort::OrtKeyValuePairs, decltype(release)> entries(raw, release);
  const char* const* keys = nullptr;
  const char* const* values = nullptr;
  size_t count = 0;
  api->GetKeyValuePairs(entries.get(), &keys, &values, &count);
  OptionMap options;
  for (size_t i = 0; i < count; ++i) {
    const std::string key = keys[i];
    if (key.compare(0, kPrefixLength, kPrefix) == 0) {
      options[key.substr(kPrefixLength)] = values[i];
    }
  }
  return options;
}

Settings Settle(const OptionMap& options) {
  Bridge* bridge = CurrentBridge();
  if (bridge == nullptr) return {};
  Settings settings = bridge->Settle(options);
  if (!settings.problem.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "HidetEP " + settings.problem);
  }
  return settings;
}

}  // namespace hidet
