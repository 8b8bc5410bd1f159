// AVX-512 with VNNI: 16 lanes, dot products of unsigned weights and signed activations.
#include <immintrin.h>

#define HD_INLINE inline __attribute__((always_inline))
#include "kernel.hpp"
#include "kernel_sets.hpp"

namespace hd::kernels {
namespace {

struct Avx512Vnni {
    using I = __m512i;
    using F = __m512;
    static constexpr int kLanes = 16, kSignedOffset = 128;

    HD_INLINE static I load(const void* p) { return _mm512_loadu_si512(p); }
    HD_INLINE static I bytes(char x) { return _mm512_set1_epi8(x); }
    HD_INLINE static I words(int x) { return _mm512_set1_epi32(x); }
    HD_INLINE static I and_(I a, I b) { return _mm512_and_si512(a, b); }
    HD_INLINE static I or_(I a, I b) { return _mm512_or_si512(a, b); }
    template <int Bits>
    HD_INLINE static I shift(I x) {
        if constexpr (Bits < 0)
            return _mm512_srli_epi32(x, unsigned{-Bits});
        else
            return _mm512_slli_epi32(x, unsigned{Bits});
    }
    HD_INLINE static I from_signed(I x) { return _mm512_xor_si512(x, bytes(static_cast<char>(0x80))); }
    HD_INLINE static I table(const int8_t* values) {
        return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
    }
    HD_INLINE static I look_up(I values, I index) { return _mm512_shuffle_epi8(values, index); }
    HD_INLINE static I widen(const uint8_t* p) {
        return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    }

    HD_INLINE static F zero() { return _mm512_setzero_ps(); }
    HD_INLINE static F set(float x) { return _mm512_set1_ps(x); }
    HD_INLINE static F negate(F x) { return _mm512_sub_ps(zero(), x); }
    HD_INLINE static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
    HD_INLINE static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
    HD_INLINE static F to_float(I x) { return _mm512_cvtepi32_ps(x); }
    HD_INLINE static F as_float(I x) { return _mm512_castsi512_ps(x); }
    HD_INLINE static F load_half(const uint8_t* p) {
        return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }
    HD_INLINE static void store(float* p, F x) { _mm512_storeu_ps(p, x); }

    static constexpr int together(int rows) { return rows <= 4 ? rows : 2; }

    // As assembler: with the intrinsics compilers load and broadcast on their own, twice the instructions and a
    // register.
    template <int Largest, int From, int To, int Rows>
    HD_INLINE static void add_dots(const I* w, const uint8_t* x, I* sum) {
#pragma GCC unroll 8
        for (int k = From; k < To; k++)
#pragma GCC unroll 4
            for (int i = 0; i < Rows; i++)
                __asm__("vpdpbusd %2%{1to16%}, %1, %0"
                        : "+v"(sum[i])
                        : "v"(w[k]), "m"(*reinterpret_cast<const int32_t*>(x + 32 * i + 4 * k)));
    }

    // Two 16-bit products per lane.
    HD_INLINE static I add_pairs(I sum, I a, int32_t pair) { return _mm512_dpwssd_epi32(sum, a, words(pair)); }

    HD_INLINE static float largest(const float* x) {
        return _mm512_reduce_max_ps(
            _mm512_max_ps(_mm512_abs_ps(_mm512_loadu_ps(x)), _mm512_abs_ps(_mm512_loadu_ps(x + 16))));
    }
    HD_INLINE static void quantize(const float* x, float inverse, uint8_t* q, int32_t* sums) {
        for (int half = 0; half < 2; half++) {
            const I r = _mm512_cvtps_epi32(mul(_mm512_loadu_ps(x + 16 * half), set(inverse)));
            _mm_storeu_si128(reinterpret_cast<__m128i*>(q + 16 * half), _mm512_cvtsepi32_epi8(r));
            sums[half] = _mm512_reduce_add_epi32(r);
        }
    }
};

}  // namespace

const KernelSet kAvx512Vnni = kernel_set<Avx512Vnni>("AVX-512 VNNI");
// The same, on a processor whose products with BF16 weights are others (vectors_avx512bf16.cpp).
const KernelSet kAvx512Bf16 = kernel_set<Avx512Vnni>("AVX-512 BF16");

}  // namespace hd::kernels
