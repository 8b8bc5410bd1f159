// Logistic mixing of adaptive counters: how likely is each candidate token at a node?
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "calibrator.hpp"
#include "draft_tree.hpp"
#include "slots.hpp"

namespace hd {

constexpr int kMaxCandidates = 48;

// What the tiers say at one node of the tree: the candidate tokens, and for each the cell of every slot.
struct Expansion {
    int n = 0;
    int32_t token[kMaxCandidates];
    Tier tier[kMaxCandidates];              // the highest tier that knows the candidate
    uint16_t cell[kSlots][kMaxCandidates];  // 0: the slot does not know the key
    uint16_t miss[kSlots];                  // the cell of candidates the slot does not name
    float z[kMaxCandidates];                // log-odds of the weighted sum
    float raw[kMaxCandidates];              // the mixer's chance, what learning compares with the outcome
    float chance[kMaxCandidates];           // scaled down where siblings sum to more than 1
    int first_set = 0;                      // weight sets, see Mixer
    int second_set = 0;
    int curve = 0;  // of the Calibrator
};

// P = calibrate(bias + sum over slots of (w1[first_set] + w2[second_set]) * logit(cell)); after PAQ's mixing of
// contexts (Mahoney 2005), with the sets, rates and caps of the project's replay study (docs/planner.md). Cells and
// weights are learned online from every node whose outcome is known.
class Mixer {
  public:
    // depth (4) x longest context key {none,1,2,3,4,6+} x tiers asked {1,2,3}; again for nodes that the drafter knows
    static constexpr int kPlainFirst = 4 * 6 * 3, kFirstSets = 2 * kPlainFirst;
    // longest key of model or statistics {none,1,2,3,4,6,8} x longest recycled key {none,1,2,3}; again
    static constexpr int kPlainSecond = 7 * 4, kSecondSets = 2 * kPlainSecond;

    Mixer();

    // Fills raw and chance; returns the highest chance, 0 without candidates.
    float predict(Expansion& node) const;
    // The target drew `token` at this node.
    void learn(const Expansion& node, int32_t token);
    // Step size of the weights before decay; default 0.003, training starts at 0.01.
    void set_rate(float rate) { rate_ = rate; }
    // Forgets how much the weights and the calibrator were trained: a loaded calibration adapts to a new target
    // quickly.
    void restart_rates();

    std::vector<uint8_t> save() const;
    // "" or what is wrong with the bytes (nothing is changed then). A calibration of before there was a drafter is
    // taken: what concerns the drafter begins anew beside it.
    std::string load(const uint8_t* data, size_t size);

  private:
    static constexpr int kBias = kSlots;
    static constexpr int kWidth = kSlots + 1;
    struct Cell {
        float chance = 0.1F;
        float logit = 0;
        uint16_t n = 0;
    };
    struct Weights {
        float of[kWidth] = {};
        uint32_t updates = 0;
    };

    void begin_drafter();
    void update(Cell& cell, uint16_t cap, float outcome);
    float step(const Weights& set) const;

    std::vector<Cell> cells_;
    std::vector<Weights> first_;
    std::vector<Weights> second_;
    Calibrator calibrator_;
    float rate_ = 0.003F;
};

}  // namespace hd
