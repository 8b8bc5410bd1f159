// AVX2 without VNNI: byte products are added in pairs of 16 bits, as many pairs as cannot overflow before they are
// widened.
#include "isa_avx2.hpp"

namespace hd::kernels {
namespace {

struct Avx2 : Avx2Base {
    static constexpr int kSignedOffset = 0;
    HD_INLINE static I from_signed(I x) { return x; }

    static constexpr int together(int) { return 1; }  // eight registers hold weights, few are left

    template <int Largest, int From, int To, int Rows>
    HD_INLINE static void add_dots(const I* w, const uint8_t* x, I* sum) {
        // |activation| <= 127, so one pair of products is at most 2 x 127 x Largest.
        constexpr int kPairs = 32767 / (2 * 127 * Largest), kGroup = kPairs < To - From ? kPairs : To - From;
        static_assert(Rows == 1 && kGroup >= 1 && (To - From) % kGroup == 0);
#pragma GCC unroll 8
        for (int k = From; k < To; k += kGroup) {
            I pairs = product<Largest>(w[k], four_columns(x + 4 * k));
            if constexpr (kGroup > 1) {
#pragma GCC unroll 8
                for (int j = k + 1; j < k + kGroup; j++)
                    pairs = _mm256_add_epi16(pairs, product<Largest>(w[j], four_columns(x + 4 * j)));
            }
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
        }
    }

  private:
    // Signed weights (Largest is 128): their size times the activation with their sign.
    template <int Largest>
    HD_INLINE static I product(I w, I x) {
        if constexpr (Largest == 128) return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
        return _mm256_maddubs_epi16(w, x);
    }
};

}  // namespace

const KernelSet kAvx2 = kernel_set<Avx2>("AVX2");

}  // namespace hd::kernels
