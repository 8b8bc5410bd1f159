#include "mixer.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace hd {

namespace {

constexpr float start_weight = 0.25F;
constexpr float bias_share = 0.3F;     // the bias learns slower than the weights
constexpr float rate_floor = 0.05F;    // share of the rate that decay leaves
constexpr float decay_updates = 3000;  // a set's rate falls with 1 / sqrt(1 + updates / this)
constexpr uint16_t hit_cap = 500, miss_cap = 2000;
constexpr uint16_t loaded_count = 100;  // what a point of a loaded refiner counts for
constexpr float least_chance = 0.0004F;

float stretch(float chance) {
    const float p = std::clamp(chance, least_chance, 1 - least_chance);
    return std::log(p / (1 - p));
}

}  // namespace

Mixer::Mixer() : cells_(n_cells), first_(first_sets), second_(second_sets) {
    for (Cell& cell : cells_) cell.stretch = stretch(cell.chance);
    cells_[0].stretch = 0;
    for (Weights& set : first_) std::fill(set.of, set.of + n_slots, start_weight);
}

float Mixer::predict(Expansion& node) const {
    const Weights& first = first_[static_cast<size_t>(node.first_set)];
    const Weights& second = second_[static_cast<size_t>(node.second_set)];
    float* const z = node.z;
    std::fill(z, z + node.n, first.of[bias] + second.of[bias]);
    for (int slot = 0; slot < n_slots; slot++) {
        if (node.miss[slot] == 0 && slot != unigram_slot) continue;
        const float weight = first.of[slot] + second.of[slot];
        for (int i = 0; i < node.n; i++) z[i] += weight * cells_[node.cell[slot][i]].stretch;
    }
    float sum = 0;
    float best = 0;
    for (int i = 0; i < node.n; i++) {
        node.raw[i] = 1 / (1 + std::exp(-z[i]));
        node.chance[i] = refiner_.refine(node.curve, z[i]);
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
    const float decay = 1 / std::sqrt(1 + static_cast<float>(set.updates) / decay_updates);
    return rate_ * std::max(decay, rate_floor);
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
    float error[max_candidates];
    float error_sum = 0;
    int hit = -1;
    for (int i = 0; i < node.n; i++) {
        if (node.token[i] == token) hit = i;
        error[i] = (i == hit ? 1.0F : 0.0F) - node.raw[i];
        error_sum += error[i];
        refiner_.learn(node.curve, node.z[i], i == hit ? 1.0F : 0.0F);
    }
    first.of[bias] += first_step * bias_share * error_sum;
    second.of[bias] += second_step * bias_share * error_sum;
    for (int slot = 0; slot < n_slots; slot++) {
        if (node.miss[slot] == 0 && slot != unigram_slot) continue;
        const uint16_t* const cell = node.cell[slot];
        float gradient = 0;
        for (int i = 0; i < node.n; i++) gradient += error[i] * cells_[cell[i]].stretch;
        first.of[slot] += first_step * gradient;
        second.of[slot] += second_step * gradient;
        for (int i = 0; i < node.n; i++) {
            const bool missed = cell[i] == node.miss[slot];
            update(cells_[cell[i]], missed ? miss_cap : hit_cap, i == hit ? 1.0F : 0.0F);
        }
        for (int i = 0; i < node.n; i++) {
            if (cell[i] != node.miss[slot]) cells_[cell[i]].stretch = stretch(cells_[cell[i]].chance);
        }
        Cell& missed = cells_[node.miss[slot]];
        if (node.miss[slot] != 0) missed.stretch = stretch(missed.chance);
    }
    first.updates++;
    second.updates++;
}

void Mixer::restart_rates() {
    for (Weights& set : first_) set.updates = 0;
    for (Weights& set : second_) set.updates = 0;
    for (uint16_t& count : refiner_.counts()) count = std::min(count, loaded_count);
}

// The file: magic, then chance (16 bits) and count (16 bits) of each cell, the same for the points of the refiner's
// curves (chances as floats), then the weights and update counts of all sets.
// sets. Little-endian, as every machine that llama.cpp runs on.

namespace {

constexpr char magic[8] = {'h', 'd', 'm', 'i', 'x', '0', '3', '\n'};

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
    for (char c : magic) out.push_back(static_cast<uint8_t>(c));
    put(out, static_cast<uint32_t>(n_cells));
    put(out, static_cast<uint32_t>(first_sets + second_sets));
    for (const Cell& cell : cells_) put(out, static_cast<uint16_t>(cell.chance * 65535.0F + 0.5F));
    for (const Cell& cell : cells_) put(out, cell.n);
    for (float chance : refiner_.chances()) put(out, chance);
    for (uint16_t count : refiner_.counts()) put(out, count);
    for (const auto* sets : {&first_, &second_}) {
        for (const Weights& set : *sets) {
            for (float weight : set.of) put(out, weight);
            put(out, set.updates);
        }
    }
    return out;
}

std::string Mixer::load(const uint8_t* data, size_t size) {
    constexpr size_t cell_bytes = 4, set_bytes = width * sizeof(float) + sizeof(uint32_t);
    constexpr size_t want = sizeof magic + 8 + n_cells * cell_bytes + Refiner::curves * Refiner::points * 6 +
                            (first_sets + second_sets) * set_bytes;
    if (size != want) {
        return "the calibration has " + std::to_string(size) + " bytes, this version's has " + std::to_string(want);
    }
    if (std::memcmp(data, magic, sizeof magic) != 0) return "the calibration does not start with 'hdmix03'";
    const uint8_t* from = data + sizeof magic;
    const auto cells = take<uint32_t>(from);
    const auto sets = take<uint32_t>(from);
    if (cells != n_cells || sets != first_sets + second_sets) {
        return "the calibration has " + std::to_string(cells) + " cells and " + std::to_string(sets) +
               " weight sets, this version's has " + std::to_string(n_cells) + " and " +
               std::to_string(first_sets + second_sets);
    }
    Mixer fresh;
    for (Cell& cell : fresh.cells_) cell.chance = static_cast<float>(take<uint16_t>(from)) / 65535.0F;
    for (Cell& cell : fresh.cells_) {
        cell.n = std::min(take<uint16_t>(from), miss_cap);
        cell.stretch = stretch(cell.chance);
    }
    fresh.cells_[0].stretch = 0;
    for (float& chance : fresh.refiner_.chances()) {
        chance = take<float>(from);
        if (!(chance >= 0 && chance <= 1)) return "the calibration holds a chance outside [0, 1]";
    }
    for (uint16_t& count : fresh.refiner_.counts()) count = take<uint16_t>(from);
    for (auto* group : {&fresh.first_, &fresh.second_}) {
        for (Weights& set : *group) {
            for (float& weight : set.of) {
                weight = take<float>(from);
                if (!std::isfinite(weight) || std::abs(weight) > 100) return "the calibration holds a wild weight";
            }
            set.updates = take<uint32_t>(from);
        }
    }
    cells_ = fresh.cells_;
    first_ = fresh.first_;
    second_ = fresh.second_;
    refiner_ = fresh.refiner_;
    return "";
}

}  // namespace hd
