// NEON with dot products: each row on its own.
#include "isa_neon.hpp"

namespace hd::kernels {
namespace {

struct NeonDot : NeonBase {
    template <int Largest, int From, int To, int Rows>
    HD_INLINE static void add_dots(const I* w, const uint8_t* x, I* sum) {
#pragma GCC unroll 4
        for (int i = 0; i < Rows; i++) sum[i] = add_dot<From, To>(sum[i], w, x + 32 * i);
    }
};

}  // namespace

const KernelSet kNeonDot = kernel_set<NeonDot>("NEON dotprod");

}  // namespace hd::kernels
