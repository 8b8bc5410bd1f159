#include "hook.hpp"

#include "../graph_product.hpp"

namespace hd::kernels {
namespace {

using ggml::Tensor;

const KernelSet* kernels;

Slots slots_of(const Tensor* t, int dimension) {
    return {static_cast<const char*>(t->data), t->ne[dimension], t->ne[dimension + 1], t->nb[dimension],
            t->nb[dimension + 1]};
}

size_t bytes_of(const Tensor* op) {
    return work_bytes(experts_of(op->src[0]).first.type, op->src[2]->ne[0] * op->src[2]->ne[1], op->src[0]->ne[0]);
}

ExpertProduct product_of(const Tensor* op) {
    return {*kernels, experts_of(op->src[0]), slots_of(op->src[2], 0), slots_of(op->src[1], 1), slots_of(op, 1)};
}

ProductTraits<ggml::kOpMulMatId, bytes_of, product_of> traits;

}  // namespace

void attach_experts(const KernelSet& set) { kernels = &set; }

ExpertMatrices experts_of(const Tensor* t) {
    const Matrix first = t->ne[2] > 1 ? first_matrix(*kernels, t) : Matrix{};
    return first.rows ? ExpertMatrices{first, t->ne[2]} : ExpertMatrices{};
}

ggml::TensorTraits* expert_traits() { return &traits; }

bool takes_experts(const Tensor* op) {
    const Tensor *x = op->src[1], *chosen = op->src[2];
    return x->nb[0] == sizeof(float) && x->ne[3] == 1 && chosen->type == ggml::kTypeI32 && chosen->ne[2] == 1 &&
           chosen->ne[3] == 1;
}

}  // namespace hd::kernels
