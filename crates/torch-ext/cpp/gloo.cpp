// A process group on Gloo: TCP between processors.

#define USE_C10D_GLOO 1

#include "common.hpp"

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

using torch_ext::Group;
using torch_ext::Store;

// With declarations that differ from Gloo's own, the object that is allocated here could differ from what libtorch's
// constructor writes. This is its size in libtorch 2.11.0.
static_assert(sizeof(c10d::ProcessGroupGloo) == 488, "ProcessGroupGloo differs from that of libtorch 2.11.0");

// Connects every rank with every other: by the network interface of that name, or by the one with that address.
extern "C" Group* torch_ext_gloo_connect(Store* store, std::int32_t rank, std::int32_t world, const char* interface,
                                         const char* address, std::int64_t connect_timeout_ms, std::int64_t timeout_ms,
                                         char** error) noexcept {
  return torch_ext::guarded<Group*>(error, nullptr, [&] {
    using Gloo = c10d::ProcessGroupGloo;
    auto options = Gloo::Options::create(std::chrono::milliseconds(connect_timeout_ms));
    options->devices.push_back(interface != nullptr ? Gloo::createDeviceForInterface(interface)
                                                    : Gloo::createDeviceForHostname(address));
    auto gloo = c10::make_intrusive<Gloo>(store->store, rank, world, options);
    gloo->setTimeout(std::chrono::milliseconds(timeout_ms));
    return new Group{std::move(gloo)};
  });
}
