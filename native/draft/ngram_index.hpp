// The context tier: every n-gram of the conversation so far (and of a predicted text), with counts and recency.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "slots.hpp"

namespace hd {

struct ContextFollower {
    int32_t token;
    uint32_t count;
    uint32_t last;  // position of its latest occurrence after the key
};

// The followers of one key: `total` occurrences, the (up to 8) best kept, in no order.
struct ContextFollowers {
    const ContextFollower* data = nullptr;
    int size = 0;
    uint32_t total = 0;
};

// Maps the last 1, 2, 3, 4, 6 and 8 tokens to the tokens that followed them, in one open-addressing table keyed by
// 64-bit hashes (a collision would cost a bad draft, never a wrong text). When a key has eight followers the least
// counted, oldest one makes room. Memory is bounded: beyond `max_tokens` the older half of the conversation is
// forgotten.
class NgramIndex {
  public:
    NgramIndex(int32_t n_vocab, int max_tokens);

    // The conversation is now `tokens` (n of them): keeps what is known of the common prefix, forgets the rest, learns
    // the new. Drops the predicted text.
    void begin(const int32_t* tokens, int n);
    // A text that the answer is expected to resemble; stands before the conversation, dropped by the next begin().
    void set_prediction(const int32_t* tokens, int n);
    void append(int32_t token);

    int size() const { return static_cast<int>(tokens_.size()); }
    const std::vector<int32_t>& tokens() const { return tokens_; }
    ContextFollowers find(const KeyHashes& key, int length_index) const;
    uint32_t count(int32_t token) const { return seen_[static_cast<size_t>(token)].count; }
    // Positions since the token occurred last; only where count() is not 0.
    uint32_t distance(int32_t token) const { return position_ - seen_[static_cast<size_t>(token)].last; }

    size_t memory_bytes() const;
    // "" if the table holds exactly what the indexed tokens say, else what is wrong.
    std::string check_integrity() const;

  private:
    struct Entry {
        uint64_t key;
        uint32_t total;
        uint16_t size;
        uint16_t pad;
        uint32_t block;          // of several_, when size > 1
        ContextFollower single;  // when size is 1
    };
    struct Block {
        ContextFollower of[kContextFollowers];
    };
    struct Seen {
        uint32_t count;
        uint32_t last;
    };

    void rebuild();
    void relearn();
    void forget();
    void learn(const int32_t* end, int available, int32_t token);
    void grow_table(size_t entries);
    const Entry* lookup(uint64_t key) const;
    void count_follower(Entry& entry, int32_t token);

    size_t max_tokens_;
    std::vector<int32_t> tokens_;
    std::vector<int32_t> prediction_;
    size_t indexed_from_ = 0;  // older tokens were forgotten
    uint32_t position_ = 0;    // predicted and indexed tokens learned so far
    std::vector<Entry> table_;
    size_t used_ = 0;
    std::vector<Block> several_;
    std::vector<Seen> seen_;
};

}  // namespace hd
