// What one instruction set offers beside products with quantised weights: attention, and products with float weights.
#pragma once

#include "attention/kernel_set.hpp"
#include "floats/kernel_set.hpp"
#include "layout.hpp"

namespace hd::kernels {

struct VectorSet {
    const AttentionSet& attention;
    const FloatSet& floats;
};

// Each is defined in the file of its instruction set, if this build has it.
extern const AttentionSet kAvx512Attention, kAvx2Attention, kNeonAttention;
extern const FloatKernels kAvx512FloatKernels[], kAvx2FloatKernels[], kNeonFloatKernels[], kBf16Pairs;
extern const FloatSet kAvx512Floats, kAvx512Bf16Floats, kAvx2Floats, kNeonFloats;

// The one that goes with these kernels.
VectorSet vector_set(const KernelSet& kernels);

}  // namespace hd::kernels
