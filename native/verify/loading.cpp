#include "loading.hpp"

#include <cstdio>
#include <cstring>
#include <mutex>
#include <stdexcept>

#include "abort_flag.hpp"

namespace hd {

namespace {

thread_local bool loading = false;
thread_local bool passing_on = false;
thread_local std::string failed;

std::mutex turns;  // of threads that begin and end
int begun = 0;
AbortCallback before = nullptr;

void aborting(const char* message) {
    if (loading && std::strstr(message, "ggml-rpc") == nullptr) {  // a lost server cannot even be told to free memory
        failed = message;
        throw std::runtime_error(message);
    }
    if (before != nullptr && !passing_on) {  // who is before may have this one before itself
        passing_on = true;
        before(message);
        passing_on = false;
    } else {
        std::fprintf(stderr, "%s\n", message);
    }
}

}  // namespace

void begin_loading(AbortSetter set, bool quiet) {
    failed.clear();
    quiet_log(quiet);
#ifndef _WIN32  // there the compiler takes it that functions of C throw nothing
    const std::lock_guard<std::mutex> turn(turns);
    const AbortCallback found = set(aborting);
    if (found != aborting) before = found;
    begun++;
    loading = true;
#else
    (void)set;
#endif
}

std::string end_loading(AbortSetter set) {
    quiet_log(false);
    if (loading) {
        loading = false;
        const std::lock_guard<std::mutex> turn(turns);
        if (--begun == 0) {
            const AbortCallback found = set(before);
            if (found != aborting) set(found);  // somebody has set another one meanwhile
        }
    }
    return failed;
}

}  // namespace hd
