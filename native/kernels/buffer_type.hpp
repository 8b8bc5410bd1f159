// The way into llama.cpp: a buffer type of its CPU backend, beside the one that repacks weights for llama.cpp's own
// kernels. Weights that llama.cpp loads into it are stored as panels, and their products run here, on the threads and
// within the graph of the CPU backend.
#pragma once

#include "ggml_abi.hpp"
#include "layout.hpp"

namespace hd::kernels {

// Our buffer type, made once for these kernels.
ggml::BufferType* buffer_type(const KernelSet& kernels);

// Whether models that this thread loads from now on may use it.
void offer(bool on);

// Bytes of weights that this thread has loaded into it since the last offer.
int64_t bytes_taken();

// Bytes of weights stored as panels so far.
int64_t bytes_repacked();

}  // namespace hd::kernels
