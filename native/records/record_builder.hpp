// Turns n-grams in sorted order into the records of a tier's file.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "ngram_record.hpp"

namespace hd {

// One position of a text: the pair before it, up to six tokens before that (backwards, -1 beyond the start of the
// text), and the token at the position (-1: the text ends here). In this order windows sort to records in key order,
// with all longer keys of a record as contiguous groups.
using Window = std::array<int32_t, 2 + kMaxExtra + 1>;
constexpr size_t kWindowContext = 2 + kMaxExtra;
// Reads backwards from `end` (one past the last token of the context) at most `available` >= 2 tokens.
Window window_before(const int32_t* end, int64_t available, int32_t follower);

// A record and the key that it is found by.
struct KeyedRecord {
    int64_t key;
    NgramRecord lists;
};

struct RecordRules {
    bool once = false;       // count a follower once per key (per answer), not per occurrence
    uint32_t min_count = 1;  // keys of three tokens and more that were seen less often are left out
    int levels = kLevels;    // longest key, see kContextLengths
};

class RecordBuilder {
  public:
    using Emit = std::function<void(int64_t key, const NgramRecord& record)>;
    RecordBuilder(int32_t n_vocab, RecordRules rules, Emit emit);

    // Windows in ascending order, ids in [-1, n_vocab). `single`: the pair also counts as an n-gram of its first token.
    void add(const Window& window, uint32_t count, bool single = true);
    // Emits what is open, then the records of single tokens. Ready for other windows afterwards.
    void finish();

  private:
    // Followers of one key while its group is open: a count per token of the vocabulary, and which are not zero.
    struct Tally {
        std::vector<uint32_t> count;
        std::vector<int32_t> touched;
    };
    void count_follower(Tally& tally, int32_t token, uint32_t count) const;
    void close(Tally& tally, NgramList& list);
    void close_levels(int from);
    void close_row();

    RecordRules rules_;
    Emit emit_;
    bool open_ = false;
    Window last_{};
    std::array<Tally, kLevels> tallies_;
    std::array<size_t, kLevels> list_of_{};  // where the open list of each level stands in record_
    int levels_ = 0;                         // levels open now
    NgramRecord record_;
    Tally single_;
    std::vector<std::pair<int64_t, NgramList>> singles_;
    std::vector<Follower> candidates_;
};

}  // namespace hd
