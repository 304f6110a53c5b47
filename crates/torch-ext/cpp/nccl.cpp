// A process group on NCCL: between GPUs. Compiled only where libtorch has its CUDA half and NCCL's header is found.

#define USE_C10D_NCCL 1

#include "common.hpp"

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

using torch_ext::Group;
using torch_ext::Store;

extern "C" Group* torch_ext_nccl_connect(Store* store, std::int32_t rank, std::int32_t world, std::int64_t timeout_ms,
                                         char** error) noexcept {
  return torch_ext::guarded<Group*>(error, nullptr, [&] {
    using Nccl = c10d::ProcessGroupNCCL;
    auto options = Nccl::Options::create();
    options->timeout = std::chrono::milliseconds(timeout_ms);
    return new Group{c10::make_intrusive<Nccl>(store->store, rank, world, options)};
  });
}
