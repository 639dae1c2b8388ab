// simt.hpp for the host compiler: what simt_cuda.hpp declares, implemented by the executor. Include simt.hpp,
// never this file.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/simt/host/shared_array.hpp"

#define SIMT_KERNEL(...) inline void
#define SIMT_DEVICE inline
#define SIMT_HOST_DEVICE inline
#define SIMT_UNROLL
#define SIMT_ROLL
// The address of the tag is as unique as a __shared__ array: one for each instance of the function.
#define SIMT_SHARED(type, name, count)       \
  static constexpr char name##_tag = 0;      \
  const ::bntrain::simt::Shared<type> name = \
      ::bntrain::simt_host::static_array<type>(&name##_tag, #name, count)

#include "kernels/simt/simt_types.hpp"

namespace bntrain::simt_host {

struct Coordinates {
  int thread, block_size, block_x, block_y, grid_x, grid_y, cluster_rank, cluster_size;
};
Coordinates coordinates();

SharedArray& static_array(const void* tag, const char* name, std::int64_t count, std::size_t element_size,
                          const Where& where);
SharedArray& dynamic_array(std::int64_t offset, const char* name, std::int64_t count,
                           std::size_t element_size, const Where& where);
SharedArray& map_array(const SharedArray& array, int rank, const Where& where);

template <typename T>
Shared<T> static_array(const void* tag, const char* name, std::int64_t count,
                       Where where = Where::current()) {
  return {static_array(tag, name, count, sizeof(T), where), 0};
}

void block_sync(const Where& where);
void warp_sync(const Where& where);
void part_sync(int id, int threads, const Where& where);
void cluster_sync(const Where& where);
void grid_sync(const Where& where);
void shuffle(const void* value, void* result, std::size_t size, int source, unsigned mask,
             const Where& where);
unsigned ballot(bool predicate, unsigned mask, const Where& where);
/// Lets other threads run where the schedule is random.
void give_way_at_random();
/// The same for an atomic in global memory.
void before_atomic(const void* p, std::size_t bytes, const Where& where);
/// Checks and counts an access of the running thread.
void access_global(Access access, const void* p, std::size_t bytes, std::size_t alignment,
                   const Where& where);
/// The copy is made in copies_wait().
void copy_later(const Copy& copy);
void copies_commit();
/// Completes all groups of the thread but the `pending` youngest.
void copies_wait(int pending);
void grid_dependency_wait();
void before_store_message();
void after_store_message();
/// A thread that looks at the same place again waits until there is something new.
void before_load_message(const void* p, const Where& where);

}  // namespace bntrain::simt_host

namespace bntrain::simt {

using simt_host::Shared;
using simt_host::Where;

class DynamicShared {
 public:
  template <typename T>
  Shared<T> take(const char* name, std::int64_t count, Where where = Where::current()) {
    const std::int64_t offset = used_;
    used_ += carved_bytes<T>(count);
    return {simt_host::dynamic_array(offset, name, count, sizeof(T), where), 0};
  }

 private:
  std::int64_t used_ = 0;
};

inline int thread_index() {
  return simt_host::coordinates().thread;
}
inline int block_size() {
  return simt_host::coordinates().block_size;
}
inline int block_index() {
  return simt_host::coordinates().block_x;
}
inline int block_index_y() {
  return simt_host::coordinates().block_y;
}
inline int grid_size() {
  return simt_host::coordinates().grid_x;
}
inline int grid_size_y() {
  return simt_host::coordinates().grid_y;
}
inline int cluster_rank() {
  return simt_host::coordinates().cluster_rank;
}
inline int cluster_size() {
  return simt_host::coordinates().cluster_size;
}

inline void block_sync(Where where = Where::current()) {
  simt_host::block_sync(where);
}
inline void warp_sync(Where where = Where::current()) {
  simt_host::warp_sync(where);
}
inline void part_sync(int id, int threads, Where where = Where::current()) {
  simt_host::part_sync(id, threads, where);
}
inline void cluster_announce() {}
inline void cluster_wait_started(Where where = Where::current()) {
  simt_host::cluster_sync(where);
}
inline void cluster_sync(Where where = Where::current()) {
  simt_host::cluster_sync(where);
}
inline void grid_sync(Where where = Where::current()) {
  simt_host::grid_sync(where);
}
/// The executor orders at the wait alone, which is the least that a device may do.
struct GridArrival {};
inline GridArrival grid_arrive(Where where = Where::current()) {
  simt_host::block_sync(where);
  return {};
}
inline void grid_wait(GridArrival, Where where = Where::current()) {
  simt_host::grid_sync(where);
}
inline void thread_fence() {}
inline void grid_dependency_wait() {
  simt_host::grid_dependency_wait();
}
inline void grid_dependency_launch() {}

template <typename T>
Shared<T> map_shared(Shared<T> array, int rank, Where where = Where::current()) {
  return {simt_host::map_array(array.array(), rank, where), array.first()};
}

template <typename T>
T shuffle(T value, int source, unsigned mask = kFullMask, Where where = Where::current()) {
  static_assert(sizeof(T) % sizeof(unsigned) == 0 && std::is_trivially_copyable_v<T>);
  T result;
  simt_host::shuffle(&value, &result, sizeof(T), source & (kWarpSize - 1), mask, where);
  return result;
}
template <typename T>
T shuffle_down(T value, int delta, unsigned mask = kFullMask, Where where = Where::current()) {
  const int lane = thread_index() % kWarpSize;
  return shuffle(value, lane + delta < kWarpSize ? lane + delta : lane, mask, where);
}
template <typename T>
T shuffle_xor(T value, int bits, unsigned mask = kFullMask, Where where = Where::current()) {
  return shuffle(value, thread_index() % kWarpSize ^ bits, mask, where);
}

inline unsigned vote_ballot(bool predicate, unsigned mask = kFullMask, Where where = Where::current()) {
  return simt_host::ballot(predicate, mask, where);
}
inline bool vote_any(bool predicate, unsigned mask = kFullMask, Where where = Where::current()) {
  return simt_host::ballot(predicate, mask, where) != 0;
}
inline bool vote_all(bool predicate, unsigned mask = kFullMask, Where where = Where::current()) {
  return simt_host::ballot(predicate, mask, where) == mask;
}
inline int count_bits(unsigned bits) {
  return std::popcount(bits);
}
inline int lowest_bit(unsigned bits) {
  return bits == 0 ? -1 : std::countr_zero(bits);
}

template <typename T>
T load(const T* p, Where where = Where::current()) {
  simt_host::access_global(simt_host::Access::read, p, sizeof(T), alignof(T), where);
  return *p;
}
template <typename T>
void store(T* p, std::type_identity_t<T> value, Where where = Where::current()) {
  simt_host::access_global(simt_host::Access::write, p, sizeof(T), alignof(T), where);
  *p = value;
}

template <typename T>
Vec<T> load_vec(const T* p, Where where = Where::current()) {
  simt_host::access_global(simt_host::Access::read, p, kVecBytes, kVecBytes, where);
  Vec<T> values;
  std::memcpy(&values, p, sizeof values);
  return values;
}
template <typename T>
void store_vec(T* p, Vec<T> values, Where where = Where::current()) {
  simt_host::access_global(simt_host::Access::write, p, kVecBytes, kVecBytes, where);
  std::memcpy(p, &values, sizeof values);
}
template <typename T>
Vec<T> load_vec_once(const T* p, Where where = Where::current()) {
  return load_vec(p, where);
}
template <typename T>
Vec<T> load_vec_keep(const T* p, Where where = Where::current()) {
  return load_vec(p, where);
}
template <typename T>
void store_vec_once(T* p, Vec<T> values, Where where = Where::current()) {
  store_vec(p, values, where);
}
template <typename T>
Vec<T> load_vec(Shared<T> p, Where where = Where::current()) {
  p.array().expect_aligned(p.first(), where);
  p.array().access(simt_host::Access::read, p.first(), Vec<T>::kSize, where);
  Vec<T> values;
  for (int i = 0; i < Vec<T>::kSize; ++i) values.lane[i] = p.array().template get<T>(p.first() + i);
  return values;
}
template <typename T>
void store_vec(Shared<T> p, Vec<T> values, Where where = Where::current()) {
  p.array().expect_aligned(p.first(), where);
  p.array().access(simt_host::Access::write, p.first(), Vec<T>::kSize, where);
  for (int i = 0; i < Vec<T>::kSize; ++i) p.array().put(p.first() + i, values.lane[i]);
}

template <int count, typename T>
void copy_async(Shared<T> to, const T* from, Where where = Where::current()) {
  constexpr std::size_t kBytes = count * sizeof(T);
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  simt_host::access_global(simt_host::Access::read, from, kBytes, kBytes, where);
  to.array().expect_aligned(to.first(), where, kBytes);
  to.array().begin_copy(to.first(), count, where);
  simt_host::copy_later({&to.array(), to.first(), count, from});
}
template <int count, typename T>
void copy_async_once(Shared<T> to, const T* from, Where where = Where::current()) {
  copy_async<count>(to, from, where);
}
template <int count, typename T>
void copy_async_keep(Shared<T> to, const T* from, Where where = Where::current()) {
  copy_async<count>(to, from, where);
}
inline void copies_commit() {
  simt_host::copies_commit();
}
template <int pending>
void copies_wait() {
  static_assert(pending >= 0);
  simt_host::copies_wait(pending);
}
inline void copies_wait() {
  copies_commit();
  copies_wait<0>();
}

template <typename T>
void store_message(T* p, std::type_identity_t<T> value, Where where = Where::current()) {
  static_assert(sizeof(T) == 8 || sizeof(T) == 16);
  simt_host::before_store_message();
  simt_host::access_global(simt_host::Access::atomic, p, sizeof(T), sizeof(T), where);
  std::memcpy(p, &value, sizeof value);
  simt_host::after_store_message();
}
template <typename T>
T load_message(const T* p, Where where = Where::current()) {
  static_assert(sizeof(T) == 8 || sizeof(T) == 16);
  simt_host::before_load_message(p, where);
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

namespace detail {

template <typename T, typename Update>
T atomically(T* p, Update update, const Where& where) {
  simt_host::before_atomic(p, sizeof(T), where);
  const T old = *p;
  *p = update(old);
  return old;
}
template <typename T, typename Update>
T atomically(Shared<T> p, Update update, const Where& where) {
  simt_host::give_way_at_random();
  p.array().access(simt_host::Access::atomic, p.first(), 1, where);
  const T old = p.array().template get<T>(p.first());
  p.array().put(p.first(), static_cast<T>(update(old)));
  return old;
}

}  // namespace detail

inline unsigned atomic_add(unsigned* p, unsigned value, Where where = Where::current()) {
  return detail::atomically(
      p, [=](unsigned old) { return old + value; }, where);
}
inline unsigned long long atomic_add(unsigned long long* p, unsigned long long value,
                                     Where where = Where::current()) {
  return detail::atomically(
      p, [=](unsigned long long old) { return old + value; }, where);
}
inline unsigned atomic_max(unsigned* p, unsigned value, Where where = Where::current()) {
  return detail::atomically(
      p, [=](unsigned old) { return old < value ? value : old; }, where);
}
inline unsigned atomic_inc(unsigned* p, unsigned last, Where where = Where::current()) {
  return detail::atomically(
      p, [=](unsigned old) { return old >= last ? 0 : old + 1; }, where);
}
inline unsigned atomic_add(Shared<unsigned> p, unsigned value, Where where = Where::current()) {
  return detail::atomically(
      p, [=](unsigned old) { return old + value; }, where);
}
inline unsigned long long atomic_add(Shared<unsigned long long> p, unsigned long long value,
                                     Where where = Where::current()) {
  return detail::atomically(
      p, [=](unsigned long long old) { return old + value; }, where);
}
inline unsigned atomic_max(Shared<unsigned> p, unsigned value, Where where = Where::current()) {
  return detail::atomically(
      p, [=](unsigned old) { return old < value ? value : old; }, where);
}

inline float inverse_sqrt(float x) {
  return 1.0f / std::sqrt(x);
}
inline double inverse_sqrt(double x) {
  return 1.0 / std::sqrt(x);
}
inline float inverse_sqrt_approximately(float x) {
  return inverse_sqrt(x);
}

}  // namespace bntrain::simt
