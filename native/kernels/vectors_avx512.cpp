// The kernels of attention and of float weights for AVX-512.
#include "vectors_avx512.hpp"

#include "vector_set.hpp"

namespace hd::kernels {

// No code runs at load time.
constexpr AttentionSet kAvx512Attention = attention_kernels<Avx512>("AVX-512");
constexpr FloatKernels kAvx512FloatKernels[kFloatTypes] = {
    float_kernels<Widened<Avx512, CellType::f16>, 4, 6>(),
    float_kernels<Widened<Avx512, CellType::bf16>, 4, 6>(),
    float_kernels<Widened<Avx512, CellType::f32>, 4, 6>(),
};
constexpr FloatSet kAvx512Floats = {
    "AVX-512", 6, {kAvx512FloatKernels, kAvx512FloatKernels + 1, kAvx512FloatKernels + 2}};

}  // namespace hd::kernels
