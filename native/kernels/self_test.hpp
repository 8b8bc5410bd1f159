// A small product of every type, and attentions, through real graphs of the CPU backend, before any model is loaded.
#pragma once

#include "ggml_abi.hpp"
#include "layout.hpp"

namespace hd::kernels {

// nullptr if our kernels, run by llama.cpp, agree with llama.cpp's own and one row alone gives the bits it gives among
// others; else what differs.
const char* self_test(ggml::BufferType* type, const KernelSet& kernels);

// The same of attention, compared with a computation in double precision. attach_attention() must have been called.
const char* test_attention();

}  // namespace hd::kernels
