// The tensor maps among the parameters of launches: encoded for the sizes of one Prepared, and
// again whenever the address of their tensor changes.
//
// Ownership: owns the maps, borrows the device. Threading: one thread at a time, with the device's
// context current.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "hidet_core/runtime/binding.h"
#include "hidet_core/runtime/cuda/device.h"

namespace hidet::cuda {

class TensorMaps {
 public:
  explicit TensorMaps(const Device& device) : device_(device) {}

  // A map in place of the pointer that is parameter number `parameter`, of launch number `step`.
  // Throws kInvalidArgument for sizes and strides that no tensor map can have.
  void Add(const Binding& binding, const LaunchSpec& launch, const ArgumentSpec& argument,
           size_t parameter, size_t step);

  // What a launch is given: in `addresses`, each map in place of its pointer. After the last Add.
  void Place(std::vector<void*>& addresses);

  // Follows the addresses in `parameters`; calls changed(step) where a map is another one.
  template <typename Changed>
  void Encode(const std::vector<uint64_t>& parameters, Changed changed) {
    for (Map& map : maps_) {
      if (map.address == parameters[map.parameter]) continue;
      map.address = parameters[map.parameter];
      Encode(map);
      changed(map.step);
    }
  }

 private:
  static constexpr uint64_t kNowhere = UINT64_MAX;

  struct Map {
    CUtensorMap encoded;
    const LaunchSpec* launch;
    const TensorMapSpec* spec;
    size_t parameter;
    size_t step;
    uint64_t address;
    uint64_t sizes[kMaxMapRank];
    uint64_t strides[kMaxMapRank];
  };

  void Encode(Map& map) const;

  const Device& device_;
  std::vector<Map> maps_;
};

}  // namespace hidet::cuda
