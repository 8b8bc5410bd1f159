// A llama.cpp vocabulary, seen through the functions of the library that llama_cpp has loaded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace hd {

class Vocabulary {
  public:
    // `vocab` is a llama_vocab*, which must outlive this object. Throws std::invalid_argument for a missing function.
    Vocabulary(const std::unordered_map<std::string, uintptr_t>& addresses, uintptr_t vocab, int32_t n_tokens);

    // Every token's text, score and attributes, one after the other: what two equal tokenizers have in common.
    std::string table() const;
    // Plain text: no special tokens are added, none are recognised. Reentrant. Throws std::runtime_error on failure.
    std::vector<int32_t> tokenize(std::string_view text) const;
    // The same for many texts on `threads` threads.
    std::vector<std::vector<int32_t>> tokenize(const std::vector<std::string_view>& texts, int threads) const;
    int32_t n_tokens() const { return n_tokens_; }

  private:
    const void* vocab_;
    int32_t n_tokens_;
    const char* (*get_text_)(const void* vocab, int32_t token) = nullptr;
    float (*get_score_)(const void* vocab, int32_t token) = nullptr;
    int32_t (*get_attr_)(const void* vocab, int32_t token) = nullptr;
    int32_t (*tokenize_)(const void* vocab, const char* text, int32_t size, int32_t* tokens, int32_t most,
                         bool add_special, bool parse_special) = nullptr;
};

}  // namespace hd
