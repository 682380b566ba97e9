// The options of a session, as the user gave them: [("HidetEP", {"target": "cpu"})].
//
// ONNX Runtime stores them as config entries "ep.hidetep.<key>" of the session. The table of known
// keys lives on the Python side (ep/hidet_ep/options.py) and is asked through the bridge.
#pragma once

#include "ep/csrc/bridge.h"
#include "ep/csrc/ort_api.h"

namespace hidet {

inline constexpr const char kProviderName[] = "HidetEP";

OptionMap ReadOptions(const Api& api, const ort::OrtSessionOptions& session_options);

// What they come to. Throws Error(kInvalidArgument) naming the option, its value and what is
// allowed. Without a bridge nothing is compiled, and tensors stay in host memory.
Settings Settle(const OptionMap& options);

}  // namespace hidet
