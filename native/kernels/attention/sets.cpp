#include "kernel_set.hpp"

namespace hd::kernels {

const AttentionSet* attention_set(int lanes) {
#if defined(HD_KERNELS_X86)
    if (lanes == 16) return &kAttentionAvx512;
    if (lanes == 8) return &kAttentionAvx2;
#elif defined(HD_KERNELS_ARM)
    if (lanes == 4) return &kAttentionNeon;
#endif
    static_cast<void>(lanes);
    return nullptr;
}

}  // namespace hd::kernels
