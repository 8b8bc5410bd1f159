#include "recycler.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace hd {

namespace {

constexpr int kLanes = 16;
constexpr int kBlock = 256;
constexpr float kNegligible = 12;  // a block whose best lies so far below the row's adds less than 0.2 % to the sum

float max_of(const float* values, int n) {
    float best[kLanes];
    std::fill(best, best + kLanes, -INFINITY);
    int i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        for (int lane = 0; lane < kLanes; lane++) best[lane] = std::max(best[lane], values[i + lane]);
    }
    for (; i < n; i++) best[0] = std::max(best[0], values[i]);
    return *std::max_element(best, best + kLanes);
}

// Sum of exp(value - top): 2^x through the bits of a float (Schraudolph 1999); the mean error of the sum is under 2 %,
// and the counters that read the probabilities are coarser than that.
float exp_sum(const float* values, int n, float top) {
    constexpr float kScale = 12102203.0F;  // 2^23 / ln 2
    constexpr float kOffset = 1065353216.0F - 486411.0F;
    float sum[kLanes] = {};
    int i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        for (int lane = 0; lane < kLanes; lane++) {
            const float x = std::max((values[i + lane] - top) * kScale + kOffset, 0.0F);
            const auto bits = static_cast<int32_t>(x);
            float power;
            std::memcpy(&power, &bits, sizeof power);
            sum[lane] += power;
        }
    }
    float total = 0;
    for (float lane : sum) total += lane;
    for (; i < n; i++) total += std::exp(values[i] - top);
    return total;
}

}  // namespace

void top_of_row(const float* logits, int32_t n_vocab, RecycledRow& out) {
    std::fill(out.token, out.token + kRecycledWidth, -1);
    std::fill(out.chance, out.chance + kRecycledWidth, 0.0F);
    float best[kRecycledWidth];
    std::fill(best, best + kRecycledWidth, -INFINITY);
    thread_local std::vector<float> block_best;
    block_best.clear();
    for (int32_t from = 0; from < n_vocab; from += kBlock) {
        const int32_t size = std::min(kBlock, n_vocab - from);
        block_best.push_back(max_of(logits + from, size));
        if (!(block_best.back() > best[kRecycledWidth - 1])) continue;
        for (int32_t id = from; id < from + size; id++) {
            if (!(logits[id] > best[kRecycledWidth - 1])) continue;
            int at = kRecycledWidth - 1;
            for (; at > 0 && logits[id] > best[at - 1]; at--) {
                best[at] = best[at - 1];
                out.token[at] = out.token[at - 1];
            }
            best[at] = logits[id];
            out.token[at] = id;
        }
    }
    if (out.token[0] < 0 || !std::isfinite(best[0])) {
        out.token[0] = -1;  // a row of NaN or -inf says nothing
        return;
    }
    float total = 0;
    for (size_t i = 0; i < block_best.size(); i++) {
        const auto from = static_cast<int32_t>(i) * kBlock;
        if (block_best[i] < best[0] - kNegligible) continue;
        total += exp_sum(logits + from, std::min(kBlock, n_vocab - from), best[0]);
    }
    for (int i = 0; i < kRecycledWidth && out.token[i] >= 0; i++) out.chance[i] = std::exp(best[i] - best[0]) / total;
}

Recycler::Recycler() : table_(kSets * kWays) {}

void Recycler::clear() {
    std::fill(table_.begin(), table_.end(), Entry{});
    clock_ = 0;
}

const RecycledRow* Recycler::find(const KeyHashes& key, int length_index) const {
    if (length_index >= key.known) return nullptr;
    const uint64_t hash = key.of[length_index];
    const Entry* set = set_of(hash);
    for (size_t way = 0; way < kWays; way++) {
        if (set[way].key == hash) return &set[way].row;
    }
    return nullptr;
}

namespace {

RecycledRow average(const RecycledRow& old, const RecycledRow& fresh) {
    struct Both {
        int32_t token;
        float chance;
    } both[2 * kRecycledWidth];
    int n = 0;
    for (int i = 0; i < kRecycledWidth && old.token[i] >= 0; i++) both[n++] = {old.token[i], old.chance[i] * 0.5F};
    for (int i = 0; i < kRecycledWidth && fresh.token[i] >= 0; i++) {
        Both* const same = std::find_if(both, both + n, [&](const Both& b) { return b.token == fresh.token[i]; });
        if (same == both + n) both[n++] = {fresh.token[i], 0.0F};
        same->chance += fresh.chance[i] * 0.5F;
    }
    std::stable_sort(both, both + n, [](const Both& a, const Both& b) { return a.chance > b.chance; });
    RecycledRow out{};
    for (int i = 0; i < kRecycledWidth; i++) {
        out.token[i] = i < n ? both[i].token : -1;
        out.chance[i] = i < n ? both[i].chance : 0.0F;
    }
    return out;
}

}  // namespace

void Recycler::store(const KeyHashes& key, const RecycledRow& row) {
    if (row.token[0] < 0) return;
    clock_++;
    for (int i = 0; i < std::min(key.known, kRecycledSlots); i++) {
        auto* const set = const_cast<Entry*>(set_of(key.of[i]));
        Entry* place = std::find_if(set, set + kWays, [&](const Entry& e) { return e.key == key.of[i]; });
        if (place == set + kWays) {
            place = std::min_element(set, set + kWays, [](const Entry& a, const Entry& b) { return a.age < b.age; });
            place->row = row;
            place->key = key.of[i];
        } else {
            place->row = average(place->row, row);
        }
        place->age = clock_;
    }
}

}  // namespace hd
