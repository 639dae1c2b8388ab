// Shared memory of a block that records which thread accessed an element when.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

namespace bntrain::simt_host {

/// A source line. As a default argument, current() is the line of the call. (std::source_location, which
/// Clang has from version 16 on only.)
struct Where {
  static constexpr Where current(const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
    return {file, line};
  }

  const char* file = "";
  unsigned line = 0;
};

struct Thread;
struct Block;

/// An index that knows the source line where it was written.
struct Index {
  template <std::integral Integer>
  Index(Integer i, Where at = Where::current()) : value(static_cast<std::int64_t>(i)), where(at) {}

  std::int64_t value;
  Where where;
};

/// A thread and the time of what it did; time is the number of barriers that the launch had completed.
struct Stamp {
  static constexpr std::uint32_t kNobody = 0xffff'ffff;
  std::uint32_t thread = kNobody;
  std::uint32_t time = 0;
};

/// The access history of one element: enough to find a race in every schedule. Two accesses by different
/// threads, one of them a write, must have a barrier of their smallest common group (warp, block, cluster)
/// between them. Of the readers since the last write four suffice: the latest, and the latest apart from it
/// by lane, warp and block; for whoever writes next, one of them races if any reader does.
struct Cell {
  Stamp writer;
  Stamp reader, other_lane, other_warp, other_block;
  bool atomic = false;   ///< the last write was atomic
  bool copying = false;  ///< a copy_async() is not complete
};

enum class Access { read, write, atomic };

/// What the running thread's access to the cell races with: "was read by block 0, thread 3 with no barrier
/// before this write"; "" where there is no race.
std::string find_race(const Cell& cell, Access access);
void record_access(Cell& cell, Access access);

/// One array of one block. Elements are poisoned (all bits set, which is NaN) when the block starts.
class SharedArray {
 public:
  SharedArray(Block& owner, std::string name, std::int64_t count, std::size_t element_size);

  void poison();
  /// Checks and records what the running thread does to elements [first, first + count).
  void access(Access access, std::int64_t first, std::int64_t count, const Where& where);
  /// Expects element `first` to be aligned to `bytes`.
  void expect_aligned(std::int64_t first, const Where& where, std::size_t bytes = 16) const;

  /// Begins and completes a copy_async() to elements [first, first + count).
  void begin_copy(std::int64_t first, std::int64_t count, const Where& where);
  void complete_copy(std::int64_t first, std::int64_t count, const void* from);

  template <typename T>
  T get(std::int64_t i) const {
    T value;
    std::memcpy(&value, bytes_.data() + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
    return value;
  }
  template <typename T>
  void put(std::int64_t i, const T& value) {
    std::memcpy(bytes_.data() + i * static_cast<std::int64_t>(sizeof(T)), &value, sizeof(T));
  }

  Block& owner() const { return owner_; }
  const std::string& name() const { return name_; }
  std::int64_t count() const { return count_; }
  std::size_t element_size() const { return element_size_; }

 private:
  void check_remote(const Where& where);
  std::string element(std::int64_t i) const;

  Block& owner_;
  std::string name_;
  std::int64_t count_;
  std::size_t element_size_;
  std::vector<std::byte> bytes_;
  std::vector<Cell> cells_;
};

/// A copy_async() that is not complete.
struct Copy {
  SharedArray* to;
  std::int64_t first, count;
  const void* from;
  int group = 0;  ///< copies_commit() calls of the thread before it
};

/// What `array[i]` gives: reads and writes go through the checks.
template <typename T>
class Element {
 public:
  Element(SharedArray& array, std::int64_t i, const Where& where) : array_(array), i_(i), where_(where) {}
  Element(const Element&) = default;

  operator T() const {  // NOLINT(google-explicit-constructor): is used as a T
    array_.access(Access::read, i_, 1, where_);
    return array_.get<T>(i_);
  }
  T operator=(const T& value) {  // NOLINT: like the assignment of a T
    array_.access(Access::write, i_, 1, where_);
    array_.put(i_, value);
    return value;
  }
  T operator=(const Element& other) { return *this = static_cast<T>(other); }  // NOLINT
  T operator+=(const T& value) { return *this = static_cast<T>(*this) + value; }
  T operator-=(const T& value) { return *this = static_cast<T>(*this) - value; }
  T operator*=(const T& value) { return *this = static_cast<T>(*this) * value; }

 private:
  SharedArray& array_;
  std::int64_t i_;
  Where where_;
};

/// A view of a shared array from some element on: the host's T*.
template <typename T>
class Shared {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Shared(SharedArray& array, std::int64_t first) : array_(&array), first_(first) {}

  Element<T> operator[](Index i) const { return {*array_, first_ + i.value, i.where}; }
  Shared operator+(std::int64_t elements) const { return {*array_, first_ + elements}; }

  SharedArray& array() const { return *array_; }
  std::int64_t first() const { return first_; }

 private:
  SharedArray* array_;
  std::int64_t first_;
};

}  // namespace bntrain::simt_host
