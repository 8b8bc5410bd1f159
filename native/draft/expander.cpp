#include "expander.hpp"

#include <algorithm>

namespace hd {

namespace {

constexpr float kLikely = 0.5F;  // no lower tier is asked beside a candidate as likely as this

// Every candidate so far misses this slot until its followers say otherwise.
void open_slot(int slot, uint16_t miss, Expansion& node) {
    node.miss[slot] = miss;
    std::fill(node.cell[slot], node.cell[slot] + node.n, miss);
}

}  // namespace

void Expander::expand(const Tail& tail, int depth, float path_chance, int said, Expansion& node) {
    node.n = 0;
    std::fill(node.miss, node.miss + kSlots, static_cast<uint16_t>(0));
    const int first_depth = depth_bucket(depth) * 6;
    const bool forecast = forecast_.known(said);
    int longest_context = 0, longest_recycled = 0, longest_tier = 0, asked = 0;
    model_missing = statistics_missing = {};

    const auto weigh = [&] {
        for (int i = 0; i < kContextSlots; i++) {
            if (node.miss[kContextSlot + i] != 0) longest_context = std::min(i + 1, 5);
        }
        for (int i = 0; i < kRecycledSlots; i++) {
            if (node.miss[kRecycledSlot + i] != 0) longest_recycled = i + 1;
        }
        for (int i = 0; i < kStatisticsSlots; i++) {
            const bool by_model = i < kModelSlots && node.miss[kModelSlot + i] != 0;
            if (by_model || node.miss[kStatisticsSlot + i] != 0) longest_tier = i + 1;
        }
        node.first_set = (forecast ? Mixer::kPlainFirst : 0) + (first_depth + longest_context) * 3 + asked;
        node.second_set = (forecast ? Mixer::kPlainSecond : 0) + longest_tier * 4 + longest_recycled;
        node.curve = Calibrator::curve_of(path_chance, asked, forecast);
        return mixer_.predict(node);
    };

    if (context_) {
        const KeyHashes key(tail.end(), tail.known);
        ask_context(key, depth, node);
        if (!recycler_.empty()) ask_recycled(key, depth, node);
    }
    if (forecast) ask_forecast(said, depth, node);
    float best = weigh();
    if (model_ != nullptr && best < kLikely) {
        model_missing = ask_tier(*model_, tail, depth, Tier::model, node);
        asked = 1;
        best = weigh();
    }
    if (statistics_ != nullptr && best < kLikely) {
        statistics_missing = ask_tier(*statistics_, tail, depth, Tier::statistics, node);
        asked = 2;
        weigh();
    }
}

void Expander::ask_context(const KeyHashes& key, int depth, Expansion& node) const {
    for (int i = kContextSlots - 1; i >= 0; i--) {
        const ContextFollowers list = index_.find(key, i);
        if (list.size == 0) continue;
        const int slot = kContextSlot + i;
        open_slot(slot, context_miss(i, depth, list.total, list.size), node);
        uint32_t latest = 0;
        for (int f = 0; f < list.size; f++) latest = std::max(latest, list.data[f].last);
        for (int f = 0; f < list.size; f++) {
            const ContextFollower& follower = list.data[f];
            const int at = place_of(follower.token, Tier::context, depth, node);
            if (at < 0) break;
            node.cell[slot][at] = context_hit(i, depth, follower.count, list.total, follower.last == latest);
        }
    }
}

void Expander::ask_recycled(const KeyHashes& key, int depth, Expansion& node) const {
    for (int i = kRecycledSlots - 1; i >= 0; i--) {
        const RecycledRow* row = recycler_.find(key, i);
        if (row == nullptr) continue;
        const int slot = kRecycledSlot + i;
        open_slot(slot, recycled_miss(i, depth, row->chance[0]), node);
        for (int rank = 0; rank < kRecycledWidth && row->token[rank] >= 0; rank++) {
            const int at = place_of(row->token[rank], Tier::context, depth, node);
            if (at < 0) break;
            node.cell[slot][at] = recycled_hit(i, depth, rank, row->chance[rank]);
        }
    }
}

void Expander::ask_forecast(int said, int depth, Expansion& node) const {
    float best = 0;
    for (int at = forecast_.at(said).child; at >= 0; at = forecast_.at(at).next) {
        best = std::max(best, forecast_.at(at).chance);
    }
    open_slot(kDrafterSlot, drafter_miss(depth, best), node);
    for (int at = forecast_.at(said).child; at >= 0; at = forecast_.at(at).next) {
        const Forecast::Word& word = forecast_.at(at);
        const int place = place_of(word.token, Tier::drafter, depth, node);
        if (place < 0) break;
        node.cell[kDrafterSlot][place] = drafter_hit(depth, word.kind, word.chance);
    }
}

MissingKeys Expander::ask_tier(const TierCache& source, const Tail& tail, int depth, Tier tier, Expansion& node) const {
    MissingKeys missing;
    const bool model = tier == Tier::model;
    const int cell = model ? kModelCell : kStatisticsCell;
    for (int i = (model ? kModelSlots : kStatisticsSlots) - 1; i >= 0; i--) {
        FollowerList list{};
        if (tail.known < kKeyLengths[i]) continue;
        const Lookup answer = source.find(tail.end(), tail.known, kKeyLengths[i], list);
        if (answer == Lookup::unknown) (i == 0 ? missing.single : missing.pair) = true;
        if (answer != Lookup::present || list.size == 0) continue;
        const int slot = (model ? kModelSlot : kStatisticsSlot) + i;
        open_slot(slot, tier_miss(cell, i, depth, list.total, list.size), node);
        for (int f = 0; f < std::min(list.size, kContextFollowers); f++) {
            const int at = place_of(list.data[f].token, tier, depth, node);
            if (at < 0) break;
            node.cell[slot][at] = tier_hit(cell, i, depth, list.data[f].count, list.total);
        }
    }
    return missing;
}

// Where the candidate stands in `node`; -1 when the node is full.
int Expander::place_of(int32_t token, Tier tier, int depth, Expansion& node) const {
    const int32_t* const same = std::find(node.token, node.token + node.n, token);
    if (same != node.token + node.n) return static_cast<int>(same - node.token);
    if (node.n == kMaxCandidates) return -1;
    const int at = node.n++;
    node.token[at] = token;
    node.tier[at] = tier;
    for (int slot = 0; slot < kSlots; slot++) node.cell[slot][at] = node.miss[slot];
    const uint32_t count = index_.count(token);
    node.cell[kUnigramSlot][at] = unigram_hit(depth, count, count > 0 ? index_.distance(token) : 0);
    return at;
}

}  // namespace hd
