// The way of experts' weights into llama.cpp: tensors of three dimensions in our buffer type.
#pragma once

#include "../ggml_abi.hpp"
#include "expert_product.hpp"

namespace hd::kernels {

// `set` computes from now on.
void attach_experts(const KernelSet& set);

// The tensor as matrices of experts in our layout, or none.
ExpertMatrices experts_of(const ggml::Tensor* weight);

// What computes products with them.
ggml::TensorTraits* expert_traits();
// Whether it can compute this one (MUL_MAT_ID), as far as inputs and the choice of experts go.
bool takes_experts(const ggml::Tensor* op);

}  // namespace hd::kernels
