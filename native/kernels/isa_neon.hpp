// NEON with dot products (Armv8.2): 4 lanes, signed times signed. The ways of multiplying bytes derive from this.
#pragma once

#include <arm_neon.h>

#define HD_INLINE inline __attribute__((always_inline))
#include "kernel.hpp"
#include "kernel_sets.hpp"

namespace hd::kernels {
namespace {

struct NeonBase {
    using I = uint32x4_t;
    using F = float32x4_t;
    static constexpr int kLanes = 4, kSignedOffset = 0;

    HD_INLINE static I load(const void* p) { return vreinterpretq_u32_u8(vld1q_u8(static_cast<const uint8_t*>(p))); }
    HD_INLINE static I bytes(uint8_t x) { return vreinterpretq_u32_u8(vdupq_n_u8(x)); }
    HD_INLINE static I words(uint32_t x) { return vdupq_n_u32(x); }
    HD_INLINE static I and_(I a, I b) { return vandq_u32(a, b); }
    HD_INLINE static I or_(I a, I b) { return vorrq_u32(a, b); }
    template <int Bits>
    HD_INLINE static I shift(I x) {
        if constexpr (Bits < 0)
            return vshrq_n_u32(x, -Bits);
        else
            return vshlq_n_u32(x, Bits);
    }
    HD_INLINE static I from_signed(I x) { return x; }
    HD_INLINE static I table(const int8_t* values) { return vreinterpretq_u32_s8(vld1q_s8(values)); }
    HD_INLINE static I look_up(I values, I index) {
        return vreinterpretq_u32_u8(vqtbl1q_u8(vreinterpretq_u8_u32(values), vreinterpretq_u8_u32(index)));
    }
    HD_INLINE static I widen(const uint8_t* p) {
        int32_t four;
        __builtin_memcpy(&four, p, 4);
        const int16x8_t half = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four)));
        return vreinterpretq_u32_s32(vmovl_s16(vget_low_s16(half)));
    }

    HD_INLINE static F zero() { return vdupq_n_f32(0); }
    HD_INLINE static F set(float x) { return vdupq_n_f32(x); }
    HD_INLINE static F negate(F x) { return vnegq_f32(x); }
    HD_INLINE static F mul(F a, F b) { return vmulq_f32(a, b); }
    HD_INLINE static F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
    HD_INLINE static F to_float(I x) { return vcvtq_f32_s32(vreinterpretq_s32_u32(x)); }
    HD_INLINE static F as_float(I x) { return vreinterpretq_f32_u32(x); }
    HD_INLINE static F load_half(const uint8_t* p) { return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p))); }
    HD_INLINE static void store(float* p, F x) { vst1q_f32(p, x); }

    static constexpr int together(int rows) { return rows <= 8 ? 4 : 2; }  // as the 32 registers allow

    // Two 16-bit products per lane.
    HD_INLINE static I add_pairs(I sum, I a, int32_t pair) {
        const int16x8_t x = vreinterpretq_s16_s32(vdupq_n_s32(pair)), y = vreinterpretq_s16_u32(a);
        const int32x4_t low = vmull_s16(vget_low_s16(y), vget_low_s16(x)), high = vmull_high_s16(y, x);
        return vaddq_u32(sum, vreinterpretq_u32_s32(vpaddq_s32(low, high)));
    }

    HD_INLINE static float largest(const float* x) {
        F top = zero();
        for (int i = 0; i < 8; i++) top = vmaxq_f32(top, vabsq_f32(vld1q_f32(x + 4 * i)));
        return vmaxvq_f32(top);
    }
    HD_INLINE static void quantize(const float* x, float inverse, uint8_t* q, int32_t* sums) {
        for (int half = 0; half < 2; half++) {
            int32x4_t r[4];
            for (int i = 0; i < 4; i++) r[i] = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + 16 * half + 4 * i), inverse));
            const int16x8_t a = vcombine_s16(vqmovn_s32(r[0]), vqmovn_s32(r[1]));
            const int16x8_t b = vcombine_s16(vqmovn_s32(r[2]), vqmovn_s32(r[3]));
            vst1q_u8(q + 16 * half, vreinterpretq_u8_s8(vcombine_s8(vqmovn_s16(a), vqmovn_s16(b))));
            sums[half] = vaddvq_s32(vaddq_s32(vaddq_s32(r[0], r[1]), vaddq_s32(r[2], r[3])));
        }
    }

    HD_INLINE static int8x16_t load_signed(const uint8_t* p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }
    // One row's columns 4 * From to 4 * To - 1.
    template <int From, int To>
    HD_INLINE static I add_dot(I sum, const I* w, const uint8_t* x) {
        int32x4_t s = vreinterpretq_s32_u32(sum);
        if constexpr (From == 0) s = dot16(s, w, load_signed(x));
        if constexpr (To == 8) s = dot16(s, w + 4, load_signed(x + 16));
        return vreinterpretq_u32_s32(s);
    }

  private:
    HD_INLINE static int32x4_t dot16(int32x4_t sum, const I* w, int8x16_t x) {
        sum = vdotq_laneq_s32(sum, vreinterpretq_s8_u32(w[0]), x, 0);
        sum = vdotq_laneq_s32(sum, vreinterpretq_s8_u32(w[1]), x, 1);
        sum = vdotq_laneq_s32(sum, vreinterpretq_s8_u32(w[2]), x, 2);
        return vdotq_laneq_s32(sum, vreinterpretq_s8_u32(w[3]), x, 3);
    }
};

}  // namespace
}  // namespace hd::kernels
