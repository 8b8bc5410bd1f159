// AVX-VNNI: 8 lanes, dot products of unsigned weights and signed activations.
// HD_EVEX_VNNI builds the same kernels with the AVX-512 VL form of the one instruction that differs, so that they can
// be tested on processors that have that form only.
#include "isa_avx2.hpp"

namespace hd::kernels {
namespace {

struct AvxVnni : Avx2Base {
    static constexpr int kSignedOffset = 128;
    HD_INLINE static I from_signed(I x) { return _mm256_xor_si256(x, bytes(static_cast<char>(0x80))); }

    template <int Largest, int From, int To>
    HD_INLINE static I dot(const I* w, const uint8_t* x, int32_t start) {
        I sum = words(start);
#pragma GCC unroll 8
        for (int k = From; k < To; k++) {
#ifdef HD_EVEX_VNNI
            sum = _mm256_dpbusd_epi32(sum, w[k], four_columns(x + 4 * k));
#else
            sum = _mm256_dpbusd_avx_epi32(sum, w[k], four_columns(x + 4 * k));
#endif
        }
        return sum;
    }
};

}  // namespace

const KernelSet kAvxVnni = kernel_set<AvxVnni>("AVX-VNNI");

}  // namespace hd::kernels
