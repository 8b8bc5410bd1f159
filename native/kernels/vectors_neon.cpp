// Vectors of single-precision floats for the kernels of attention and of float weights. NEON: 4 lanes.
#include <arm_neon.h>

#include "vector_set.hpp"
#include "vectors.hpp"

namespace hd::kernels {
namespace {

struct Neon : Vectors<Neon> {
    using F = float32x4_t;
    static constexpr int kLanes = 4, kScores = 16, kMostQueries = 8;
    static constexpr int values_together(int queries) { return queries <= 2 ? 8 : queries <= 4 ? 4 : 2; }

    HD_INLINE static F load(const float* p) { return vld1q_f32(p); }
    HD_INLINE static void store(float* p, F x) { vst1q_f32(p, x); }
    HD_INLINE static F zero() { return vdupq_n_f32(0); }
    HD_INLINE static F set(float x) { return vdupq_n_f32(x); }
    HD_INLINE static F add(F a, F b) { return vaddq_f32(a, b); }
    HD_INLINE static F sub(F a, F b) { return vsubq_f32(a, b); }
    HD_INLINE static F mul(F a, F b) { return vmulq_f32(a, b); }
    HD_INLINE static F div(F a, F b) { return vdivq_f32(a, b); }
    HD_INLINE static F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
    HD_INLINE static F max(F a, F b) { return vmaxq_f32(a, b); }
    HD_INLINE static F min(F a, F b) { return vminq_f32(a, b); }
    HD_INLINE static F round(F x) { return vrndnq_f32(x); }
    // x times 2 to the power, a whole number above -127.
    HD_INLINE static F scale(F x, F power) {
        const int32x4_t bits = vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(power), vdupq_n_s32(127)), 23);
        return mul(x, vreinterpretq_f32_s32(bits));
    }
    HD_INLINE static F zero_below(F x, F low, F y) {
        return vreinterpretq_f32_u32(vandq_u32(vcgeq_f32(x, low), vreinterpretq_u32_f32(y)));
    }
    HD_INLINE static F first(int n, F x, F other) {
        const int32_t lanes[4] = {0, 1, 2, 3};
        return vbslq_f32(vcltq_s32(vld1q_s32(lanes), vdupq_n_s32(n)), x, other);
    }
    HD_INLINE static float lane(F x) { return vgetq_lane_f32(x, 0); }
    HD_INLINE static float most(F x) { return vmaxvq_f32(x); }
    HD_INLINE static float sum(F x) { return vaddvq_f32(x); }

    // 4 vectors to the vector of their sums; every vector's lanes are added in the same tree.
    HD_INLINE static F sums(const F* a) { return vpaddq_f32(vpaddq_f32(a[0], a[1]), vpaddq_f32(a[2], a[3])); }

    // Vectors v and v + 1 of blocks; v is even.
    HD_INLINE static void blocks(const char* cell, int64_t v, F& x, F& y) {
        const char* block = cell + v / 8 * 34;
        __fp16 half;
        __builtin_memcpy(&half, block, 2);
        const F d = set(static_cast<float>(half));
        const int16x8_t words = vmovl_s8(vld1_s8(reinterpret_cast<const int8_t*>(block + 2 + v % 8 * 4)));
        x = mul(vcvtq_f32_s32(vmovl_s16(vget_low_s16(words))), d);
        y = mul(vcvtq_f32_s32(vmovl_high_s16(words)), d);
    }
    // One vector of plain numbers.
    template <CellType T>
    HD_INLINE static F plain(const char* p) {
        if constexpr (T == CellType::f32) return load(reinterpret_cast<const float*>(p));
        const uint16x4_t half = vld1_u16(reinterpret_cast<const uint16_t*>(p));
        if constexpr (T == CellType::f16) return vcvt_f32_f16(vreinterpret_f16_u16(half));
        return vreinterpretq_f32_u32(vshll_n_u16(half, 16));
    }
};

}  // namespace

// No code runs at load time.
constexpr AttentionSet kNeonAttention = attention_kernels<Neon>("NEON");
constexpr FloatKernels kNeonFloatKernels[kFloatTypes] = {
    float_kernels<Widened<Neon, CellType::f16>, 4, 6>(),
    float_kernels<Widened<Neon, CellType::bf16>, 4, 6>(),
    float_kernels<Widened<Neon, CellType::f32>, 4, 6>(),
};
constexpr FloatSet kNeonFloats = {"NEON", 6, {kNeonFloatKernels, kNeonFloatKernels + 1, kNeonFloatKernels + 2}};

}  // namespace hd::kernels
