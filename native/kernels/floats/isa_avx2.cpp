#include "../vectors_avx2.hpp"
#include "kernel.hpp"

namespace hd::kernels {
namespace {

constexpr FloatSet kSet = float_kernels<Avx2, 4, 3>("AVX2");  // no code runs at load time
}  // namespace

const FloatSet kFloatAvx2 = kSet;

}  // namespace hd::kernels
