// Products with float weights for any instruction set; `V` is one of vectors_*.hpp.
#pragma once

#include <cstring>

#include "kernel_set.hpp"

namespace hd::kernels {
namespace {

// The last vector of a row, of which `left` columns are there.
template <class V, CellType T>
HD_INLINE typename V::F last_vector(const char* row, int64_t v, int64_t left) {
    constexpr int kBytes = layout(T).block_bytes;
    alignas(64) char part[V::kLanes * kBytes] = {};
    std::memcpy(part, row + v * V::kLanes * kBytes, static_cast<size_t>(left * kBytes));
    return V::template single<T>(part, 0);
}

// R weight rows and N inputs at a time. Rows beyond the last are the last once more.
// The next R rows are fetched meanwhile: one row after the other where only that counts, as the memory is fastest so
// and the same columns of rows fall into one set of the first cache; column by column where several inputs leave time.
template <class V, CellType T, int R, int N, From W>
void dots_of(const char* weights, int64_t step, int64_t rows, int64_t columns, const float* const* x,
             float* const* out) {
    using F = typename V::F;
    constexpr int L = V::kLanes, kBytes = L * layout(T).block_bytes, kSums = (N * R + L - 1) / L * L;
    const int64_t vectors = columns / L, left = columns % L;
    for (int64_t first = 0; first < rows; first += R) {
        const char* row[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) row[r] = weights + (first + r < rows ? first + r : rows - 1) * step;
        const char* next = weights + (first + R) * step;
        F a[kSums];
#pragma GCC unroll 32
        for (int i = 0; i < kSums; i++) a[i] = V::zero();
        for (int64_t v = 0; v < vectors; v++) {
            F in[N];
#pragma GCC unroll 8
            for (int i = 0; i < N; i++) in[i] = V::load(x[i] + v * L);
#pragma GCC unroll 8
            for (int r = 0; r < R; r++) {
                const F w = V::template single<T>(row[r], v);
                if constexpr (N == 1 || W == From::cache) {
                    if ((v * R + r) * kBytes % 64 < kBytes) __builtin_prefetch(next + (v * R + r) * kBytes, 0, 3);
                } else if (v * kBytes % 64 < kBytes) {
                    __builtin_prefetch(row[r] + R * step + v * kBytes, 0, 3);
                }
#pragma GCC unroll 8
                for (int i = 0; i < N; i++) a[i * R + r] = V::fma(w, in[i], a[i * R + r]);
            }
        }
        if (left) {
#pragma GCC unroll 8
            for (int r = 0; r < R; r++) {
                const F w = last_vector<V, T>(row[r], vectors, left);
#pragma GCC unroll 8
                for (int i = 0; i < N; i++)
                    a[i * R + r] =
                        V::fma(w, last_vector<V, CellType::f32>(reinterpret_cast<const char*>(x[i]), vectors, left),
                               a[i * R + r]);
            }
        }
        alignas(64) float sum[kSums];
#pragma GCC unroll 8
        for (int i = 0; i < kSums; i += L) V::store(sum + i, V::sums(a + i));
        const int64_t there = rows - first < R ? rows - first : R;
        for (int i = 0; i < N; i++) std::memcpy(out[i] + first, sum + i * R, static_cast<size_t>(there) * 4);
    }
}

template <class V, CellType T, int R, From W, int Most, int N = 1>
constexpr void set_dots(Dots* kernels) {
    kernels[N] = dots_of<V, T, R, N, W>;
    if constexpr (N < Most) set_dots<V, T, R, W, Most, N + 1>(kernels);
}

template <class V, CellType T, int R, int Most>
constexpr void set_type(Dots (*kernels)[kMaxInputs + 1]) {
    set_dots<V, T, R, From::memory, Most>(kernels[0]);
    set_dots<V, T, R, From::cache, Most>(kernels[1]);
}

// `R` rows of weights times `Most` inputs fill the registers.
template <class V, int R, int Most>
constexpr FloatSet float_kernels(const char* isa) {
    static_assert(Most <= kMaxInputs && kGroupRows % R == 0);
    FloatSet set{isa, Most, {}};
    set_type<V, CellType::f16, R, Most>(set.types[0]);
    set_type<V, CellType::bf16, R, Most>(set.types[1]);
    set_type<V, CellType::f32, R, Most>(set.types[2]);
    return set;
}

}  // namespace
}  // namespace hd::kernels
