// c10d's TCPStore: a few keys and values that one process holds and all can read and write.

#include "common.hpp"

#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

using torch_ext::Store;
using torch_ext::guarded;

// c10d logs what it also throws, with a backtrace, and each new try to connect. Unless the user has chosen a level, only what
// ends the process is logged.
static void log_only_fatal_errors() {
  if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) {
    FLAGS_caffe2_log_level = 3;
  }
}

// Connects to the store at host:port, which this process holds if `is_server`. Every key gets the prefix.
extern "C" Store* torch_ext_store_connect(const char* host, std::uint16_t port, bool is_server, const char* prefix,
                                          std::int64_t timeout_ms, char** error) noexcept {
  return guarded<Store*>(error, nullptr, [&] {
    log_only_fatal_errors();
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = is_server;
    options.waitWorkers = false;
    options.timeout = std::chrono::milliseconds(timeout_ms);
    auto store = c10::make_intrusive<c10d::TCPStore>(std::string(host), options);
    return new Store{c10::make_intrusive<c10d::PrefixStore>(prefix, std::move(store))};
  });
}

extern "C" void torch_ext_store_free(Store* store) noexcept { delete store; }

extern "C" bool torch_ext_store_set(Store* store, const char* key, const std::uint8_t* data, std::size_t length,
                                    char** error) noexcept {
  return guarded(error, false, [&] {
    store->store->set(std::string(key), std::vector<std::uint8_t>(data, data + length));
    return true;
  });
}

// 1 if every key has a value, 0 if not, -1 after an error.
extern "C" int torch_ext_store_has(Store* store, const char* const* keys, std::size_t count, char** error) noexcept {
  return guarded(error, -1, [&] { return store->store->check({keys, keys + count}) ? 1 : 0; });
}

// The values of keys that are known to have one, one after another, with their lengths in `lengths`. The caller frees it.
extern "C" std::uint8_t* torch_ext_store_get(Store* store, const char* const* keys, std::size_t count,
                                             std::size_t* lengths, char** error) noexcept {
  return guarded<std::uint8_t*>(error, nullptr, [&] {
    const auto values = store->store->multiGet({keys, keys + count});
    std::size_t total = 1;
    for (std::size_t i = 0; i < count; ++i) {
      lengths[i] = values.at(i).size();
      total += lengths[i];
    }
    auto* bytes = static_cast<std::uint8_t*>(std::malloc(total));
    TORCH_CHECK(bytes != nullptr, "out of memory");
    auto* end = bytes;
    for (const auto& value : values) {
      end = std::copy(value.begin(), value.end(), end);
    }
    return bytes;
  });
}
