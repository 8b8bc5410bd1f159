// A read-only tier in memory, for replays without a store: followers sorted by the hash of their key.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "follower_source.hpp"
#include "slots.hpp"

namespace hd {

class SortedTier : public FollowerSource {
  public:
    struct Key {
        uint64_t hash;
        uint32_t first;  // of its followers
        uint32_t total;
    };

    // `keys` ascend by hash; a key's followers end where the next key's begin.
    SortedTier(std::vector<Key> keys, std::vector<Follower> followers)
        : keys_(std::move(keys)), followers_(std::move(followers)), start_((size_t{1} << top_bits) + 1) {
        size_t at = 0;
        for (size_t top = 0; top < start_.size(); top++) {
            while (at < keys_.size() && (keys_[at].hash >> (64 - top_bits)) < top) at++;
            start_[top] = at;
        }
    }

    Lookup find(const int32_t* end, int available, int length, FollowerList& out) const override {
        const KeyHashes hashes(end, std::min(available, length));
        if (available < length || hashes.known == 0) return Lookup::absent;
        const uint64_t hash = hashes.of[hashes.known - 1];
        const size_t top = hash >> (64 - top_bits);
        const auto last = keys_.begin() + static_cast<std::ptrdiff_t>(start_[top + 1]);
        const auto at = std::lower_bound(keys_.begin() + static_cast<std::ptrdiff_t>(start_[top]), last, hash,
                                         [](const Key& key, uint64_t value) { return key.hash < value; });
        if (at == last || at->hash != hash) return Lookup::absent;
        const auto next = at + 1;
        const size_t until = next == keys_.end() ? followers_.size() : next->first;
        out = {followers_.data() + at->first, static_cast<int>(until - at->first), at->total};
        return Lookup::present;
    }

  private:
    static constexpr int top_bits = 16;
    std::vector<Key> keys_;
    std::vector<Follower> followers_;
    std::vector<size_t> start_;  // per top bits: the first key
};

}  // namespace hd
