// What the self-tests share: random numbers, the memory of a small graph, reading a result.
#pragma once

#include <vector>

#include "ggml_abi.hpp"

namespace hd::kernels {

struct Random {
    uint32_t state = 1;
    uint32_t next() { return state = state * 1664525U + 1013904223U; }
    uint8_t byte() { return static_cast<uint8_t>(next() >> 24); }
    float unit() { return static_cast<float>(next() >> 8) / 8388608.0f - 1.0f; }
};

// Contexts and buffers of one test, freed in any case.
struct Resources {
    std::vector<ggml::Context*> contexts;
    std::vector<ggml::Buffer*> buffers;
    void* backend = nullptr;

    ggml::Context* context(size_t tensors) {
        const size_t bytes = ggml::api.ggml_tensor_overhead() * tensors + ggml::api.ggml_graph_overhead();
        contexts.push_back(ggml::api.ggml_init({bytes, nullptr, true}));
        return contexts.back();
    }
    bool allocate(ggml::Context* c, ggml::BufferType* type) {
        ggml::Buffer* buffer = ggml::api.ggml_backend_alloc_ctx_tensors_from_buft(c, type);
        if (buffer) buffers.push_back(buffer);
        return buffer != nullptr;
    }
    // nullptr, or why there are no results.
    const char* compute(ggml::Graph* graph, int threads) {
        backend = ggml::api.ggml_backend_cpu_init();
        if (!backend) return "no CPU backend";
        ggml::api.ggml_backend_cpu_set_n_threads(backend, threads);
        return ggml::api.ggml_backend_graph_compute(backend, graph) == ggml::kSuccess ? nullptr : "the graph failed";
    }
    ~Resources() {
        if (backend) ggml::api.ggml_backend_free(backend);
        for (ggml::Buffer* b : buffers) ggml::api.ggml_backend_buffer_free(b);
        for (ggml::Context* c : contexts)
            if (c) ggml::api.ggml_free(c);
    }
};

inline std::vector<float> read(const ggml::Tensor* t) {
    std::vector<float> out(ggml::api.ggml_nbytes(t) / sizeof(float));
    ggml::api.ggml_backend_tensor_get(t, out.data(), 0, ggml::api.ggml_nbytes(t));
    return out;
}

}  // namespace hd::kernels
