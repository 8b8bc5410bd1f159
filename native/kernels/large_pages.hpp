// Large pages spare address translation, which a stream of weights or of cached keys feels.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace hd::kernels {

inline void advise_large_pages([[maybe_unused]] void* memory, [[maybe_unused]] size_t size) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    constexpr uintptr_t kPage = 2 << 20;
    const auto base = reinterpret_cast<uintptr_t>(memory);
    const uintptr_t first = (base + kPage - 1) & ~(kPage - 1), last = (base + size) & ~(kPage - 1);
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

}  // namespace hd::kernels
