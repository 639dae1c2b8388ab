#include "kernels/simt/host/fiber.hpp"

#include <sys/mman.h>
#include <ucontext.h>

#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// swapcontext() makes two system calls a switch, ten times the rest of it: on x86-64 the switch is written
// out. It saves what the System V calling convention asks a function to preserve.
#ifdef __x86_64__
extern "C" void bntrain_switch_stack(void** save, void* load);
asm(R"(
.text
.p2align 4
.type bntrain_switch_stack, @function
bntrain_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size bntrain_switch_stack, .-bntrain_switch_stack
)");
#endif

namespace bntrain::simt_host {

struct Context::Machine {
  void* stack_pointer = nullptr;
  ucontext_t portable = {};
  void (*entry)() = nullptr;
  // For the address sanitizer: the stack's bounds, learnt on the first switch away from a thread's own stack.
  const void* bottom = nullptr;
  std::size_t size = 0;
  void* fake_stack = nullptr;
};

namespace {

// The two ends of the switch under way: a new context learns from them who it is.
thread_local void (*arriving_entry)() = nullptr;
thread_local const void** left_bottom = nullptr;
thread_local std::size_t* left_size = nullptr;

void before_switch([[maybe_unused]] void** fake_stack, [[maybe_unused]] const void* bottom,
                   [[maybe_unused]] std::size_t size) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(fake_stack, bottom, size);
#endif
}

void after_switch([[maybe_unused]] void* fake_stack) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake_stack, left_bottom, left_size);
#endif
}

void unmap(const Stacks::Mapped& stacks) {
  if (stacks.memory != nullptr) munmap(stacks.memory, stacks.count * Stacks::kStride);
}

// Most launches are of one small block: mapping and touching new pages took two fifths of a training step. A
// cooperative grid's stacks are not kept.
constexpr std::size_t kMostSpare = 1024;
thread_local struct Spare {
  ~Spare() { unmap(stacks); }
  Stacks::Mapped stacks;
} spare;

}  // namespace

void start_context() {
  after_switch(nullptr);
  arriving_entry();
  std::abort();
}

Context::Context() : machine_(std::make_unique<Machine>()) {}
Context::~Context() = default;
Context::Context(Context&&) noexcept = default;
Context& Context::operator=(Context&&) noexcept = default;

void Context::prepare(std::byte* stack, std::size_t size, void (*entry)()) {
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(stack, size);
#endif
  *machine_ = {};
  machine_->entry = entry;
  machine_->bottom = stack;
  machine_->size = size;
#ifdef __x86_64__
  // From the top: a return address of 0, start_context for `ret`, six registers. After the `ret` the stack
  // pointer is 8 past a multiple of 16, as after a call.
  auto** top = reinterpret_cast<void**>((reinterpret_cast<std::uintptr_t>(stack) + size) / 16 * 16);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(&start_context);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  machine_->stack_pointer = top;
#else
  getcontext(&machine_->portable);
  machine_->portable.uc_stack.ss_sp = stack;
  machine_->portable.uc_stack.ss_size = size;
  makecontext(&machine_->portable, &start_context, 0);
#endif
}

void Context::switch_from(Context& from) {
  Machine& left = *from.machine_;
  Machine& here = *machine_;
  arriving_entry = here.entry;
  left_bottom = &left.bottom;
  left_size = &left.size;
  before_switch(&left.fake_stack, here.bottom, here.size);
#ifdef __x86_64__
  bntrain_switch_stack(&left.stack_pointer, here.stack_pointer);
#else
  swapcontext(&left.portable, &here.portable);
#endif
  after_switch(left.fake_stack);
}

Stacks::Stacks(std::size_t count) {
  if (spare.stacks.count >= count) {
    mapped_ = std::exchange(spare.stacks, {});
    return;
  }
  void* memory = mmap(nullptr, count * kStride, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mapped_ = {static_cast<std::byte*>(memory), count};
}

Stacks::~Stacks() {
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(mapped_.memory, mapped_.count * kStride);
#endif
  if (mapped_.count <= kMostSpare && mapped_.count > spare.stacks.count) std::swap(mapped_, spare.stacks);
  unmap(mapped_);
}

}  // namespace bntrain::simt_host
