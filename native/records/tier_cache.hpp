// Decoded records of one tier, in memory: all that the hot path ever reads of a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "ngram_record.hpp"

namespace hd {

// Stays valid until the next put() or clear().
struct FollowerList {
    const Follower* data = nullptr;
    int size = 0;
    uint32_t total = 0;
};

enum class Lookup : uint8_t {
    absent,   // the tier holds nothing for this key
    present,  // the list is filled
    unknown,  // the record is not here: fetch it from the file, put() it, ask again
};

class TierCache {
  public:
    TierCache(int32_t n_vocab, size_t budget_bytes);
    TierCache(const TierCache&) = delete;  // finders keep pointers to it
    TierCache& operator=(const TierCache&) = delete;

    // Followers of the last `length` tokens (1, 2, 3, 4, 6 or 8). `end` points one past the last of `available` tokens.
    // Tokens outside the vocabulary are absent. A record asked for is kept longer.
    Lookup find(const int32_t* end, int available, int length, FollowerList& out) const;
    static int64_t key(const int32_t* end, int length) { return ngram_key(end, length); }
    bool known(int64_t key) const { return complete_ || slot_of_.count(key) != 0; }

    // Takes a record of the file; size 0 says that there is none. Returns "" or what is wrong with the record, which
    // then counts as absent. Throws nothing but bad_alloc.
    std::string put(int64_t key, const uint8_t* blob, size_t size);
    void clear();
    // Every record of the file is here: what is not known is absent. Ends when a record has to go.
    void set_complete() { complete_ = true; }
    bool complete() const { return complete_; }

    size_t memory_bytes() const { return bytes_; }
    size_t records() const { return slot_of_.size(); }
    int32_t n_vocab() const { return n_vocab_; }

  private:
    struct List {
        uint32_t total;
        uint32_t first;  // index of its first follower
        int32_t size;
    };
    struct Hash {
        uint32_t check;
        uint32_t list;  // 0: empty, list 0 is never hashed
    };
    // One key of the file; `lists` empty if the file has none.
    struct Record {
        int64_t key = -1;
        mutable bool used = false;
        std::vector<List> lists;
        std::vector<Follower> followers;
        std::vector<Hash> table;  // of the longer keys; its size is a power of two

        size_t bytes() const;
    };

    void make_room(size_t bytes);

    int32_t n_vocab_;
    size_t budget_;
    size_t bytes_ = 0;
    bool complete_ = false;
    std::unordered_map<int64_t, uint32_t> slot_of_;
    std::vector<std::unique_ptr<Record>> slots_;
    std::vector<uint32_t> free_;
    size_t hand_ = 0;  // of the clock that evicts
    NgramRecord scratch_;
};

}  // namespace hd
