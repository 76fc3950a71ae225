// Memory for tiles, kept by each thread from call to call.
#pragma once

#include <cstddef>
#include <new>

namespace papilio {

/// Aligned memory that grows and is kept up to a limit; larger requests live as long as their
/// owner. Not for two users at a time: one execute per thread runs at a time.
class Workspace {
 public:
  /// At least `bytes` bytes at a multiple of 64; what they held before is lost.
  void* reserve(std::size_t bytes) {
    if (bytes > size_) {
      release();
      memory_ = ::operator new(bytes, alignment);
      size_ = bytes;
    }
    return memory_;
  }
  /// Gives back what is above the limit that is worth keeping.
  void trim() {
    constexpr std::size_t kept = std::size_t{8} << 20;
    if (size_ > kept) release();
  }

  Workspace() = default;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace() { release(); }

 private:
  static constexpr std::align_val_t alignment{64};

  void release() {
    if (memory_) ::operator delete(memory_, alignment);
    memory_ = nullptr;
    size_ = 0;
  }

  void* memory_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace papilio
