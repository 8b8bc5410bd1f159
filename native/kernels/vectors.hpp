// What vectors of single-precision floats have in common, whatever the instruction set; included by the file of each.
#pragma once

#define HD_INLINE inline __attribute__((always_inline))
#include "attention/kernel.hpp"
#include "floats/kernel.hpp"

namespace hd::kernels {
namespace {

// Vectors of cells. `V` derives from it and offers the rest: blocks() and plain(), loads and sums.
template <class V>
struct Vectors {
    // Vectors v and v + 1 of a cell; v is even.
    template <CellType T, class F>
    HD_INLINE static void pair(const char* cell, int64_t v, F& x, F& y) {
        if constexpr (T == CellType::q8_0) {
            V::blocks(cell, v, x, y);
        } else {
            x = single<T>(cell, v);
            y = single<T>(cell, v + 1);
        }
    }
    template <CellType T>
    HD_INLINE static auto single(const char* cell, int64_t v) {
        if constexpr (T == CellType::q8_0) {
            typename V::F x, y;
            V::blocks(cell, v & ~int64_t{1}, x, y);
            return v & 1 ? y : x;
        } else {
            return V::template plain<T>(cell + v * V::kLanes * layout(T).block_bytes);
        }
    }
};

}  // namespace
}  // namespace hd::kernels
