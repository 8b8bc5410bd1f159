// AVX2 with FMA and F16C: 8 lanes. The two ways of multiplying bytes, with and without VNNI, derive from this.
#pragma once

#include <immintrin.h>

#define HD_INLINE inline __attribute__((always_inline))
#include "kernel.hpp"
#include "kernel_sets.hpp"

namespace hd::kernels {
namespace {

struct Avx2Base {
    using I = __m256i;
    using F = __m256;
    static constexpr int kLanes = 8;

    HD_INLINE static I load(const void* p) { return _mm256_loadu_si256(static_cast<const I*>(p)); }
    HD_INLINE static I bytes(char x) { return _mm256_set1_epi8(x); }
    HD_INLINE static I words(int x) { return _mm256_set1_epi32(x); }
    HD_INLINE static I and_(I a, I b) { return _mm256_and_si256(a, b); }
    HD_INLINE static I or_(I a, I b) { return _mm256_or_si256(a, b); }
    template <int Bits>
    HD_INLINE static I shift(I x) {
        if constexpr (Bits < 0) return _mm256_srli_epi32(x, -Bits);
        return _mm256_slli_epi32(x, Bits);
    }
    HD_INLINE static I table(const int8_t* values) {
        return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
    }
    HD_INLINE static I look_up(I values, I index) { return _mm256_shuffle_epi8(values, index); }
    HD_INLINE static I widen(const uint8_t* p) {
        return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    }
    HD_INLINE static I four_columns(const uint8_t* x) {
        int32_t four;
        __builtin_memcpy(&four, x, 4);
        return words(four);
    }

    HD_INLINE static F zero() { return _mm256_setzero_ps(); }
    HD_INLINE static F set(float x) { return _mm256_set1_ps(x); }
    HD_INLINE static F negate(F x) { return _mm256_sub_ps(zero(), x); }
    HD_INLINE static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
    HD_INLINE static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
    HD_INLINE static F to_float(I x) { return _mm256_cvtepi32_ps(x); }
    HD_INLINE static F as_float(I x) { return _mm256_castsi256_ps(x); }
    HD_INLINE static F load_half(const uint8_t* p) {
        return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    }
    HD_INLINE static void store(float* p, F x) { _mm256_storeu_ps(p, x); }

    // Two 16-bit products per lane.
    HD_INLINE static I add_pairs(I sum, I a, int32_t pair) {
        return _mm256_add_epi32(sum, _mm256_madd_epi16(a, words(pair)));
    }

    HD_INLINE static float largest(const float* x) {
        F top = zero();
        for (int i = 0; i < 4; i++) top = _mm256_max_ps(top, _mm256_andnot_ps(set(-0.0f), _mm256_loadu_ps(x + 8 * i)));
        __m128 four = _mm_max_ps(_mm256_castps256_ps128(top), _mm256_extractf128_ps(top, 1));
        four = _mm_max_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
    }
    HD_INLINE static void quantize(const float* x, float inverse, uint8_t* q, int32_t* sums) {
        for (int half = 0; half < 2; half++) {
            const I a = _mm256_cvtps_epi32(mul(_mm256_loadu_ps(x + 16 * half), set(inverse)));
            const I b = _mm256_cvtps_epi32(mul(_mm256_loadu_ps(x + 16 * half + 8), set(inverse)));
            // Packing works within 128-bit halves: 0 2 1 3 is the natural order again.
            const I words16 = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
            _mm_storeu_si128(reinterpret_cast<__m128i*>(q + 16 * half),
                             _mm_packs_epi16(_mm256_castsi256_si128(words16), _mm256_extracti128_si256(words16, 1)));
            const I sum = _mm256_add_epi32(a, b);
            __m128i s = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
            s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
            sums[half] = _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
        }
    }
};

}  // namespace
}  // namespace hd::kernels
