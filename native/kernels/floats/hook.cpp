#include "hook.hpp"

#include "../attention/hook.hpp"
#include "../graph_product.hpp"
#include "float_product.hpp"

namespace hd::kernels {
namespace {

using ggml::Tensor;

const FloatSet* float_set_in_use;

FloatProduct product_of(const Tensor* op) {
    const Tensor* w = op->src[0];
    const FloatMatrix matrix{static_cast<CellType>(float_type(w->type)), w->ne[1], w->ne[0],
                             static_cast<const char*>(w->data), static_cast<int64_t>(w->nb[1])};
    return {*float_set_in_use, matrix, rows_of(op->src[1]), rows_of(op)};
}

size_t bytes_of(const Tensor* op) { return product_of(op).work_bytes(); }

ProductTraits<ggml::kOpMulMat, bytes_of, product_of> traits;

}  // namespace

Rows rows_of(const Tensor* t) {
    return {
        static_cast<const char*>(t->data), {t->ne[1], t->ne[2], t->ne[3]}, {t->nb[1], t->nb[2], t->nb[3]}, t->nb[0]};
}

void attach_floats(const FloatSet& set) { float_set_in_use = &set; }

bool is_float_matrix(const Tensor* t) {
    const int type = float_type(t->type);
    return float_set_in_use && type >= 0 && t->ne[0] > 0 && t->ne[1] > 0 && t->ne[2] == 1 && t->ne[3] == 1 &&
           !t->view_src && t->nb[0] == static_cast<size_t>(kCellLayouts[type].block_bytes);
}

ggml::TensorTraits* float_traits() { return &traits; }

ggml::TensorTraits* adapter_traits(const Tensor* op) {
    const Tensor *w = op->src[0], *x = op->src[1];
    // Not what a graph computes on its way: that has an operation.
    const bool weight = w->op == ggml::kOpNone && marked(w) && is_float_matrix(w);
    return weight && x->type == ggml::kTypeF32 ? &traits : nullptr;
}

}  // namespace hd::kernels
