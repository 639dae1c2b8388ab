// Allocations lie in a range of addresses of their own, each before a page that is not accessible. A kernel's
// plain dereferences cannot be intercepted; an access to such a page, or to memory that was released, is a
// signal, which becomes an error of the thread that runs.
#include "kernels/simt/host/device_memory.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <vector>

#include "kernels/simt/host/launch_state.hpp"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace bntrain::simt_host {
namespace {

constexpr std::uintptr_t kPage = 4096;
constexpr std::uintptr_t kAlign = 256;
constexpr std::uintptr_t kPages = std::uintptr_t{4} << 20;  // 16 GiB of addresses

void* reserve(std::size_t bytes, int access) {
  void* memory = mmap(nullptr, bytes, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return memory;
}

/// Whole pages and the inaccessible one after them. The allocation ends where its last page does, but for
/// the alignment.
struct Slot {
  std::uintptr_t first_page, pages;
  std::uintptr_t begin = 0, bytes = 0;  ///< bytes of the allocation
  bool live = false;
};

class Arena {
 public:
  Arena()
      : begin_(reinterpret_cast<std::uintptr_t>(reserve(kPages * kPage, PROT_NONE))),
        slot_of_page_(
            static_cast<std::uint32_t*>(reserve(kPages * sizeof(std::uint32_t), PROT_READ | PROT_WRITE))) {}

  bool contains(std::uintptr_t p) const { return p - begin_ < kPages * kPage; }

  void* allocate(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const std::uintptr_t padded = (std::max<std::uintptr_t>(bytes, 1) + kAlign - 1) / kAlign * kAlign;
    const std::uint32_t index = take((padded + kPage - 1) / kPage);
    Slot& slot = slots_[index];
    const std::uintptr_t first = begin_ + slot.first_page * kPage, size = slot.pages * kPage;
    if (mprotect(reinterpret_cast<void*>(first), size, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
    slot.begin = first + size - padded;
    slot.bytes = bytes;
    slot.live = true;
    poison(first, size);
    unpoison(slot.begin, bytes);
    return reinterpret_cast<void*>(slot.begin);
  }

  void release(void* memory) noexcept {
    const std::lock_guard lock(mutex_);
    const std::uint32_t index = slot_of_page_[(reinterpret_cast<std::uintptr_t>(memory) - begin_) / kPage];
    Slot& slot = slots_[index];
    slot.live = false;
    const std::uintptr_t first = begin_ + slot.first_page * kPage, size = slot.pages * kPage;
    unpoison(first, size);
    mprotect(reinterpret_cast<void*>(first), size, PROT_NONE);
    free_[slot.pages].push_back(index);
  }

  /// The allocation whose pages, or the page after them, hold p; none where there never was one.
  std::optional<Slot> find(std::uintptr_t p) {
    const std::lock_guard lock(mutex_);
    const std::uintptr_t page = (p - begin_) / kPage;
    if (page >= used_) return std::nullopt;
    return slots_[slot_of_page_[page]];
  }

 private:
  /// A slot of so many pages: the one released last, or a new one.
  std::uint32_t take(std::uintptr_t pages) {
    std::vector<std::uint32_t>& free = free_[pages];
    if (!free.empty()) {
      const std::uint32_t index = free.back();
      free.pop_back();
      return index;
    }
    if (used_ + pages + 1 > kPages) throw std::bad_alloc();
    const auto index = static_cast<std::uint32_t>(slots_.size());
    slots_.push_back({.first_page = used_, .pages = pages});
    std::fill_n(slot_of_page_ + used_, pages + 1, index);
    used_ += pages + 1;
    return index;
  }

  static void poison([[maybe_unused]] std::uintptr_t first, [[maybe_unused]] std::uintptr_t bytes) {
#ifdef __SANITIZE_ADDRESS__
    __asan_poison_memory_region(reinterpret_cast<void*>(first), bytes);
#endif
  }
  static void unpoison([[maybe_unused]] std::uintptr_t first, [[maybe_unused]] std::uintptr_t bytes) {
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(reinterpret_cast<void*>(first), bytes);
#endif
  }

  std::mutex mutex_;
  std::uintptr_t begin_, used_ = 0;
  std::uint32_t* slot_of_page_;
  std::vector<Slot> slots_;
  std::map<std::uintptr_t, std::vector<std::uint32_t>> free_;
};

struct sigaction previous_action;
std::uintptr_t faulting_address = 0;

Arena& arena();

/// Where the faulting thread goes on: it ends the launch, as an exception would that left the kernel. Its
/// frames are dropped.
void end_with_fault() {
  Thread& thread = self();
  Launch& launch = launch_of(thread);
  const std::string what = device_memory_fault(reinterpret_cast<const void*>(faulting_address), 1);
  launch.error = std::make_exception_ptr(
      SimtError("kernel " + std::string(launch.config.name) + ", " + name(thread) + ": " + what));
  thread.state = Thread::State::done;
  launch.scheduler.switch_from(thread.context);
}

/// Faults that are not a kernel's go where they went before.
void on_fault(int, siginfo_t* info, [[maybe_unused]] void* context) {
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
#ifdef __x86_64__
  if (running != nullptr && (arena().contains(address) || address < kPage)) {
    faulting_address = address;
    // As if the faulting instruction were a call: below the red zone, aligned as a function expects it.
    greg_t* const registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    registers[REG_RSP] = (registers[REG_RSP] - 128) / 16 * 16 - 8;
    registers[REG_RIP] = reinterpret_cast<greg_t>(&end_with_fault);
    return;
  }
#endif
  sigaction(SIGSEGV, &previous_action, nullptr);
}

Arena& arena() {
  static Arena& one = []() -> Arena& {
    static Arena arena;
    struct sigaction action {};
    action.sa_sigaction = &on_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, &previous_action);
    return arena;
  }();
  return one;
}

std::string hexadecimal(std::uintptr_t value) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (; value != 0; value /= 16) text.insert(text.begin(), kDigits[value % 16]);
  return "0x" + (text.empty() ? "0" : text);
}

bool is_mapped(std::uintptr_t p) {
  unsigned char resident;
  return mincore(reinterpret_cast<void*>(p / kPage * kPage), 1, &resident) == 0;
}

}  // namespace

void* allocate_device(std::size_t bytes) {
  return arena().allocate(bytes);
}

void release_device(void* memory) noexcept {
  if (memory != nullptr) arena().release(memory);
}

std::string device_memory_fault(const void* p, std::size_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  const std::optional<Slot> slot = arena().find(address);
  if (slot && slot->live && address >= slot->begin && address + bytes <= slot->begin + slot->bytes) return "";
  const std::string access = "access to global memory at " + hexadecimal(address) + ", ";
  if (address < kPage) return access + "which is that of a null pointer";
  if (!arena().contains(address)) return access + "which is memory of the host";
  if (!slot) return access + "where nothing was allocated";
  const std::string allocation = "an allocation of " + std::to_string(slot->bytes) + " bytes";
  if (!slot->live) return access + "in " + allocation + " that was released";
  if (address < slot->begin)
    return access + std::to_string(slot->begin - address) + " bytes before " + allocation;
  return access + std::to_string(address + bytes - slot->begin - slot->bytes) + " bytes past the end of " +
         allocation;
}

std::string argument_fault(const void* argument, std::size_t bytes) {
  // Members of structs have no names here: a word that is the address of something is taken for a pointer.
  // Sizes are smaller than the addresses of programs, and those are smaller than all but the tiniest doubles.
  constexpr std::uintptr_t kLowest = std::uintptr_t{1} << 32, kHighest = std::uintptr_t{1} << 47;
  for (std::size_t at = 0; at + sizeof(std::uintptr_t) <= bytes; at += sizeof(std::uintptr_t)) {
    std::uintptr_t word;
    std::memcpy(&word, static_cast<const std::byte*>(argument) + at, sizeof word);
    if (word < kLowest || word >= kHighest) continue;
    if (!arena().contains(word)) {
      if (is_mapped(word))
        return "points to memory of the host at " + hexadecimal(word) +
               ", which a GPU does not see: use allocate_device(), in tests DeviceVector or Guarded";
      continue;
    }
    // One past the end is a pointer to nothing, which is allowed.
    const std::optional<Slot> slot = arena().find(word);
    if (!slot || !slot->live) return "points to memory that was released, at " + hexadecimal(word);
  }
  return "";
}

}  // namespace bntrain::simt_host
