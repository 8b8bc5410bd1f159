// Preloaded into a child of the tests: the n-th change of a file below a folder fails, as on a full or dying disk.
// The child sets what fails through fault_arm(), and reads through fault_reached() whether it came to that.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

namespace {

std::atomic<long> calls{0}, fails_at{0}, failed{0};
std::atomic<int> code{0}, sticky{0};
char folder[PATH_MAX];

bool within(const char* path) { return path && folder[0] && strncmp(path, folder, strlen(folder)) == 0; }

bool within(int fd) {
    if (!folder[0]) return false;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return false;
    path[n] = 0;
    return within(path);
}

// One more change of a file: does it fail?
bool fails(bool counted) {
    if (!counted || fails_at == 0) return false;
    const long now = ++calls;
    if (now != fails_at && !(sticky && now > fails_at)) return false;
    failed++;
    errno = code;
    return true;
}

template <typename Function>
Function real(const char* name) {
    return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

#define REAL(name) static const auto next = real<decltype(&name)>(#name)

extern "C" {

void fault_folder(const char* path) { snprintf(folder, sizeof folder, "%s", path); }
void fault_arm(long at, int error, int from_then_on) {
    calls = 0, failed = 0, code = error, sticky = from_then_on, fails_at = at;
}
long fault_reached() { return failed; }
long fault_calls() { return calls; }

ssize_t write(int fd, const void* data, size_t size) {
    REAL(write);
    if (!fails(within(fd))) return next(fd, data, size);
    if (code == ENOSPC && size > 1 && calls == fails_at) {  // what still fits is written
        errno = 0;
        return next(fd, data, size / 2);
    }
    return -1;
}
ssize_t writev(int fd, const struct iovec* parts, int count) {
    REAL(writev);
    return fails(within(fd)) ? -1 : next(fd, parts, count);
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
    REAL(pwrite);
    return fails(within(fd)) ? -1 : next(fd, data, size, at);
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) {
    REAL(pwrite64);
    return fails(within(fd)) ? -1 : next(fd, data, size, at);
}
int fsync(int fd) {
    REAL(fsync);
    return fails(within(fd)) ? -1 : next(fd);
}
int fdatasync(int fd) {
    REAL(fdatasync);
    return fails(within(fd)) ? -1 : next(fd);
}
int ftruncate(int fd, off_t size) {
    REAL(ftruncate);
    return fails(within(fd)) ? -1 : next(fd, size);
}
int ftruncate64(int fd, off64_t size) {
    REAL(ftruncate64);
    return fails(within(fd)) ? -1 : next(fd, size);
}
int unlink(const char* path) {
    REAL(unlink);
    return fails(code == EIO && within(path)) ? -1 : next(path);  // a full disk lets itself be emptied
}
int rename(const char* from, const char* to) {
    REAL(rename);
    return fails(within(to)) ? -1 : next(from, to);
}
int link(const char* from, const char* to) {
    REAL(link);
    return fails(within(to)) ? -1 : next(from, to);
}

static int open_mode(int flags, va_list list) { return flags & O_CREAT ? va_arg(list, int) : 0; }

int open(const char* path, int flags, ...) {
    REAL(open);
    va_list list;
    va_start(list, flags);
    const int mode = open_mode(flags, list);
    va_end(list);
    return fails((flags & O_CREAT) && within(path)) ? -1 : next(path, flags, mode);
}
int open64(const char* path, int flags, ...) {
    REAL(open64);
    va_list list;
    va_start(list, flags);
    const int mode = open_mode(flags, list);
    va_end(list);
    return fails((flags & O_CREAT) && within(path)) ? -1 : next(path, flags, mode);
}
}
