// The peak memory of a device, from libtorch's caching allocator, which tch does not bind.

#include <cstdint>

#include <c10/core/CachingDeviceAllocator.h>

// The most bytes that the allocator of a device type has held on one device: what torch.cuda.max_memory_reserved
// returns. -1 if there is no such allocator or it isn't in use.
extern "C" std::int64_t torch_ext_peak_reserved_bytes(std::int8_t device_type, std::int8_t index) noexcept {
  try {
    auto* allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(static_cast<c10::DeviceType>(device_type)));
    if (allocator == nullptr || !allocator->initialized()) {
      return -1;
    }
    const auto all = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    return allocator->getDeviceStats(index).reserved_bytes[all].peak;
  } catch (...) {
    // No allocator is registered for the type.
    return -1;
  }
}
