#include "mixer.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace hd {

namespace {

constexpr float kStartWeight = 0.25F;
constexpr float kBiasShare = 0.3F;     // the bias learns slower than the weights
constexpr float kRateFloor = 0.05F;    // share of the rate that decay leaves
constexpr float kDecayUpdates = 3000;  // a set's rate falls with 1 / sqrt(1 + updates / this)
constexpr uint16_t kHitCap = 500, kMissCap = 2000;
constexpr uint16_t kLoadedCount = 100;  // what a point of a loaded calibrator counts for
constexpr float kLeastChance = 0.0004F;
constexpr float kDrafterWeight = 1.0F;  // of what the drafter says, at the beginning
constexpr float kBesideDrafter = 0.5F;  // share of the other weights that is left beside it
constexpr float kUnsaid = 0.15F;        // of the chance that the drafter leaves, for a candidate it does not name
constexpr uint16_t kDrafterCount = 16;  // what a cell's first chance counts for

float logit(float chance) {
    const float p = std::clamp(chance, kLeastChance, 1 - kLeastChance);
    return std::log(p / (1 - p));
}

}  // namespace

Mixer::Mixer() : cells_(kCells), first_(kFirstSets), second_(kSecondSets) {
    for (Cell& cell : cells_) cell.logit = logit(cell.chance);
    cells_[0].logit = 0;
    for (Weights& set : first_) std::fill(set.of, set.of + kSlots, kStartWeight);
    begin_drafter();
}

// The drafter says chances itself, and they are nearly right: its cells begin with them, and where it speaks, the
// other sources count less than where they are alone.
void Mixer::begin_drafter() {
    for (int i = 0; i < kDrafterCells; i++) {
        const float said = said_chance(i % kSaidChances);
        Cell& cell = cells_[static_cast<size_t>(kDrafterCell + i)];
        cell.chance = i < kDrafterHits ? said : kUnsaid * (1 - said);
        cell.logit = logit(cell.chance);
        cell.n = kDrafterCount;
    }
    const auto beside = [](std::vector<Weights>& sets, size_t plain, float weight) {
        for (size_t i = 0; i < plain; i++) {
            Weights& set = sets[plain + i];
            set = sets[i];
            for (float& of : set.of) of *= kBesideDrafter;
            set.of[kDrafterSlot] = weight;
            set.updates = 0;
        }
    };
    beside(first_, kPlainFirst, kDrafterWeight);
    beside(second_, kPlainSecond, 0.0F);
}

float Mixer::predict(Expansion& node) const {
    const Weights& first = first_[static_cast<size_t>(node.first_set)];
    const Weights& second = second_[static_cast<size_t>(node.second_set)];
    float* const z = node.z;
    std::fill(z, z + node.n, first.of[kBias] + second.of[kBias]);
    for (int slot = 0; slot < kSlots; slot++) {
        if (node.miss[slot] == 0 && slot != kUnigramSlot) continue;
        const float weight = first.of[slot] + second.of[slot];
        for (int i = 0; i < node.n; i++) z[i] += weight * cells_[node.cell[slot][i]].logit;
    }
    float sum = 0;
    float best = 0;
    for (int i = 0; i < node.n; i++) {
        node.raw[i] = 1 / (1 + std::exp(-z[i]));
        node.chance[i] = calibrator_.calibrate(node.curve, z[i]);
        sum += node.chance[i];
        best = std::max(best, node.chance[i]);
    }
    // Siblings cannot all come true, but chances that are right each for itself sum to more than 1 where many are
    // small: half way, in logarithms, is nearest to what came true.
    const float scale = sum > 1 ? 1 / std::sqrt(sum) : 1;
    for (int i = 0; i < node.n; i++) node.chance[i] *= scale;
    return best * scale;
}

float Mixer::step(const Weights& set) const {
    const float decay = 1 / std::sqrt(1 + static_cast<float>(set.updates) / kDecayUpdates);
    return rate_ * std::max(decay, kRateFloor);
}

void Mixer::update(Cell& cell, uint16_t cap, float outcome) {
    cell.chance += (outcome - cell.chance) / (static_cast<float>(cell.n) + 1.5F);
    if (cell.n < cap) cell.n++;
}

void Mixer::learn(const Expansion& node, int32_t token) {
    if (node.n == 0) return;
    Weights& first = first_[static_cast<size_t>(node.first_set)];
    Weights& second = second_[static_cast<size_t>(node.second_set)];
    const float first_step = step(first);
    const float second_step = step(second);
    float error[kMaxCandidates];
    float error_sum = 0;
    int hit = -1;
    for (int i = 0; i < node.n; i++) {
        if (node.token[i] == token) hit = i;
        error[i] = (i == hit ? 1.0F : 0.0F) - node.raw[i];
        error_sum += error[i];
        calibrator_.learn(node.curve, node.z[i], i == hit ? 1.0F : 0.0F);
    }
    first.of[kBias] += first_step * kBiasShare * error_sum;
    second.of[kBias] += second_step * kBiasShare * error_sum;
    for (int slot = 0; slot < kSlots; slot++) {
        if (node.miss[slot] == 0 && slot != kUnigramSlot) continue;
        const uint16_t* const cell = node.cell[slot];
        float gradient = 0;
        for (int i = 0; i < node.n; i++) gradient += error[i] * cells_[cell[i]].logit;
        first.of[slot] += first_step * gradient;
        second.of[slot] += second_step * gradient;
        for (int i = 0; i < node.n; i++) {
            const bool missed = cell[i] == node.miss[slot];
            update(cells_[cell[i]], missed ? kMissCap : kHitCap, i == hit ? 1.0F : 0.0F);
        }
        for (int i = 0; i < node.n; i++) {
            if (cell[i] != node.miss[slot]) cells_[cell[i]].logit = logit(cells_[cell[i]].chance);
        }
        Cell& missed = cells_[node.miss[slot]];
        if (node.miss[slot] != 0) missed.logit = logit(missed.chance);
    }
    first.updates++;
    second.updates++;
}

