// Products with float weights for any instruction set; `V` is one of vectors_*.hpp.
#pragma once

#include <cstring>

#include "kernel_set.hpp"

namespace hd::kernels {
namespace {

// Arithmetic `A` of a kernel: how a vector of weights and one of an input come from memory and are added to sums of
// type V::F. This one widens weights to floats.
template <class Vector, CellType T>
struct Widened {
    using V = Vector;
    using Operand = typename V::F;
    static constexpr int kColumns = V::kLanes, kWeightBytes = layout(T).block_bytes, kInputBytes = 4;

    HD_INLINE static Operand weights(const char* p) { return V::template plain<T>(p); }
    HD_INLINE static Operand inputs(const char* p) { return V::load(reinterpret_cast<const float*>(p)); }
    HD_INLINE static Operand add(Operand w, Operand x, Operand sum) { return V::fma(w, x, sum); }
};

// The last vector of a row, of which `bytes` are there.
struct Part {
    alignas(64) char bytes[64] = {};
    HD_INLINE Part(const char* from, int64_t count) { std::memcpy(bytes, from, static_cast<size_t>(count)); }
};

// One input leaves the first cache to rows of this many bytes together.
constexpr int64_t kNearBytes = 16 << 10;

// R weight rows and N inputs at a time. Rows beyond the last are the last once more.
// From memory, the next R rows are fetched meanwhile, one after the other, as memory is fastest so: into the second
// cache, because the first would lose them to the inputs and to these rows before they are needed.
template <class A, int R, int N, From W>
void dots_of(const char* weights, int64_t step, int64_t rows, int64_t columns, const char* const* x,
             float* const* out) {
    using V = typename A::V;
    using F = typename V::F;
    using Operand = typename A::Operand;
    constexpr int L = V::kLanes, kSums = (N * R + L - 1) / L * L;
    constexpr int kBytes = A::kColumns * A::kWeightBytes, kInputBytes = A::kColumns * A::kInputBytes;
    const bool near = N == 1 && R * step <= kNearBytes;
    const int64_t vectors = columns / A::kColumns, left = columns % A::kColumns;
    for (int64_t first = 0; first < rows; first += R) {
        const char* row[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) row[r] = weights + (first + r < rows ? first + r : rows - 1) * step;
        const char* next = weights + (first + R) * step;
        F a[kSums];
#pragma GCC unroll 32
        for (int i = 0; i < kSums; i++) a[i] = V::zero();
        for (int64_t v = 0; v < vectors; v++) {
            Operand in[N];
#pragma GCC unroll 8
            for (int i = 0; i < N; i++) in[i] = A::inputs(x[i] + v * kInputBytes);
#pragma GCC unroll 8
            for (int r = 0; r < R; r++) {
                const Operand w = A::weights(row[r] + v * kBytes);
                if (W == From::memory && (v * R + r) * kBytes % 64 < kBytes) {
                    const char* ahead = next + (v * R + r) * kBytes;
                    if (near)
                        __builtin_prefetch(ahead, 0, 3);
                    else
                        __builtin_prefetch(ahead, 0, 2);
                }
#pragma GCC unroll 8
                for (int i = 0; i < N; i++) a[i * R + r] = A::add(w, in[i], a[i * R + r]);
            }
        }
        if (left) {
#pragma GCC unroll 8
            for (int r = 0; r < R; r++) {
                const Operand w = A::weights(Part(row[r] + vectors * kBytes, left * A::kWeightBytes).bytes);
#pragma GCC unroll 8
                for (int i = 0; i < N; i++) {
                    const Part in(x[i] + vectors * kInputBytes, left * A::kInputBytes);
                    a[i * R + r] = A::add(w, A::inputs(in.bytes), a[i * R + r]);
                }
            }
        }
        alignas(64) float sum[kSums];
#pragma GCC unroll 8
        for (int i = 0; i < kSums; i += L) V::store(sum + i, V::sums(a + i));
        const int64_t there = rows - first < R ? rows - first : R;
        for (int i = 0; i < N; i++) std::memcpy(out[i] + first, sum + i * R, static_cast<size_t>(there) * 4);
    }
}

template <class A, int R, From W, int Most, int N = 1>
constexpr void set_dots(Dots* kernels) {
    kernels[N] = dots_of<A, R, N, W>;
    if constexpr (N < Most) set_dots<A, R, W, Most, N + 1>(kernels);
}

// `R` rows of weights times `Most` inputs fill the registers.
template <class A, int R, int Most>
constexpr FloatKernels float_kernels(Round round = nullptr) {
    static_assert(Most <= kMaxInputs && kGroupRows % R == 0);
    FloatKernels kernels{round, A::kInputBytes, {}};
    set_dots<A, R, From::memory, Most>(kernels.dots[0]);
    set_dots<A, R, From::cache, Most>(kernels.dots[1]);
    return kernels;
}

}  // namespace
}  // namespace hd::kernels
