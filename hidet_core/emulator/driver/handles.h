// The objects behind the handles that callers hold: a handle is the object's address.
//
// Ownership: the table owns its objects. Threading: guarded by the driver's lock.
#pragma once

#include <map>
#include <memory>
#include <utility>

#include "hidet_core/emulator/driver/fault.h"

namespace hidet::emu {

template <typename T, typename Handle>
class Handles {
 public:
  explicit Handles(const char* kind) : kind_(kind) {}

  Handle Add(std::shared_ptr<T> object) {
    T* key = object.get();
    objects_.emplace(key, std::move(object));
    return reinterpret_cast<Handle>(key);
  }

  // Throws INVALID_HANDLE for what is no (or no longer a) handle of this kind.
  const std::shared_ptr<T>& Get(Handle handle) const {
    const auto found = objects_.find(reinterpret_cast<T*>(handle));
    if (found == objects_.end()) {
      throw Fault{CUDA_ERROR_INVALID_HANDLE,
                  Format("%p is no %s, or one that was destroyed", static_cast<void*>(handle),
                         kind_)};
    }
    return found->second;
  }

  void Remove(Handle handle) {
    Get(handle);
    objects_.erase(reinterpret_cast<T*>(handle));
  }

  void Clear() { objects_.clear(); }
  const std::map<T*, std::shared_ptr<T>>& all() const { return objects_; }

 private:
  const char* kind_;
  std::map<T*, std::shared_ptr<T>> objects_;
};

}  // namespace hidet::emu