void Mixer::restart_rates() {
    for (Weights& set : first_) set.updates = 0;
    for (Weights& set : second_) set.updates = 0;
    for (uint16_t& count : calibrator_.counts()) count = std::min(count, kLoadedCount);
}

// The file: magic, then chance (16 bits) and count (16 bits) of each cell, the same for the points of the calibrator's
// curves (chances as floats), then the weights and update counts of all sets. Little-endian, as every machine that
// llama.cpp runs on.

namespace {

constexpr char kMagic[8] = {'h', 'd', 'm', 'i', 'x', '0', '4', '\n'};
constexpr char kBefore[8] = {'h', 'd', 'm', 'i', 'x', '0', '3', '\n'};  // without a drafter

template <typename T>
void put(std::vector<uint8_t>& out, const T& value) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
    out.insert(out.end(), bytes, bytes + sizeof value);
}

template <typename T>
T take(const uint8_t*& from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    from += sizeof value;
    return value;
}

}  // namespace

std::vector<uint8_t> Mixer::save() const {
    std::vector<uint8_t> out;
    for (char c : kMagic) out.push_back(static_cast<uint8_t>(c));
    put(out, static_cast<uint32_t>(kCells));
    put(out, static_cast<uint32_t>(kFirstSets + kSecondSets));
    for (const Cell& cell : cells_) put(out, static_cast<uint16_t>(cell.chance * 65535.0F + 0.5F));
    for (const Cell& cell : cells_) put(out, cell.n);
    for (float chance : calibrator_.chances()) put(out, chance);
    for (uint16_t count : calibrator_.counts()) put(out, count);
    for (const auto* sets : {&first_, &second_}) {
        for (const Weights& set : *sets) {
            for (float weight : set.of) put(out, weight);
            put(out, set.updates);
        }
    }
    return out;
}

std::string Mixer::load(const uint8_t* data, size_t size) {
    const bool before = size >= sizeof kBefore && std::memcmp(data, kBefore, sizeof kBefore) == 0;
    const int slots = before ? kDrafterSlot : kSlots;
    const size_t cells = before ? kDrafterCell : kCells;
    const size_t points = (before ? Calibrator::kPlain : Calibrator::kCurves) * Calibrator::kPoints;
    const size_t first = before ? kPlainFirst : kFirstSets;
    const size_t second = before ? kPlainSecond : kSecondSets;
    const size_t set_bytes = static_cast<size_t>(slots + 1) * sizeof(float) + sizeof(uint32_t);
    const size_t want = sizeof kMagic + 8 + cells * 4 + points * 6 + (first + second) * set_bytes;
    if (size != want) {
        return "the calibration has " + std::to_string(size) + " bytes, this version's has " + std::to_string(want);
    }
    if (!before && std::memcmp(data, kMagic, sizeof kMagic) != 0) {
        return "the calibration does not start with 'hdmix04'";
    }
    const uint8_t* from = data + sizeof kMagic;
    const auto its_cells = take<uint32_t>(from);
    const auto its_sets = take<uint32_t>(from);
    if (its_cells != cells || its_sets != first + second) {
        return "the calibration has " + std::to_string(its_cells) + " cells and " + std::to_string(its_sets) +
               " weight sets, this version's has " + std::to_string(cells) + " and " + std::to_string(first + second);
    }
    Mixer fresh;
    for (size_t i = 0; i < cells; i++) {
        fresh.cells_[i].chance = static_cast<float>(take<uint16_t>(from)) / 65535.0F;
    }
    for (size_t i = 0; i < cells; i++) {
        Cell& cell = fresh.cells_[i];
        cell.n = std::min(take<uint16_t>(from), kMissCap);
        cell.logit = logit(cell.chance);
    }
    fresh.cells_[0].logit = 0;
    for (size_t i = 0; i < points; i++) {
        float& chance = fresh.calibrator_.chances()[i];
        chance = take<float>(from);
        if (!(chance >= 0 && chance <= 1)) return "the calibration holds a chance outside [0, 1]";
    }
    for (size_t i = 0; i < points; i++) fresh.calibrator_.counts()[i] = take<uint16_t>(from);
    const auto take_sets = [&](std::vector<Weights>& sets, size_t n) {
        for (size_t i = 0; i < n; i++) {
            for (int slot = 0; slot <= slots; slot++) {
                const float weight = take<float>(from);
                if (!std::isfinite(weight) || std::abs(weight) > 100) return false;
                sets[i].of[slot < slots ? slot : kBias] = weight;
            }
            sets[i].updates = take<uint32_t>(from);
        }
        return true;
    };
    if (!take_sets(fresh.first_, first) || !take_sets(fresh.second_, second)) {
        return "the calibration holds a wild weight";
    }
    if (before) fresh.begin_drafter();
    cells_ = fresh.cells_;
    first_ = fresh.first_;
    second_ = fresh.second_;
    calibrator_ = fresh.calibrator_;
    return "";
}

}  // namespace hd
