#include "hook.hpp"

#include <algorithm>
#include <cstring>

#include "../large_pages.hpp"
#include "attention.hpp"

namespace hd::kernels {
namespace {

using ggml::api;
using ggml::Buffer;
using ggml::BufferType;
using ggml::Tensor;

const AttentionSet* attention_set_in_use;
// Of the CPU's two types: memory of its own, and the type of a mapped file, in which llama.cpp loads the matrices of a
// LoRA adapter if that is the type of the matrix they belong to.
constexpr int kPlainTypes = 2;
BufferType* plain_types[kPlainTypes];
Buffer* (*plain_alloc[kPlainTypes])(BufferType*, size_t);
// A context is made by one thread, so the choice for one never touches another's.
thread_local bool offered = false;

// The mark is this function in a buffer whose type has none to reset its tensors. Its address says whose the buffer is,
// for as long as the buffer lives; there is no list that could go stale.
void mark(Buffer*) {}

Buffer* marking_alloc(BufferType* type, size_t size) {
    Buffer* buffer = plain_alloc[type == plain_types[0] ? 0 : 1](type, size);
    if (!buffer || !offered) return buffer;
    if (!buffer->reset) buffer->reset = mark;
    advise_large_pages(api.ggml_backend_buffer_get_base(buffer), size);
    return buffer;
}

// Whole vectors of a type of ours, one stride from cell to cell.
bool is_cells(const Tensor* t) {
    return takes_cells(t->type, t->ne[0]) &&
           t->nb[0] == static_cast<size_t>(kCellLayouts[cell_type(t->type)].block_bytes);
}

bool takes(const Tensor* op) {
    const Tensor *q = op->src[0], *k = op->src[1], *v = op->src[2], *mask = op->src[3], *sinks = op->src[4];
    if (!q || !k || !v || !marked(k) || !marked(v) || !is_cells(k) || !is_cells(v)) return false;
    if (q->type != ggml::kTypeF32 || op->type != ggml::kTypeF32 || q->nb[0] != 4 || !takes_sizes(k->ne[0], v->ne[0]))
        return false;
    if (q->ne[0] != k->ne[0] || k->ne[1] != v->ne[1] || k->ne[2] != v->ne[2] || k->ne[3] != v->ne[3] ||
        q->ne[2] % k->ne[2] || q->ne[3] % k->ne[3] || k->ne[1] > INT32_MAX)
        return false;
    if (mask && (mask->type != ggml::kTypeF16 || mask->nb[0] != 2 || mask->ne[2] != 1 || mask->ne[1] < q->ne[1] ||
                 mask->ne[0] < k->ne[1] || q->ne[3] % mask->ne[3]))
        return false;
    return !sinks || (sinks->type == ggml::kTypeF32 && sinks->nb[0] == 4 && sinks->ne[0] == q->ne[2]);
}

int64_t bytes(size_t stride) { return static_cast<int64_t>(stride); }

Strided strided(const Tensor* t) {
    return {static_cast<const char*>(t->data), bytes(t->nb[1]), bytes(t->nb[2]), bytes(t->nb[3])};
}

class GraphTeam : public Team {
  public:
    explicit GraphTeam(ggml::ComputeParams* params) : Team(params->ith, params->nth), pool_(params->threadpool) {}
    void barrier() override { api.ggml_barrier(pool_); }
    void restart(int first) override { api.ggml_threadpool_chunk_set(pool_, first); }
    int64_t claim() override { return api.ggml_threadpool_chunk_add(pool_, 1); }

  private:
    ggml::Threadpool* pool_;
};

class AttentionTraits : public ggml::TensorTraits {
  public:
    bool work_size(int threads, const Tensor* op, size_t& size) override {
        size = Attention(problem_of(op), *attention_set_in_use).work_bytes(threads);
        return true;
    }
    bool compute_forward(ggml::ComputeParams* params, Tensor* op) override {
        GraphTeam team(params);
        Attention(problem_of(op), *attention_set_in_use).run(team, params->wdata);
        return true;
    }
};
AttentionTraits traits;

}  // namespace

bool marked(const Tensor* t) {
    const Buffer* buffer = t->view_src ? t->view_src->buffer : t->buffer;
    return buffer && buffer->reset == mark;
}

Problem problem_of(const Tensor* op) {
    const Tensor *q = op->src[0], *k = op->src[1], *v = op->src[2], *mask = op->src[3], *sinks = op->src[4];
    Problem p{};
    p.q = strided(q);
    // The result is (columns, head, row, stream).
    p.out = {static_cast<const char*>(op->data), bytes(op->nb[2]), bytes(op->nb[1]), bytes(op->nb[3])};
    p.k = {strided(k), static_cast<CellType>(cell_type(k->type)), k->ne[0]};
    p.v = {strided(v), static_cast<CellType>(cell_type(v->type)), v->ne[0]};
    if (mask) {
        p.mask = static_cast<const char*>(mask->data);
        // Where sizes are known and memory is not yet, any address will do: it says that there is a mask.
        if (!p.mask) p.mask = reinterpret_cast<const char*>(mask);
        p.mask_row = bytes(mask->nb[1]);
        p.mask_stream = bytes(mask->nb[3]);
    }
    p.mask_streams = mask ? mask->ne[3] : 1;
    p.sinks = sinks ? static_cast<const float*>(sinks->data) : nullptr;
    p.rows = q->ne[1];
    p.heads = q->ne[2];
    p.kv_heads = k->ne[2];
    p.cells = k->ne[1];
    p.streams = q->ne[3];
    p.kv_streams = k->ne[3];
    std::memcpy(&p.scale, op->op_params, 4);
    std::memcpy(&p.max_bias, op->op_params + 1, 4);
    std::memcpy(&p.softcap, op->op_params + 2, 4);
    if (p.softcap != 0.0f) p.scale /= p.softcap;
    return p;
}

void attach_attention(const AttentionSet& set) {
    attention_set_in_use = &set;
    plain_types[0] = api.ggml_backend_cpu_buffer_type();
    alignas(64) static char memory[64];
    Buffer* mapped = api.ggml_backend_cpu_buffer_from_ptr(memory, sizeof memory);
    plain_types[1] = mapped->type;
    api.ggml_backend_buffer_free(mapped);
    for (int i = 0; i < kPlainTypes; i++) {
        plain_alloc[i] = plain_types[i]->alloc_buffer;
        plain_types[i]->alloc_buffer = marking_alloc;
    }
}

void detach_attention() {
    for (int i = 0; i < kPlainTypes; i++)
        if (plain_types[i]->alloc_buffer == marking_alloc) plain_types[i]->alloc_buffer = plain_alloc[i];
    attention_set_in_use = nullptr;
}

void offer_attention(bool on) { offered = on; }

ggml::TensorTraits* attention_traits(const Tensor* op) {
    return op->op == ggml::kOpFlashAttnExt && attention_set_in_use && takes(op) ? &traits : nullptr;
}

}  // namespace hd::kernels
