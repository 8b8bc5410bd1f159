// The way into llama.cpp: a buffer type of its CPU backend, beside the one that repacks weights for llama.cpp's own
// kernels. Weights that llama.cpp loads into it are stored as panels, and their products run here, on the threads and
// within the graph of the CPU backend.
#pragma once

#include "ggml_abi.hpp"
#include "layout.hpp"

namespace hd::kernels {

// Our buffer type, made once for these kernels.
ggml::BufferType* buffer_type(const KernelSet& kernels);

// Puts it before the repacking type in the list of the CPU backend, and takes it out again.
void insert(ggml::BufferType* type);
void remove(ggml::BufferType* type);

// Makes the CPU backend copy its list for good and says whether the type is in the copy: not if a model was loaded
// before.
bool adopted(const ggml::BufferType* type);

// Whether models that this thread loads from now on may use it.
void offer(bool on);

// Bytes of weights stored as panels so far.
int64_t bytes_repacked();

}  // namespace hd::kernels
