// The greedy choice, as llama.cpp's sampler makes it.
#pragma once

#include <cstdint>

namespace hd {

// Index of the first largest of n logits; 0 where all are NaN.
int32_t first_largest(const float* logits, int32_t n);

}  // namespace hd
