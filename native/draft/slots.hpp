// The mixer's inputs ("slots": one source with one key length) and the numbering of the adaptive counters ("cells")
// behind them: one cell per slot and match quality. Buckets after the project's replay study, see docs/planner.md.
#pragma once

#include <algorithm>
#include <cstdint>

#include "forecast.hpp"

namespace hd {

constexpr int kKeyLengthCount = 6;
constexpr int kKeyLengths[kKeyLengthCount] = {1, 2, 3, 4, 6, 8};
constexpr int kMaxKeyLength = 8;

constexpr int kContextSlots = 6;     // key lengths 1 2 3 4 6 8
constexpr int kRecycledSlots = 3;    // 1 2 3
constexpr int kModelSlots = 5;       // 1 2 3 4 6
constexpr int kStatisticsSlots = 6;  // 1 2 3 4 6 8
constexpr int kContextSlot = 0;
constexpr int kRecycledSlot = kContextSlot + kContextSlots;
constexpr int kModelSlot = kRecycledSlot + kRecycledSlots;
constexpr int kStatisticsSlot = kModelSlot + kModelSlots;
constexpr int kUnigramSlot = kStatisticsSlot + kStatisticsSlots;
constexpr int kDrafterSlot = kUnigramSlot + 1;
constexpr int kSlots = kDrafterSlot + 1;

constexpr int kRecycledWidth = 8;     // tokens kept of a recycled row
constexpr int kContextFollowers = 8;  // tokens kept of a key

// Cells of one slot; the hits come first, then the misses (the key is known, the candidate is none of its followers).
constexpr int kContextHits = 4 * 4 * 4 * 2, kContextCells = kContextHits + 4 * 4 * 2;
constexpr int kRecycledHits = 4 * 8 * 7, kRecycledCells = kRecycledHits + 4 * 7;
constexpr int kTierHits = 2 * 6 * 8, kTierCells = kTierHits + 2 * 6 * 2;
constexpr int kUnigramCells = 4 * 6 * 4;
constexpr int kSaidChances = 13;
constexpr int kDrafterHits = 4 * kSaidKinds * kSaidChances, kDrafterCells = kDrafterHits + 4 * kSaidChances;

// Cell 0 stands for "this slot does not know the key": its input is always 0.
constexpr int kContextCell = 1;
constexpr int kRecycledCell = kContextCell + kContextSlots * kContextCells;
constexpr int kModelCell = kRecycledCell + kRecycledSlots * kRecycledCells;
constexpr int kStatisticsCell = kModelCell + kModelSlots * kTierCells;
constexpr int kUnigramCell = kStatisticsCell + kStatisticsSlots * kTierCells;
constexpr int kDrafterCell = kUnigramCell + kUnigramCells;
constexpr int kCells = kDrafterCell + kDrafterCells;
static_assert(kCells < 65536, "cell numbers are kept in 16 bits");

inline int depth_bucket(int depth) { return depth < 2 ? depth : depth < 4 ? 2 : 3; }
inline int small_bucket(uint32_t count) { return count < 3 ? static_cast<int>(count) - 1 : count < 5 ? 2 : 3; }
inline int rest_bucket(uint32_t rest) { return rest < 2 ? static_cast<int>(rest) : rest < 4 ? 2 : 3; }

inline int count_bucket(uint32_t count) {
    return count < 3 ? static_cast<int>(count) - 1 : count < 5 ? 2 : count < 9 ? 3 : count < 21 ? 4 : 5;
}

inline int share_bucket(float share) {
    constexpr float kEdges[7] = {.03F, .08F, .15F, .3F, .5F, .75F, .95F};
    int bucket = 0;
    while (bucket < 7 && share >= kEdges[bucket]) bucket++;
    return bucket;
}

inline int chance_bucket(float chance) {
    constexpr float kEdges[6] = {.01F, .03F, .1F, .3F, .6F, .9F};
    int bucket = 0;
    while (bucket < 6 && chance >= kEdges[bucket]) bucket++;
    return bucket;
}

// The drafter's chances are right where the edges are close (docs/planner.md): what it is sure of comes true.
inline int said_bucket(float chance) {
    constexpr float kEdges[kSaidChances - 1] = {.02F, .05F, .1F, .2F, .3F, .4F, .5F, .6F, .7F, .8F, .9F, .97F};
    int bucket = 0;
    while (bucket < kSaidChances - 1 && chance >= kEdges[bucket]) bucket++;
    return bucket;
}

// The middle of a bucket: what the drafter's cells begin with.
inline float said_chance(int bucket) {
    constexpr float kMiddles[kSaidChances] = {.01F, .035F, .07F, .15F, .25F, .35F, .45F,
                                              .55F, .65F,  .75F, .85F, .94F, .985F};
    return kMiddles[bucket];
}

inline uint16_t context_hit(int slot, int depth, uint32_t count, uint32_t total, bool latest) {
    const int quality = (depth_bucket(depth) * 4 + small_bucket(count)) * 4 + rest_bucket(total - count);
    return static_cast<uint16_t>(kContextCell + slot * kContextCells + quality * 2 + (latest ? 1 : 0));
}

inline uint16_t context_miss(int slot, int depth, uint32_t total, int followers) {
    const int quality = (depth_bucket(depth) * 4 + small_bucket(total)) * 2 + (followers == 1 ? 1 : 0);
    return static_cast<uint16_t>(kContextCell + slot * kContextCells + kContextHits + quality);
}

inline uint16_t recycled_hit(int slot, int depth, int rank, float chance) {
    const int quality = (depth_bucket(depth) * 8 + rank) * 7 + chance_bucket(chance);
    return static_cast<uint16_t>(kRecycledCell + slot * kRecycledCells + quality);
}

inline uint16_t recycled_miss(int slot, int depth, float best_chance) {
    const int quality = depth_bucket(depth) * 7 + chance_bucket(best_chance);
    return static_cast<uint16_t>(kRecycledCell + slot * kRecycledCells + kRecycledHits + quality);
}

// `cell` is model_cell or statistics_cell.
inline uint16_t tier_hit(int cell, int slot, int depth, uint32_t count, uint32_t total) {
    const float share = static_cast<float>(count) / static_cast<float>(std::max(total, 1U));
    const int quality = ((depth < 2 ? 0 : 1) * 6 + count_bucket(std::max(count, 1U))) * 8 + share_bucket(share);
    return static_cast<uint16_t>(cell + slot * kTierCells + quality);
}

inline uint16_t tier_miss(int cell, int slot, int depth, uint32_t total, int followers) {
    const int quality = ((depth < 2 ? 0 : 1) * 6 + count_bucket(std::max(total, 1U))) * 2 + (followers == 1 ? 1 : 0);
    return static_cast<uint16_t>(cell + slot * kTierCells + kTierHits + quality);
}

inline uint16_t unigram_hit(int depth, uint32_t count, uint32_t distance) {
    const int often = count < 3 ? static_cast<int>(count) : count < 5 ? 3 : count < 11 ? 4 : 5;
    const int far = count == 0 ? 3 : distance < 6 ? 0 : distance < 40 ? 1 : distance < 200 ? 2 : 3;
    return static_cast<uint16_t>(kUnigramCell + (depth_bucket(depth) * 6 + often) * 4 + far);
}

inline uint16_t drafter_hit(int depth, Said kind, float chance) {
    const int quality = (depth_bucket(depth) * kSaidKinds + static_cast<int>(kind)) * kSaidChances;
    return static_cast<uint16_t>(kDrafterCell + quality + said_bucket(chance));
}

inline uint16_t drafter_miss(int depth, float best_chance) {
    return static_cast<uint16_t>(kDrafterCell + kDrafterHits + depth_bucket(depth) * kSaidChances +
                                 said_bucket(best_chance));
}

// Hashes of the last 1, 2, 3, 4, 6 and 8 tokens; `known` of them exist (the text may be shorter).
struct KeyHashes {
    uint64_t of[kKeyLengthCount];
    int known;

    // `end` is one past the last token, `available` tokens stand before it.
    KeyHashes(const int32_t* end, int available) : of{}, known(0) {
        uint64_t hash = 0x9e3779b97f4a7c15ULL;
        for (int length = 1; length <= std::min(available, kMaxKeyLength); length++) {
            hash = (hash ^ (static_cast<uint64_t>(static_cast<uint32_t>(end[-length])) + 1)) * 0xd6e8feb86659fd93ULL;
            hash ^= hash >> 32;
            if (length == kKeyLengths[known]) of[known++] = hash | 1;  // never 0, which marks a free place
        }
    }
};

}  // namespace hd
