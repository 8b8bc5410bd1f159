// llama.cpp's functions, as a test makes those that it is about.
#pragma once

#include "verify/llama_api.hpp"

struct FakeFunctions {
    decltype(hd::LlamaApi::decode) decode;
    decltype(hd::LlamaApi::get_logits_ith) logits;
    decltype(hd::LlamaApi::memory_seq_rm) rm;
    decltype(hd::LlamaApi::memory_seq_cp) cp;
    decltype(hd::LlamaApi::memory_seq_keep) keep;
    decltype(hd::LlamaApi::memory_seq_pos_min) pos_min;
    decltype(hd::LlamaApi::memory_seq_pos_max) pos_max;
};

inline hd::LlamaApi fake_api(const FakeFunctions& fake) {
    const auto at = [](auto* function) { return reinterpret_cast<uintptr_t>(function); };
    void (*const abort)(void*, hd::LlamaApi::Abort, void*) = [](void*, hd::LlamaApi::Abort, void*) {};
    return hd::LlamaApi({{"llama_decode", at(fake.decode)},
                         {"llama_get_logits_ith", at(fake.logits)},
                         {"llama_memory_seq_rm", at(fake.rm)},
                         {"llama_memory_seq_cp", at(fake.cp)},
                         {"llama_memory_seq_keep", at(fake.keep)},
                         {"llama_memory_seq_pos_min", at(fake.pos_min)},
                         {"llama_memory_seq_pos_max", at(fake.pos_max)},
                         {"llama_set_abort_callback", at(abort)}});
}
