// Threads of execution that switch by a call: the executor runs each thread of a kernel as one.
#pragma once

#include <cstddef>
#include <memory>

namespace bntrain::simt_host {

/// Saved registers and stack: of the caller, or of a function that is to start on a stack of its own.
class Context {
 public:
  Context();
  ~Context();
  Context(Context&&) noexcept;
  Context& operator=(Context&&) noexcept;

  /// The next switch to this context calls entry() on the stack, whatever it did before: frames that were
  /// left there are dropped without running destructors. `entry` must not return.
  void prepare(std::byte* stack, std::size_t size, void (*entry)());

  /// Leaves `from`, which is the running context, for this one.
  void switch_from(Context& from);

 private:
  struct Machine;
  friend void start_context();
  std::unique_ptr<Machine> machine_;
};

/// Stacks of one size, whose pages are allocated when touched. Their tops have different offsets in a page:
/// with equal ones all threads would compete for the same sets of the cache.
class Stacks {
 public:
  static constexpr std::size_t kSize = 128 * 1024, kStride = kSize + 4096 + 192;

  explicit Stacks(std::size_t count);
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  std::byte* operator[](std::size_t i) const { return mapped_.memory + i * kStride; }

  struct Mapped {
    std::byte* memory = nullptr;
    std::size_t count = 0;
  };

 private:
  Mapped mapped_;
};

}  // namespace bntrain::simt_host
