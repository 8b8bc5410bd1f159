// AVX-VNNI: 8 lanes, dot products of unsigned weights and signed activations.
// HD_EVEX_VNNI builds the same kernels with the AVX-512 VL form of the one instruction that differs, so that they can
// be tested on processors that have that form only.
#include "isa_avx2.hpp"

namespace hd::kernels {
namespace {

struct AvxVnni : Avx2Base {
    static constexpr int kSignedOffset = 128;
    HD_INLINE static I from_signed(I x) { return _mm256_xor_si256(x, bytes(static_cast<char>(0x80))); }

    static constexpr int together(int) { return 2; }  // eight registers hold weights, few are left

    template <int Largest, int From, int To, int Rows>
    HD_INLINE static void add_dots(const I* w, const uint8_t* x, I* sum) {
#pragma GCC unroll 8
        for (int k = From; k < To; k++)
#pragma GCC unroll 2
            for (int i = 0; i < Rows; i++) sum[i] = multiply_add(sum[i], w[k], four_columns(x + 32 * i + 4 * k));
    }

  private:
    HD_INLINE static I multiply_add(I sum, I w, I x) {
#ifdef HD_EVEX_VNNI
        return _mm256_dpbusd_epi32(sum, w, x);
#else
        return _mm256_dpbusd_avx_epi32(sum, w, x);
#endif
    }
};

}  // namespace

const KernelSet kAvxVnni = kernel_set<AvxVnni>("AVX-VNNI");

}  // namespace hd::kernels
