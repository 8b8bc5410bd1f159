// One record of a tier's file: the followers of a short key and of all longer keys that end in it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hd {

// A record is found by its last token (one level) or by its last two (level 0 is the pair itself). Levels 1 to 4 of a
// pair record are the longer keys. Every list but the first hangs below one that is a level shorter.
constexpr int kLevels = 5;
constexpr std::array<int, kLevels> kContextLengths = {2, 3, 4, 6, 8};
constexpr int kMaxExtra = 6;  // tokens of the longest key in front of the pair
constexpr int kMaxFollowers = 8;
// Bounds of a record, so that no file, however large or hostile, can make one look-up slow.
constexpr int kMaxLists = 4096;
constexpr size_t kMaxRecordBytes = 256 * 1024;

struct Follower {
    int32_t token;
    uint32_t count;
};

// `extra` reads backwards from the pair: extra[0] stands right before it.
struct NgramList {
    int level = 0;
    std::array<int32_t, kMaxExtra> extra{};
    uint32_t total = 0;  // of all followers ever seen, not only of those kept
    int size = 0;
    std::array<Follower, kMaxFollowers> followers{};  // highest count first

    int extra_tokens() const { return kContextLengths[static_cast<size_t>(level)] - 2; }
};

// Lists in pre-order, level 0 first; empty for a record that is not there.
using NgramRecord = std::vector<NgramList>;

// INTEGER PRIMARY KEY of the file. `end` points one past the last token; a length of 1 names the record of the last
// token alone, any other the record of the last two.
inline int64_t ngram_key(const int32_t* end, int length) {
    if (length == 1) return end[-1];
    return (static_cast<int64_t>(end[-2]) + 1) << 32 | end[-1];
}
inline bool is_pair_key(int64_t key) { return key >> 32 != 0; }
// Appends a number as LEB128.
void put_number(std::vector<uint8_t>& out, uint32_t value);
// "" or why no record can have this key.
std::string check_key(int64_t key, int32_t n_vocab);

// Reads a record. Returns "" or what is wrong with it (then `out` is empty): every id, length, level and count is
// checked.
std::string decode_record(int64_t key, const uint8_t* data, size_t size, int32_t n_vocab, NgramRecord& out);
// A record of these lists, in any order, one key each. A list whose shorter key is not among them gets one like itself
// above it.
NgramRecord make_record(std::vector<NgramList> lists);
// Writes a record that decode_record() accepts; the caller keeps the bounds (see trim_record).
std::vector<uint8_t> encode_record(const NgramRecord& record);
// Adds up the counts of two records of one key; where counts tie, followers of `newer` stay.
NgramRecord merge_records(const NgramRecord& older, const NgramRecord& newer);
// Drops the rarest long keys until the record keeps its bounds. A list never goes before those below it.
void trim_record(NgramRecord& record);
// Keeps the kMaxFollowers highest of `candidates` in `list`; order among equals is that of `candidates`.
void set_followers(NgramList& list, std::vector<Follower>& candidates);

}  // namespace hd
