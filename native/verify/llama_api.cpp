#include "llama_api.hpp"

#include <stdexcept>

namespace hd {

std::unordered_map<std::string, size_t> llama_batch_layout() {
    return {{"sizeof", sizeof(LlamaBatch)},           {"n_tokens", offsetof(LlamaBatch, n_tokens)},
            {"token", offsetof(LlamaBatch, token)},   {"embd", offsetof(LlamaBatch, embd)},
            {"pos", offsetof(LlamaBatch, pos)},       {"n_seq_id", offsetof(LlamaBatch, n_seq_id)},
            {"seq_id", offsetof(LlamaBatch, seq_id)}, {"logits", offsetof(LlamaBatch, logits)}};
}

LlamaApi::LlamaApi(const std::unordered_map<std::string, uintptr_t>& addresses) {
    const auto take = [&](const char* name, auto& function) {
        const auto found = addresses.find(name);
        if (found == addresses.end() || found->second == 0) {
            throw std::invalid_argument(std::string("no address for ") + name);
        }
        function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(found->second);
    };
    take("llama_decode", decode);
    take("llama_get_logits_ith", get_logits_ith);
    take("llama_memory_seq_rm", memory_seq_rm);
    take("llama_memory_seq_cp", memory_seq_cp);
    take("llama_memory_seq_keep", memory_seq_keep);
    take("llama_memory_seq_pos_min", memory_seq_pos_min);
    take("llama_memory_seq_pos_max", memory_seq_pos_max);
    take("llama_set_abort_callback", set_abort_callback);
}

}  // namespace hd
