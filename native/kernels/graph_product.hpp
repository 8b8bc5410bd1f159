// What products of a graph have in common, whatever their weights.
#pragma once

#include "ggml_abi.hpp"
#include "layout.hpp"

namespace hd::kernels {

// A tensor's first two dimensions as a matrix of a quantised type of ours, or one without rows.
inline Matrix first_matrix(const KernelSet& kernels, const ggml::Tensor* t) {
    for (int i = 0; i < kWeightTypes; i++) {
        const auto type = static_cast<WeightType>(i);
        if (kLayouts[i].ggml_type == t->type && t->ne[3] == 1 && !t->view_src &&
            fits(type, kernels.lanes, t->ne[1], t->ne[0]))
            return {type, kernels.lanes, t->ne[1], t->ne[0], static_cast<uint8_t*>(t->data)};
    }
    return {};
}

// What computes products of one operation: `bytes` says how much memory one needs, `make` makes it.
template <int kOp, auto bytes, auto make>
class ProductTraits : public ggml::TensorTraits {
  public:
    bool work_size(int, const ggml::Tensor* op, size_t& size) override {
        if (op->op != kOp) return false;
        size = bytes(op);
        return true;
    }

    // Each thread does its part of the inputs; then together they take all chunks.
    bool compute_forward(ggml::ComputeParams* p, ggml::Tensor* op) override {
        if (op->op != kOp) return false;
        const auto product = make(op);
        auto* work = static_cast<uint8_t*>(p->wdata);
        product.prepare(work, p->ith, p->nth);
        if (p->ith == 0) ggml::api.ggml_threadpool_chunk_set(p->threadpool, p->nth);
        ggml::api.ggml_barrier(p->threadpool);
        const int64_t chunks = product.chunks(p->nth);
        for (int64_t chunk = p->ith; chunk < chunks; chunk = ggml::api.ggml_threadpool_chunk_add(p->threadpool, 1))
            product.multiply(work, chunk, p->nth);
        return true;
    }
};

}  // namespace hd::kernels
