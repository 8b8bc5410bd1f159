// The way of attention into llama.cpp. Its CPU backend asks every extra buffer type for every operation of a graph; an
// attention whose K and V lie in a marked buffer is computed here. Buffers of the plain CPU type are marked while a
// thread makes a context that may use these kernels, so contexts of others in the same process keep llama.cpp's.
#pragma once

#include "../ggml_abi.hpp"
#include "kernel_set.hpp"

namespace hd::kernels {

// Begins to mark buffers; `set` computes from now on. And the reverse.
void attach_attention(const AttentionSet& set);
void detach_attention();

// Whether buffers that this thread makes from now on are marked.
void offer_attention(bool on);

// Whether a tensor lies in a marked buffer.
bool marked(const ggml::Tensor* t);

// The operation in plain values.
Problem problem_of(const ggml::Tensor* op);

// What computes the operation, or nullptr: llama.cpp.
ggml::TensorTraits* attention_traits(const ggml::Tensor* op);

}  // namespace hd::kernels
