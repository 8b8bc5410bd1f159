#include "../self_test.hpp"

#include <thread>

#include "../test_graph.hpp"
#include "hook.hpp"
#include "reference.hpp"

namespace hd::kernels {
namespace {

using ggml::api;
using ggml::Tensor;

constexpr int kThreads = 2;
constexpr double kTolerance = 1e-5;

struct Case {
    CellType k, v;
    int64_t size, cells, rows, kv_heads, group, streams;
    float softcap, max_bias;
    bool sinks;
};

constexpr Case kCases[] = {
    {CellType::f16, CellType::f16, 128, 300, 3, 2, 1, 1, 0, 0, false},
    {CellType::q8_0, CellType::q8_0, 64, 300, 9, 3, 3, 1, 0, 0, true},
    {CellType::bf16, CellType::f32, 80, 140, 2, 2, 2, 2, 30, 0, false},
    {CellType::f32, CellType::bf16, 256, 40, 2, 4, 1, 1, 0, 8, false},
};

// Cells of random numbers.
void fill_cells(Tensor* t, CellType type, Random& random) {
    const int64_t vectors = t->ne[1] * t->ne[2] * t->ne[3], bytes = vector_bytes(type, t->ne[0]);
    std::vector<int8_t> numbers(static_cast<size_t>(t->ne[0]));
    std::vector<char> data(static_cast<size_t>(vectors * bytes));
    for (int64_t i = 0; i < vectors; i++) {
        for (auto& x : numbers) x = static_cast<int8_t>(random.byte() % 255 - 127);
        reference::encode(type, numbers.data(), t->ne[0], data.data() + i * bytes);
    }
    api.ggml_backend_tensor_set(t, data.data(), 0, data.size());
}

void fill_floats(Tensor* t, Random& random) {
    std::vector<float> data(api.ggml_nbytes(t) / sizeof(float));
    for (auto& x : data) x = random.unit() * 2;
    api.ggml_backend_tensor_set(t, data.data(), 0, data.size() * sizeof(float));
}

// Rows see all cells but some; the last row, which is computed alone as well, has the same mask there.
void fill_mask(Tensor* t, bool slopes, Random& random) {
    std::vector<uint16_t> data(api.ggml_nbytes(t) / 2);
    for (size_t i = 0; i < data.size(); i++)
        data[i] = random.byte() < 60 ? kHidden : reference::to_half(slopes ? -static_cast<float>(i % 7 + 1) : 0.0f);
    api.ggml_backend_tensor_set(t, data.data(), 0, data.size() * 2);
}

const char* test_case(const Case& c) {
    Resources r;
    ggml::Context *cache = r.context(2), *rest = r.context(8);
    if (!cache || !rest) return "no memory";
    Tensor* k = api.ggml_new_tensor_4d(cache, layout(c.k).ggml_type, c.size, c.cells, c.kv_heads, c.streams);
    Tensor* v = api.ggml_new_tensor_4d(cache, layout(c.v).ggml_type, c.size, c.cells, c.kv_heads, c.streams);
    offer_attention(true);
    const bool allocated = r.allocate(cache, api.ggml_backend_cpu_buffer_type());
    offer_attention(false);
    const int64_t heads = c.kv_heads * c.group;
    Tensor* q = api.ggml_new_tensor_4d(rest, ggml::kTypeF32, c.size, c.rows, heads, c.streams);
    Tensor* mask = api.ggml_new_tensor_4d(rest, ggml::kTypeF16, c.cells, c.rows, 1, c.streams);
    Tensor* one_q = api.ggml_new_tensor_4d(rest, ggml::kTypeF32, c.size, 1, heads, c.streams);
    Tensor* one_mask = api.ggml_new_tensor_4d(rest, ggml::kTypeF16, c.cells, 1, 1, c.streams);
    Tensor* sinks = c.sinks ? api.ggml_new_tensor_2d(rest, ggml::kTypeF32, heads, 1) : nullptr;
    Tensor* all = api.ggml_flash_attn_ext(rest, q, k, v, mask, 0.2f, c.max_bias, c.softcap);
    Tensor* alone = api.ggml_flash_attn_ext(rest, one_q, k, v, one_mask, 0.2f, c.max_bias, c.softcap);
    ggml::Graph* graph = api.ggml_new_graph(rest);
    for (Tensor* t : {all, alone}) {
        if (sinks) api.ggml_flash_attn_ext_add_sinks(t, sinks);
        api.ggml_build_forward_expand(graph, t);
    }
    if (!allocated || !r.allocate(rest, api.ggml_backend_cpu_buffer_type())) return "no memory";
    if (!attention_traits(all) || !attention_traits(alone)) return "buffers are not marked";

    Random random;
    fill_cells(k, c.k, random);
    fill_cells(v, c.v, random);
    fill_floats(q, random);
    fill_mask(mask, c.max_bias > 0, random);
    if (sinks) fill_floats(sinks, random);
    const int64_t last = c.rows - 1;
    for (int64_t s = 0; s < c.streams; s++) {
        for (int64_t h = 0; h < heads; h++)
            std::memcpy(static_cast<char*>(one_q->data) + h * static_cast<int64_t>(one_q->nb[2]) +
                            s * static_cast<int64_t>(one_q->nb[3]),
                        static_cast<char*>(q->data) + last * static_cast<int64_t>(q->nb[1]) +
                            h * static_cast<int64_t>(q->nb[2]) + s * static_cast<int64_t>(q->nb[3]),
                        q->nb[1]);
        std::memcpy(static_cast<char*>(one_mask->data) + s * static_cast<int64_t>(one_mask->nb[3]),
                    static_cast<char*>(mask->data) + last * static_cast<int64_t>(mask->nb[1]) +
                        s * static_cast<int64_t>(mask->nb[3]),
                    mask->nb[1]);
    }

    if (const char* problem = r.compute(graph, kThreads)) return problem;
    const Problem p = problem_of(all), single = problem_of(alone);
    for (int64_t s = 0; s < c.streams; s++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t row = 0; row < c.rows; row++) {
                if (!(reference::error_of(p, s, h, row) < kTolerance))
                    return "attention differs from a computation in double precision";
                if (row == last &&
                    std::memcmp(p.result(s, h / c.group, row * c.group + h % c.group),
                                single.result(s, h / c.group, h % c.group), static_cast<size_t>(c.size) * 4))
                    return "attention of a row depends on its company";
            }
    return nullptr;
}

}  // namespace

const char* test_attention() {
    const char* problem = nullptr;
    // A thread of its own: what the CPU backend starts for it ends with it, and a forked child misses nothing.
    std::thread([&] {
        for (const Case& c : kCases)
            if (!problem) problem = test_case(c);
    }).join();
    return problem;
}

}  // namespace hd::kernels
