// A library to preload: the n-th call of one function of the C library fails.
//
// FAULT_CALL names the function, FAULT_AT the number of the call, from 1 (0: none fails), FAULT_ERRNO the
// reason, FAULT_ALWAYS=1 lets the later ones fail too, as on a full disk. FAULT_COUNT names a file for the
// number of calls that were made.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

struct Fault {
  const char* call = std::getenv("FAULT_CALL");
  long at = number("FAULT_AT");
  int reason = static_cast<int>(number("FAULT_ERRNO"));
  bool always = number("FAULT_ALWAYS") != 0;
  const char* count = std::getenv("FAULT_COUNT");

  static long number(const char* name) {
    const char* text = std::getenv(name);
    return text == nullptr ? 0 : std::atol(text);
  }
};

Fault fault;  // read before main; earlier calls are the loader's
std::atomic<bool> ready{false};
std::atomic<long> made{0};

__attribute__((constructor)) void begin() {
  ready = true;
}

bool fails(const char* call) {
  if (!ready || fault.call == nullptr || std::strcmp(call, fault.call) != 0) return false;
  const long number = ++made;
  if (fault.at == 0 || number < fault.at || (number > fault.at && !fault.always)) return false;
  errno = fault.reason;
  return true;
}

__attribute__((destructor)) void report() {
  if (fault.count == nullptr) return;
  ready = false;
  if (std::FILE* file = std::fopen(fault.count, "w")) {
    std::fprintf(file, "%ld\n", made.load());
    std::fclose(file);
  }
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

/// The mode of an open() that creates.
mode_t mode_of(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

#define FAILS(call, result)         \
  do {                              \
    if (fails(call)) return result; \
  } while (false)

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  FAILS("open", -1);
  static auto* const real = next<int(const char*, int, ...)>("open");
  return real(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  FAILS("open", -1);
  static auto* const real = next<int(const char*, int, ...)>("open64");
  return real(path, flags, mode);
}

int openat(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  FAILS("openat", -1);
  static auto* const real = next<int(int, const char*, int, ...)>("openat");
  return real(folder, path, flags, mode);
}

FILE* fopen(const char* path, const char* mode) {
  FAILS("fopen", nullptr);
  static auto* const real = next<FILE*(const char*, const char*)>("fopen");
  return real(path, mode);
}

FILE* fopen64(const char* path, const char* mode) {
  FAILS("fopen", nullptr);
  static auto* const real = next<FILE*(const char*, const char*)>("fopen64");
  return real(path, mode);
}

ssize_t write(int file, const void* bytes, size_t count) {
  FAILS("write", -1);
  static auto* const real = next<ssize_t(int, const void*, size_t)>("write");
  return real(file, bytes, count);
}

ssize_t writev(int file, const iovec* parts, int count) {
  FAILS("write", -1);
  static auto* const real = next<ssize_t(int, const iovec*, int)>("writev");
  return real(file, parts, count);
}

int fflush(FILE* file) {
  FAILS("fflush", EOF);
  static auto* const real = next<int(FILE*)>("fflush");
  return real(file);
}

ssize_t read(int file, void* bytes, size_t count) {
  FAILS("read", -1);
  static auto* const real = next<ssize_t(int, void*, size_t)>("read");
  return real(file, bytes, count);
}

int fsync(int file) {
  FAILS("fsync", -1);
  static auto* const real = next<int(int)>("fsync");
  return real(file);
}

int rename(const char* from, const char* to) noexcept {
  FAILS("rename", -1);
  static auto* const real = next<int(const char*, const char*)>("rename");
  return real(from, to);
}

int ftruncate(int file, off_t size) noexcept {
  FAILS("ftruncate", -1);
  static auto* const real = next<int(int, off_t)>("ftruncate");
  return real(file, size);
}

int mkdir(const char* path, mode_t mode) noexcept {
  FAILS("mkdir", -1);
  static auto* const real = next<int(const char*, mode_t)>("mkdir");
  return real(path, mode);
}

/// Closes all the same, as Linux does.
int close(int file) {
  static auto* const real = next<int(int)>("close");
  const int result = real(file);
  FAILS("close", -1);
  return result;
}

void* mmap(void* address, size_t size, int protection, int flags, int file, off_t offset) noexcept {
  FAILS("mmap", MAP_FAILED);
  static auto* const real = next<void*(void*, size_t, int, int, int, off_t)>("mmap");
  return real(address, size, protection, flags, file, offset);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) noexcept {
  FAILS("pthread_create", fault.reason);
  static auto* const real =
      next<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)>("pthread_create");
  return real(thread, attributes, start, argument);
}

// dlsym() may allocate, so the real functions are glibc's own names.
void* __libc_malloc(size_t size);
void* __libc_memalign(size_t alignment, size_t size);

// Linux refuses no small ones, and libraries' destructors and initialisers do not count with that.
constexpr size_t large = 4096;

void* malloc(size_t size) {
  if (size >= large) FAILS("malloc", nullptr);
  return __libc_malloc(size);
}

void* aligned_alloc(size_t alignment, size_t size) {
  if (size >= large) FAILS("malloc", nullptr);
  return __libc_memalign(alignment, size);
}

}  // extern "C"
