#include "vocabulary.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <limits>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace hd {

Vocabulary::Vocabulary(const std::unordered_map<std::string, uintptr_t>& addresses, uintptr_t vocab, int32_t n_tokens)
    : vocab_(reinterpret_cast<const void*>(vocab)), n_tokens_(n_tokens) {
    const auto take = [&](const char* name, auto& function) {
        const auto found = addresses.find(name);
        if (found == addresses.end() || found->second == 0) {
            throw std::invalid_argument(std::string("no address for ") + name);
        }
        function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(found->second);
    };
    take("llama_vocab_get_text", get_text_);
    take("llama_vocab_get_score", get_score_);
    take("llama_vocab_get_attr", get_attr_);
    take("llama_tokenize", tokenize_);
}

std::string Vocabulary::table() const {
    std::string table;
    table.reserve(static_cast<size_t>(n_tokens_) * 16);
    for (int32_t token = 0; token < n_tokens_; token++) {
        const char* text = get_text_(vocab_, token);
        const float score = get_score_(vocab_, token);
        const int32_t attributes = get_attr_(vocab_, token);
        char numbers[sizeof(score) + sizeof(attributes)];
        std::memcpy(numbers, &score, sizeof(score));
        std::memcpy(numbers + sizeof(score), &attributes, sizeof(attributes));
        table.append(text == nullptr ? "" : text).push_back('\0');
        table.append(numbers, sizeof(numbers));
    }
    return table;
}

std::vector<int32_t> Vocabulary::tokenize(std::string_view text) const {
    // One token per four bytes is usual; where that is too few, llama.cpp says how many it takes.
    if (text.size() >= std::numeric_limits<int32_t>::max() / 2) throw std::invalid_argument("text too long");
    const auto size = static_cast<int32_t>(text.size());
    std::vector<int32_t> tokens(text.size() / 3 + 16);
    int32_t n = tokenize_(vocab_, text.data(), size, tokens.data(), static_cast<int32_t>(tokens.size()), false, false);
    if (n < 0 && n != std::numeric_limits<int32_t>::min()) {
        tokens.resize(static_cast<size_t>(-n));
        n = tokenize_(vocab_, text.data(), size, tokens.data(), static_cast<int32_t>(tokens.size()), false, false);
    }
    if (n < 0) throw std::runtime_error("llama_tokenize failed");
    tokens.resize(static_cast<size_t>(n));
    return tokens;
}

std::vector<std::vector<int32_t>> Vocabulary::tokenize(const std::vector<std::string_view>& texts, int threads) const {
    std::vector<std::vector<int32_t>> all(texts.size());
    std::vector<std::exception_ptr> failed(std::clamp<size_t>(texts.size(), 1, static_cast<size_t>(threads)));
    std::atomic<size_t> next{0};
    const auto work = [&](size_t worker) {
        try {
            for (size_t i = next++; i < texts.size(); i = next++) all[i] = tokenize(texts[i]);
        } catch (...) {
            failed[worker] = std::current_exception();
        }
    };
    std::vector<std::thread> others;
    others.reserve(failed.size());
    try {
        for (size_t i = 1; i < failed.size(); i++) others.emplace_back(work, i);
    } catch (const std::system_error&) {
        // No more threads to be had: those there are do all of it.
    }
    work(0);
    for (std::thread& other : others) other.join();
    for (const std::exception_ptr& error : failed) {
        if (error) std::rethrow_exception(error);
    }
    return all;
}

}  // namespace hd
