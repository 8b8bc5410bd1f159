// Vectors of single-precision floats for the kernels of attention and of float weights. AVX2 with FMA and F16C: 8
// lanes.
#include <immintrin.h>

#include "vector_set.hpp"
#include "vectors.hpp"

namespace hd::kernels {
namespace {

struct Avx2 : Vectors<Avx2> {
    using F = __m256;
    static constexpr int kLanes = 8, kScores = 8, kMostQueries = 4;
    static constexpr int values_together(int queries) { return queries <= 1 ? 8 : queries <= 3 ? 4 : 2; }

    HD_INLINE static F load(const float* p) { return _mm256_loadu_ps(p); }
    HD_INLINE static void store(float* p, F x) { _mm256_storeu_ps(p, x); }
    HD_INLINE static F zero() { return _mm256_setzero_ps(); }
    HD_INLINE static F set(float x) { return _mm256_set1_ps(x); }
    HD_INLINE static F add(F a, F b) { return _mm256_add_ps(a, b); }
    HD_INLINE static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
    HD_INLINE static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
    HD_INLINE static F div(F a, F b) { return _mm256_div_ps(a, b); }
    HD_INLINE static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
    HD_INLINE static F max(F a, F b) { return _mm256_max_ps(a, b); }
    HD_INLINE static F min(F a, F b) { return _mm256_min_ps(a, b); }
    HD_INLINE static F round(F x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
    // x times 2 to the power, a whole number above -127.
    HD_INLINE static F scale(F x, F power) {
        const __m256i bits = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(power), _mm256_set1_epi32(127)), 23);
        return mul(x, _mm256_castsi256_ps(bits));
    }
    HD_INLINE static F zero_below(F x, F low, F y) { return _mm256_and_ps(_mm256_cmp_ps(x, low, _CMP_GE_OQ), y); }
    HD_INLINE static F first(int n, F x, F other) {
        const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        return _mm256_blendv_ps(other, x, _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane)));
    }
    HD_INLINE static float lane(F x) { return _mm256_cvtss_f32(x); }
    HD_INLINE static float most(F x) {
        __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
        y = _mm_max_ps(y, _mm_movehl_ps(y, y));
        return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
    }
    HD_INLINE static float sum(F x) {
        __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
        y = _mm_add_ps(y, _mm_movehl_ps(y, y));
        return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
    }

    // 8 vectors to the vector of their sums; every vector's lanes are added in the same tree.
    HD_INLINE static F sums(const F* a) {
        F b[4], c[2];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) b[i] = _mm256_hadd_ps(a[2 * i], a[2 * i + 1]);
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++) c[i] = _mm256_hadd_ps(b[2 * i], b[2 * i + 1]);
        return add(_mm256_permute2f128_ps(c[0], c[1], 0x20), _mm256_permute2f128_ps(c[0], c[1], 0x31));
    }

    // Vectors v and v + 1 of blocks; v is even.
    HD_INLINE static void blocks(const char* cell, int64_t v, F& x, F& y) {
        const char* block = cell + v / 4 * 34;
        uint16_t half;
        __builtin_memcpy(&half, block, 2);
        const F d = set(_cvtsh_ss(half));
        x = mul(bytes(block + 2 + v % 4 * 8), d);
        y = mul(bytes(block + 10 + v % 4 * 8), d);
    }
    // One vector of plain numbers.
    template <CellType T>
    HD_INLINE static F plain(const char* p) {
        if constexpr (T == CellType::f32) return load(reinterpret_cast<const float*>(p));
        const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        if constexpr (T == CellType::f16) return _mm256_cvtph_ps(half);
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
    }

  private:
    HD_INLINE static F bytes(const char* p) {
        return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
    }
};

}  // namespace

// No code runs at load time.
constexpr AttentionSet kAvx2Attention = attention_kernels<Avx2>("AVX2");
constexpr FloatKernels kAvx2FloatKernels[kFloatTypes] = {
    float_kernels<Widened<Avx2, CellType::f16>, 4, 3>(),
    float_kernels<Widened<Avx2, CellType::bf16>, 4, 3>(),
    float_kernels<Widened<Avx2, CellType::f32>, 4, 3>(),
};
constexpr FloatSet kAvx2Floats = {"AVX2", 3, {kAvx2FloatKernels, kAvx2FloatKernels + 1, kAvx2FloatKernels + 2}};

}  // namespace hd::kernels
