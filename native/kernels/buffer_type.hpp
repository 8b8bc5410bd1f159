// The way into llama.cpp: a buffer type of its CPU backend, beside the one that repacks weights for llama.cpp's own
// kernels. Quantised weights that llama.cpp loads into it are
// stored as panels, float matrices as they are, and their products run here, on the threads and
// within the graph of the CPU backend.
#pragma once

#include "ggml_abi.hpp"
#include "layout.hpp"

namespace hd::kernels {

// Our buffer type, made once for these kernels.
ggml::BufferType* buffer_type(const KernelSet& kernels);

// Whether models that this thread loads from now on may use it.
void offer(bool on);
// Keeps them from other extra buffer types until the next offer. False, and no effect, if ours is not offered.
bool offer_alone();

// Bytes of weights that this thread has loaded into it since the last offer.
int64_t bytes_taken();

}  // namespace hd::kernels
