#include "../vectors_neon.hpp"
#include "kernel.hpp"

namespace hd::kernels {
namespace {

constexpr FloatSet kSet = float_kernels<Neon, 4, 6>("NEON");  // no code runs at load time
}  // namespace

const FloatSet kFloatNeon = kSet;

}  // namespace hd::kernels
