#include "../vectors_avx512.hpp"
#include "kernel.hpp"

namespace hd::kernels {
namespace {

constexpr FloatSet kSet = float_kernels<Avx512, 4, 6>("AVX-512");  // no code runs at load time
}  // namespace

const FloatSet kFloatAvx512 = kSet;

}  // namespace hd::kernels
