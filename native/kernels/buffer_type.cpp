#include "buffer_type.hpp"

#include <algorithm>
#include <cstring>
#include <thread>

#include "attention/hook.hpp"
#include "experts/hook.hpp"
#include "floats/hook.hpp"
#include "graph_product.hpp"
#include "large_pages.hpp"
#include "product.hpp"
#include "registration.hpp"
#include "repack.hpp"
#include "vector_set.hpp"

namespace hd::kernels {
namespace {

using ggml::api;
using ggml::Buffer;
using ggml::BufferType;
using ggml::Tensor;

const KernelSet* kernels;
// A model is loaded by one thread, so the choice of one model never touches another's.
thread_local bool offered = false;
thread_local int64_t taken = 0;  // bytes since the last offer

// The tensor as a matrix of ours, or one without rows.
Matrix matrix_of(const Tensor* t) { return t->ne[2] == 1 ? first_matrix(*kernels, t) : Matrix{}; }

size_t bytes_of(const Tensor* op) {
    return work_bytes(matrix_of(op->src[0]).type, rows_of(op->src[1]).total(), op->src[0]->ne[0]);
}

Product product_of(const Tensor* op) { return {*kernels, matrix_of(op->src[0]), rows_of(op->src[1]), rows_of(op)}; }

ProductTraits<ggml::kOpMulMat, bytes_of, product_of> traits;
BufferType* our_type();

// What multiplies with a weight, or nullptr.
ggml::TensorTraits* traits_of(const Tensor* t) {
    if (matrix_of(t).rows) return &traits;
    if (experts_of(t).count) return expert_traits();
    return is_float_matrix(t) ? float_traits() : nullptr;
}

bool multiplies(const Tensor* op) { return op->op == ggml::kOpMulMat || op->op == ggml::kOpMulMatId; }

bool is_ours(const Tensor* t) { return t && t->buffer && t->buffer->type == our_type(); }

// Anything else may read float matrices as well: they lie as llama.cpp expects them.
bool reads_floats(const Tensor* op) {
    bool found = false;
    for (const Tensor* t : op->src) {
        if (!is_ours(t)) continue;
        const Tensor* whole = t->view_src ? t->view_src : t;
        if (whole->buffer->size == 0 || whole->extra != float_traits()) return false;
        found |= t->view_src || op->op != ggml::kOpMulMat;
    }
    return found;
}

class Extra : public ggml::ExtraBufferType {
  public:
    // Asked when a model is loaded, with a weight in an empty buffer of our type, and for every graph.
    bool supports_op(ggml::Device*, const Tensor* op) override {
        if (reads_floats(op)) return true;
        if (!multiplies(op) || !is_ours(op->src[0])) return false;
        const ggml::TensorTraits* found = traits_of(op->src[0]);
        if (!found || (op->op == ggml::kOpMulMatId) != (found == expert_traits())) return false;
        if (found == expert_traits() && !takes_experts(op)) return false;
        const Tensor* x = op->src[1];
        if (x->type != ggml::kTypeF32 || (x->buffer && !api.ggml_backend_buft_is_host(x->buffer->type))) return false;
        return op->src[0]->buffer->size > 0 || offered;
    }
    ggml::TensorTraits* get_tensor_traits(const Tensor* op) override {
        if (op->op == ggml::kOpFlashAttnExt) return attention_traits(op);
        if (!multiplies(op)) return nullptr;
        if (!is_ours(op->src[0])) return op->op == ggml::kOpMulMat ? adapter_traits(op) : nullptr;
        return static_cast<ggml::TensorTraits*>(op->src[0]->extra);
    }
};

const char* get_name(BufferType*) { return "HD_EDGE_ROWS"; }
size_t get_alignment(BufferType*) { return 64; }

int32_t init_tensor(Buffer*, Tensor* t) {
    t->extra = traits_of(t);
    return ggml::kSuccess;
}

void set_tensor(Buffer*, Tensor* t, const void* data, size_t offset, size_t size) {
    const Matrix matrix = matrix_of(t);
    const ExpertMatrices experts = matrix.rows ? ExpertMatrices{matrix, 1} : experts_of(t);
    if (!experts.count || offset != 0 || size != api.ggml_nbytes(t)) {
        std::memcpy(static_cast<char*>(t->data) + offset, data, size);  // floats, or no weight of ours: keep the bytes
        if (t->extra) taken += static_cast<int64_t>(size);
        return;
    }
    const int threads = static_cast<int>(std::min(8U, std::max(1U, std::thread::hardware_concurrency())));
    for (int64_t i = 0; i < experts.count; i++)
        repack(experts.of(i), static_cast<const char*>(data) + i * experts.bytes(), threads);
    taken += static_cast<int64_t>(size);
}

// Memory of the plain CPU type with our functions.
Buffer* alloc_buffer(BufferType* type, size_t size) {
    Buffer* buffer = api.ggml_backend_buft_alloc_buffer(api.ggml_backend_cpu_buffer_type(), size);
    if (!buffer) return nullptr;
    advise_large_pages(api.ggml_backend_buffer_get_base(buffer), size);
    buffer->type = type;
    buffer->init_tensor = init_tensor;
    buffer->set_tensor = set_tensor;
    buffer->get_tensor = nullptr;
    buffer->cpy_tensor = nullptr;
    return buffer;
}

BufferType* our_type() {
    static Extra extra;
    static BufferType type = {get_name,
                              alloc_buffer,
                              get_alignment,
                              nullptr,
                              nullptr,
                              nullptr,
                              api.ggml_backend_dev_by_type(ggml::kDeviceCpu),
                              static_cast<ggml::ExtraBufferType*>(&extra)};
    return &type;
}

}  // namespace

BufferType* buffer_type(const KernelSet& set) {
    kernels = &set;
    attach_experts(set);
    attach_floats(vector_set(set).floats);
    return our_type();
}

void offer(bool on) {
    offered = on;
    enter_alone(false);
    if (on) taken = 0;
}

bool offer_alone() {
    if (offered) enter_alone(true);
    return offered;
}

int64_t bytes_taken() { return taken; }

}  // namespace hd::kernels
