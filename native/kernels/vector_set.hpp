// What one instruction set offers beside products with quantised weights: attention, and products with float weights.
#pragma once

#include "attention/kernel_set.hpp"
#include "floats/kernel_set.hpp"

namespace hd::kernels {

struct VectorSet {
    AttentionSet attention;
    FloatSet floats;
};

// Each is defined in the file of its instruction set, if this build has it.
extern const VectorSet kAvx512Vectors, kAvx2Vectors, kNeonVectors;

// The one that goes with kernels of this many lanes, or nullptr.
const VectorSet* vector_set(int lanes);

}  // namespace hd::kernels
