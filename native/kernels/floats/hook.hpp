// The way of float weights into llama.cpp: matrices in our buffer type, and those of a LoRA adapter, which llama.cpp
// keeps in its plain CPU memory, where that is marked as ours (attention/hook.hpp).
#pragma once

#include "../ggml_abi.hpp"
#include "../product.hpp"
#include "kernel_set.hpp"

namespace hd::kernels {

// `set` computes from now on.
void attach_floats(const FloatSet& set);

// Whether a weight is a float matrix that these kernels can multiply with; its bytes stay as they are.
bool is_float_matrix(const ggml::Tensor* weight);

// What computes products with such a weight in our buffer type.
ggml::TensorTraits* float_traits();
// The same for a product whose weight lies elsewhere, or nullptr: llama.cpp.
ggml::TensorTraits* adapter_traits(const ggml::Tensor* op);

// A tensor's rows in plain values.
Rows rows_of(const ggml::Tensor* t);

}  // namespace hd::kernels
