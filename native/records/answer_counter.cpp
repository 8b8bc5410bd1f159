#include "answer_counter.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace hd {

namespace {
constexpr RecordRules kAnswerRules{true, 1, 4};
}

AnswerCounter::AnswerCounter(int32_t n_vocab)
    : n_vocab_(n_vocab), builder_(n_vocab, kAnswerRules, [this](int64_t key, const NgramRecord& record) {
          records_.push_back({key, record});
      }) {}

std::vector<KeyedRecord> AnswerCounter::records(const int32_t* tokens, int64_t size, int64_t start) {
    for (int64_t i = 0; i < size; i++) {
        if (tokens[i] < 0 || tokens[i] >= n_vocab_) throw std::invalid_argument("token outside the vocabulary");
    }
    struct Entry {
        Window window;
        bool single;
    };
    std::vector<Entry> entries;
    const int64_t first = std::max<int64_t>(start, 1);
    for (int64_t i = std::max<int64_t>(start, 2); i <= size; i++) {
        // The pair before position i is also an n-gram of one token and its follower, if that follower is new.
        entries.push_back({window_before(tokens + i, i, i < size ? tokens[i] : -1), i - 1 >= first});
    }
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.window < b.window; });
    for (const Entry& entry : entries) builder_.add(entry.window, 1, entry.single);
    builder_.finish();
    return std::exchange(records_, {});
}

}  // namespace hd
