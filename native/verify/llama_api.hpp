// The dozen functions of llama.cpp that we call, resolved at run time from the library llama_cpp has loaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

namespace hd {

// Mirror of llama_batch, the one struct that crosses by value. hd_edge/backend/api.py compares its size and every
// offset with llama_cpp's own description before anything is called.
struct LlamaBatch {
    int32_t n_tokens;
    int32_t* token;
    float* embd;
    int32_t* pos;
    int32_t* n_seq_id;
    int32_t** seq_id;
    int8_t* logits;
};

std::unordered_map<std::string, size_t> llama_batch_layout();

// Plain function pointers: tests hand over functions of their own.
struct LlamaApi {
    using Abort = bool (*)(void*);

    int32_t (*decode)(void* ctx, LlamaBatch batch) = nullptr;
    float* (*get_logits_ith)(void* ctx, int32_t row) = nullptr;
    bool (*memory_seq_rm)(void* memory, int32_t seq, int32_t from, int32_t to) = nullptr;
    void (*memory_seq_cp)(void* memory, int32_t source, int32_t target, int32_t from, int32_t to) = nullptr;
    void (*memory_seq_keep)(void* memory, int32_t seq) = nullptr;
    int32_t (*memory_seq_pos_min)(void* memory, int32_t seq) = nullptr;
    int32_t (*memory_seq_pos_max)(void* memory, int32_t seq) = nullptr;
    void (*set_abort_callback)(void* ctx, Abort callback, void* data) = nullptr;

    // Throws std::invalid_argument that names the missing function.
    explicit LlamaApi(const std::unordered_map<std::string, uintptr_t>& addresses);
};

}  // namespace hd
