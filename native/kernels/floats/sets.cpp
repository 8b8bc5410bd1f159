#include "kernel_set.hpp"

namespace hd::kernels {

const FloatSet* float_set(int lanes) {
#if defined(HD_KERNELS_X86)
    if (lanes == 16) return &kFloatAvx512;
    if (lanes == 8) return &kFloatAvx2;
#elif defined(HD_KERNELS_ARM)
    if (lanes == 4) return &kFloatNeon;
#endif
    static_cast<void>(lanes);
    return nullptr;
}

int float_type(int ggml_type) {
    for (int i = 0; i < kFloatTypes; i++)
        if (kCellLayouts[i].ggml_type == ggml_type) return i;
    return -1;
}

}  // namespace hd::kernels
