// What the benchmarks share: memory far beyond the caches, the fastest of several runs, the memory's reading speed.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "../large_pages.hpp"
#include "thread_team.hpp"

namespace hd::kernels {

constexpr size_t kStreamed = size_t{512} << 20;

inline char* memory_of(size_t bytes) {
    auto* p = static_cast<char*>(std::aligned_alloc(2 << 20, (bytes + (2 << 20)) & ~size_t{(2 << 20) - 1}));
    advise_large_pages(p, bytes);
    std::memset(p, 0x11, bytes);
    return p;
}

// The fastest of several runs of work(team) on all threads, in seconds.
template <class Work>
double fastest(int runs, int threads, const Work& work) {
    double best = 1e9;
    for (int run = 0; run < runs; run++) {
        const auto start = std::chrono::steady_clock::now();
        with_team(threads, work);
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
}

// Bytes per second.
inline double read_speed(const char* memory, int threads) {
    std::atomic<uint64_t> all{0};
    const double seconds = fastest(5, threads, [&](Team& team) {
        uint64_t sum[8] = {};
        const size_t share = kStreamed / static_cast<size_t>(threads) / 64 * 64;
        const auto* p = reinterpret_cast<const uint64_t*>(memory + share * static_cast<size_t>(team.thread));
        for (size_t i = 0; i < share / 8; i += 8)
            for (size_t j = 0; j < 8; j++) sum[j] += p[i + j];
        for (const uint64_t s : sum) all += s;
    });
    return static_cast<double>(kStreamed) / seconds;
}

}  // namespace hd::kernels
