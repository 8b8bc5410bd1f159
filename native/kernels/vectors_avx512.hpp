// Vectors of single-precision floats. AVX-512: 16 lanes.
#pragma once

#include <immintrin.h>

#include "vectors.hpp"

namespace hd::kernels {
namespace {

struct Avx512 : Vectors<Avx512> {
    using F = __m512;
    static constexpr int kLanes = 16, kScores = 16, kMostQueries = 8;
    static constexpr int values_together(int queries) { return queries <= 2 ? 8 : queries <= 4 ? 4 : 2; }

    HD_INLINE static F load(const float* p) { return _mm512_loadu_ps(p); }
    HD_INLINE static void store(float* p, F x) { _mm512_storeu_ps(p, x); }
    HD_INLINE static F zero() { return _mm512_setzero_ps(); }
    HD_INLINE static F set(float x) { return _mm512_set1_ps(x); }
    HD_INLINE static F add(F a, F b) { return _mm512_add_ps(a, b); }
    HD_INLINE static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
    HD_INLINE static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
    HD_INLINE static F div(F a, F b) { return _mm512_div_ps(a, b); }
    HD_INLINE static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
    HD_INLINE static F max(F a, F b) { return _mm512_max_ps(a, b); }
    HD_INLINE static F min(F a, F b) { return _mm512_min_ps(a, b); }
    HD_INLINE static F round(F x) { return _mm512_roundscale_ps(x, 0); }
    HD_INLINE static F scale(F x, F power) { return _mm512_scalef_ps(x, power); }
    HD_INLINE static F zero_below(F x, F low, F y) {
        return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, low, _CMP_GE_OQ), y);
    }
    HD_INLINE static F first(int n, F x, F other) {
        return _mm512_mask_mov_ps(other, static_cast<__mmask16>((1U << n) - 1), x);
    }
    HD_INLINE static float lane(F x) { return _mm512_cvtss_f32(x); }
    HD_INLINE static float most(F x) { return _mm512_reduce_max_ps(x); }
    HD_INLINE static float sum(F x) { return _mm512_reduce_add_ps(x); }

    // 16 vectors to the vector of their sums; every vector's lanes are added in the same tree.
    HD_INLINE static F sums(const F* a) {
        F b[8], c[4];
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            b[i] = add(_mm512_unpacklo_ps(a[2 * i], a[2 * i + 1]), _mm512_unpackhi_ps(a[2 * i], a[2 * i + 1]));
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            const __m512d x = _mm512_castps_pd(b[2 * i]), y = _mm512_castps_pd(b[2 * i + 1]);
            c[i] = add(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)), _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
        }
        const F d0 = add(_mm512_shuffle_f32x4(c[0], c[1], 0x88), _mm512_shuffle_f32x4(c[0], c[1], 0xdd));
        const F d1 = add(_mm512_shuffle_f32x4(c[2], c[3], 0x88), _mm512_shuffle_f32x4(c[2], c[3], 0xdd));
        return add(_mm512_shuffle_f32x4(d0, d1, 0x88), _mm512_shuffle_f32x4(d0, d1, 0xdd));
    }

    // Vectors v and v + 1 of blocks; v is even.
    HD_INLINE static void blocks(const char* cell, int64_t v, F& x, F& y) {
        const char* block = cell + v / 2 * 34;
        uint16_t half;
        __builtin_memcpy(&half, block, 2);
        const F d = set(_cvtsh_ss(half));
        x = mul(bytes(block + 2), d);
        y = mul(bytes(block + 18), d);
    }
    // One vector of plain numbers.
    template <CellType T>
    HD_INLINE static F plain(const char* p) {
        if constexpr (T == CellType::f32) return load(reinterpret_cast<const float*>(p));
        const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
        if constexpr (T == CellType::f16) return _mm512_cvtph_ps(half);
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
    }

  private:
    HD_INLINE static F bytes(const char* p) {
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
    }
};

}  // namespace
}  // namespace hd::kernels
