// Recycled rows: the target's own top tokens after the last 1, 2 and 3 tokens, from every row that was verified.
#pragma once

#include <cstdint>
#include <vector>

#include "slots.hpp"

namespace hd {

struct RecycledRow {
    int32_t token[kRecycledWidth];  // most probable first, -1 where there is none
    float chance[kRecycledWidth];
};

// The `width` most probable tokens of a row of `n_vocab` logits, and their softmax probabilities (within 2 %).
// Equal logits: the lower id first. Reads the row twice; several independent lanes, so that it vectorises anywhere.
void top_of_row(const float* logits, int32_t n_vocab, RecycledRow& out);

// A set-associative table of fixed size (Token Recycling, arXiv 2408.08696, with n-gram keys as in STAND, arXiv
// 2506.04708): a new row is averaged half and half with the stored one; the oldest of four ways makes room.
class Recycler {
  public:
    Recycler();
    void store(const KeyHashes& key, const RecycledRow& row);
    const RecycledRow* find(const KeyHashes& key, int length_index) const;
    void clear();
    bool empty() const { return clock_ == 0; }
    size_t memory_bytes() const { return table_.capacity() * sizeof(Entry); }

  private:
    static constexpr size_t kWays = 4;
    static constexpr size_t kSets = 1 << 14;
    struct Entry {
        uint64_t key;
        uint32_t age;
        RecycledRow row;
    };
    const Entry* set_of(uint64_t key) const { return &table_[((key >> 9) % kSets) * kWays]; }

    std::vector<Entry> table_;
    uint32_t clock_ = 0;
};

}  // namespace hd
