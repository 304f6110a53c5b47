// What the functions for Rust have in common: no exception leaves them, and a failure is a message.

#pragma once

#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace torch_ext {

// Owned by the caller, who frees it with `free`.
inline char* message_of(const std::string& text) {
  char* copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (copy != nullptr) {
    std::memcpy(copy, text.c_str(), text.size() + 1);
  }
  return copy;
}

// The message of the exception that is being handled, without libtorch's backtrace.
inline char* current_message() {
  try {
    throw;
  } catch (const c10::Error& error) {
    return message_of(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return message_of(error.what());
  } catch (...) {
    return message_of("an unknown exception");
  }
}

// Returns the result of `call`, or after an exception `failed` with a message in `*error`.
template <typename Result, typename Call>
Result guarded(char** error, Result failed, Call call) noexcept {
  try {
    return call();
  } catch (...) {
    *error = current_message();
    return failed;
  }
}

// A store that several processes share.
struct Store {
  c10::intrusive_ptr<c10d::Store> store;
};

// The ranks that communicate.
struct Group {
  c10::intrusive_ptr<c10d::Backend> backend;
};

// A collective that has begun, and the tensor that it reads and writes.
struct Work {
  c10::intrusive_ptr<c10d::Work> work;
  std::vector<at::Tensor> tensors;
};

}  // namespace torch_ext
