// Products with BF16 weights for AVX512_BF16: pairs of columns in one instruction, inputs rounded to BF16.
#include "vector_set.hpp"
#include "vectors_avx512.hpp"

namespace hd::kernels {
namespace {

struct Pairs {
    using V = Avx512;
    using Operand = __m512bh;
    static constexpr int kColumns = 32, kWeightBytes = 2, kInputBytes = 2;

    HD_INLINE static Operand weights(const char* p) { return (Operand)_mm512_loadu_si512(p); }
    HD_INLINE static Operand inputs(const char* p) { return weights(p); }
    HD_INLINE static V::F add(Operand w, Operand x, V::F sum) { return _mm512_dpbf16_ps(sum, w, x); }
    static void round(const float* x, int64_t columns, char* to) {
        for (int64_t c = 0; c < columns; c += 16) {
            const auto there = static_cast<__mmask16>(columns - c >= 16 ? 0xffff : (1 << (columns - c)) - 1);
            const auto rounded = (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(there, x + c));
            _mm256_mask_storeu_epi16(to + 2 * c, there, rounded);
        }
    }
};

}  // namespace

constexpr FloatKernels kBf16Pairs = float_kernels<Pairs, 4, 6>(Pairs::round);
constexpr FloatSet kAvx512Bf16Floats = {"AVX-512 BF16", 6, {kAvx512FloatKernels, &kBf16Pairs, kAvx512FloatKernels + 2}};

}  // namespace hd::kernels
