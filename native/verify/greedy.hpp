// The greedy choice, as llama.cpp's sampler makes it.
#pragma once

#include <cstdint>
#include <vector>

namespace hd {

// Index of the first largest of n logits, at least 1, NaN left out; 0 where the first one is NaN, as in llama.cpp.
int32_t first_largest(const float* logits, int32_t n);

// Where penalties change the logits of some tokens only (`few`, in any order, what is no token is left out), a greedy
// choice takes one of these or the first largest of the others: all of them and token 0, ascending, each once. Token 0
// is there because a choice that begins with another one would keep that one if it is NaN. n is at least 1.
std::vector<int32_t> shortlist(const float* logits, int32_t n, const int32_t* few, int32_t n_few);

}  // namespace hd
