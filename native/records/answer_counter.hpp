// Records of one finished answer, for the model tier: every n-gram counts once per answer, as in Hierarchy Drafting
// (arXiv 2502.05609, section 3.2: document frequency of the target's own outputs).
#pragma once

#include <cstdint>
#include <vector>

#include "record_builder.hpp"

namespace hd {

class AnswerCounter {
  public:
    explicit AnswerCounter(int32_t n_vocab);
    AnswerCounter(const AnswerCounter&) = delete;  // builder_ points back here
    AnswerCounter& operator=(const AnswerCounter&) = delete;

    // N-grams whose last token stands at `start` or later; their keys (1, 2, 3, 4, 6 tokens) may begin before it.
    // Throws std::invalid_argument if a token is outside the vocabulary.
    std::vector<KeyedRecord> records(const int32_t* tokens, int64_t size, int64_t start);

  private:
    int32_t n_vocab_;
    std::vector<KeyedRecord> records_;
    RecordBuilder builder_;
};

}  // namespace hd
