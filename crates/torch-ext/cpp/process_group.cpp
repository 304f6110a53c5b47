// Collectives of c10d's process groups, whichever library moves the data.

#include "common.hpp"

using torch_ext::Group;
using torch_ext::Work;
using torch_ext::guarded;

extern "C" void torch_ext_group_free(Group* group) noexcept { delete group; }

// Begins to replace the tensor by the sum of those of all ranks.
extern "C" Work* torch_ext_all_reduce(Group* group, const at::Tensor* tensor, char** error) noexcept {
  return guarded<Work*>(error, nullptr, [&] {
    auto* work = new Work{nullptr, {*tensor}};
    try {
      work->work = group->backend->allreduce(work->tensors);
    } catch (...) {
      delete work;
      throw;
    }
    return work;
  });
}

// Begins to replace the tensor by that of `root`.
extern "C" Work* torch_ext_broadcast(Group* group, const at::Tensor* tensor, std::int64_t root, char** error) noexcept {
  return guarded<Work*>(error, nullptr, [&] {
    c10d::BroadcastOptions options;
    options.rootRank = root;
    auto* work = new Work{nullptr, {*tensor}};
    try {
      work->work = group->backend->broadcast(work->tensors, options);
    } catch (...) {
      delete work;
      throw;
    }
    return work;
  });
}

// 1 if the work is done, 0 if it isn't after that time, -1 if it failed.
extern "C" int torch_ext_work_wait(Work* work, std::int64_t timeout_ms, char** error) noexcept {
  const std::chrono::milliseconds timeout(timeout_ms);
  try {
    work->work->wait(timeout);
    return 1;
  } catch (...) {
    // A wait that takes too long throws, too.
    if (!work->work->isCompleted()) {
      return 0;
    }
  }
  // It has failed, or it was done just after the time was over: waiting again says which.
  try {
    work->work->wait(timeout);
    return 1;
  } catch (...) {
    *error = torch_ext::current_message();
    return -1;
  }
}

extern "C" void torch_ext_work_free(Work* work) noexcept { delete work; }
