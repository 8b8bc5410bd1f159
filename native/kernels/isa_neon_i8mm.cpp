// NEON with 8-bit matrix products (Armv8.6): one instruction multiplies 8 columns of two activation rows with those of
// two weight rows, twice the work of a dot product. The sums are the same integers.
#include "isa_neon.hpp"

namespace hd::kernels {
namespace {

struct NeonI8mm : NeonBase {
    template <int Largest, int From, int To, int Rows>
    HD_INLINE static void add_dots(const I* w, const uint8_t* x, I* sum) {
#pragma GCC unroll 2
        for (int i = 0; i + 1 < Rows; i += 2) add_two<From, To>(w, x + 32 * i, sum + i);
        if constexpr (Rows % 2) sum[Rows - 1] = add_dot<From, To>(sum[Rows - 1], w, x + 32 * (Rows - 1));
    }

  private:
    // Between the products a register holds two weight rows of either activation row.
    template <int From, int To>
    HD_INLINE static void add_two(const I* w, const uint8_t* x, I* sum) {
        const int64x2_t a = vreinterpretq_s64_u32(sum[0]), b = vreinterpretq_s64_u32(sum[1]);
        int32x4_t low = vreinterpretq_s32_s64(vtrn1q_s64(a, b)), high = vreinterpretq_s32_s64(vtrn2q_s64(a, b));
#pragma GCC unroll 4
        for (int k = From; k < To; k += 2) {
            const uint8x16_t two = vcombine_u8(vld1_u8(x + 4 * k), vld1_u8(x + 32 + 4 * k));
            low = vmmlaq_s32(low, vreinterpretq_s8_u8(two), vreinterpretq_s8_u32(vzip1q_u32(w[k], w[k + 1])));
            high = vmmlaq_s32(high, vreinterpretq_s8_u8(two), vreinterpretq_s8_u32(vzip2q_u32(w[k], w[k + 1])));
        }
        const int64x2_t l = vreinterpretq_s64_s32(low), h = vreinterpretq_s64_s32(high);
        sum[0] = vreinterpretq_u32_s64(vtrn1q_s64(l, h));
        sum[1] = vreinterpretq_u32_s64(vtrn2q_s64(l, h));
    }
};

}  // namespace

const KernelSet kNeonI8mm = kernel_set<NeonI8mm>("NEON i8mm");

}  // namespace hd::kernels
