// The last stage of the mixer: bends its chances to how often they came true.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace hd {

// One curve per chance of the node's own path, tiers asked and whether the drafter was: chance as a function of the
// log-odds that the weighted sum gave, as points that are interpolated and learned (the adaptive probability map of
// PAQ, Mahoney 2005). Without it the chances of unlikely candidates (0.1 to 0.2) come true four to eight points more
// often than they say; and what follows an unlikely node that came true is likelier than its sources know, because the
// text has begun to repeat.
class Calibrator {
  public:
    static constexpr int kPaths = 4;           // the root, a likely node, a middling one, an unlikely one
    static constexpr int kPlain = kPaths * 3;  // curves without the drafter
    static constexpr int kCurves = 2 * kPlain;
    static constexpr int kPoints = 33;

    Calibrator() : chance_(kCurves * kPoints), count_(kCurves * kPoints, 0) {
        for (size_t i = 0; i < chance_.size(); i++) {
            const auto point = static_cast<float>(i % kPoints);
            chance_[i] = 1 / (1 + std::exp(-(point / kPerUnit - kReach)));
        }
    }

    // The curve for candidates below a node of this path chance (1: the root), with 0 to 2 lower tiers asked.
    static int curve_of(float path_chance, int asked, bool drafter) {
        const int path = path_chance >= 1 ? 0 : path_chance >= 0.5F ? 1 : path_chance >= 0.2F ? 2 : 3;
        return (drafter ? kPlain : 0) + path * 3 + asked;
    }

    float calibrate(int curve, float z) const {
        const Place place = place_of(curve, z);
        return chance_[place.low] + place.share * (chance_[place.low + 1] - chance_[place.low]);
    }

    void learn(int curve, float z, float outcome) {
        const Place place = place_of(curve, z);
        move(place.low, 1 - place.share, outcome);
        move(place.low + 1, place.share, outcome);
    }

    std::vector<float>& chances() { return chance_; }
    std::vector<uint16_t>& counts() { return count_; }
    const std::vector<float>& chances() const { return chance_; }
    const std::vector<uint16_t>& counts() const { return count_; }

  private:
    static constexpr float kReach = 8;  // log-odds covered: -8 to 8
    static constexpr float kPerUnit = static_cast<float>(kPoints - 1) / (2 * kReach);
    static constexpr float kFirstWeight = 20;  // the straight line it starts from counts as so many events
    static constexpr uint16_t kCap = 1000;     // events after which a point moves at a constant rate

    struct Place {
        size_t low;
        float share;  // of the point above
    };

    static Place place_of(int curve, float z) {
        const float at = (std::clamp(z, -kReach, kReach - 1e-3F) + kReach) * kPerUnit;
        const auto low = static_cast<int>(at);
        return {static_cast<size_t>(curve * kPoints + low), at - static_cast<float>(low)};
    }

    void move(size_t point, float share, float outcome) {
        chance_[point] += share * (outcome - chance_[point]) / (static_cast<float>(count_[point]) + kFirstWeight);
        if (count_[point] < kCap) count_[point]++;
    }

    std::vector<float> chance_;
    std::vector<uint16_t> count_;
};

}  // namespace hd
