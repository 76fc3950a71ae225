// Memory for tiles, kept by each thread from call to call.
#pragma once

#include <cstddef>
#include <new>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace papilio {

/// Aligned memory that grows.
class Workspace {
 public:
  /// At least `bytes` bytes at a multiple of 64; what they held before is lost.
  void* reserve(std::size_t bytes) {
    if (bytes > size_) {
      release();
      memory_ = ::operator new(bytes, alignment_of(bytes));
      size_ = bytes;
#if defined(__linux__)
      // Large ones aren't kept: small pages would cost more than some passes over them.
      if (bytes >= 2 * huge_page) madvise(memory_, bytes, MADV_HUGEPAGE);
#endif
    }
    return memory_;
  }
  std::size_t size() const { return size_; }

  Workspace() = default;
  Workspace(Workspace&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Workspace& operator=(Workspace&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Workspace() { release(); }

 private:
  static constexpr std::size_t huge_page = std::size_t{2} << 20;

  static std::align_val_t alignment_of(std::size_t bytes) {
    return std::align_val_t{bytes >= 2 * huge_page ? huge_page : 64};
  }

  void release() {
    if (memory_) ::operator delete(memory_, alignment_of(size_));
    memory_ = nullptr;
    size_ = 0;
  }

  void* memory_ = nullptr;
  std::size_t size_ = 0;
};

/// A workspace for as long as it lives: one that this thread keeps from call to call. A product
/// inside of another (of a composition's tile, of a signal handler that runs between two tiles)
/// has one of its own.
class Lease {
 public:
  Lease() {
    if (kept().empty()) return;
    workspace_ = std::move(kept().back());
    kept().pop_back();
  }
  ~Lease() {
    // Larger ones, and more than a composition and its butterflies need, aren't worth keeping.
    constexpr std::size_t most_bytes = std::size_t{8} << 20, most = 2;
    if (workspace_.size() <= most_bytes && kept().size() < most)
      kept().push_back(std::move(workspace_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  void* reserve(std::size_t bytes) { return workspace_.reserve(bytes); }

 private:
  /// The last one to be given back comes first: it has the size that was needed here before.
  static std::vector<Workspace>& kept() {
    thread_local std::vector<Workspace> workspaces = [] {
      std::vector<Workspace> none;
      none.reserve(2);  // so that giving one back can't throw
      return none;
    }();
    return workspaces;
  }

  Workspace workspace_;
};

}  // namespace papilio
