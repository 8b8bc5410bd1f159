// How often drafted paths of a predicted chance came true.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace hd {

// Chances of single nodes may be right on average and their products still two to eight points off, because the tree
// holds those nodes that looked best. This curve maps a path's chance (the product) to the share of such drafted paths
// that the target took of late; it rises. Learned online from every verified node, begins as the identity.
class PathCurve {
  public:
    PathCurve() {
        for (size_t i = 0; i < kPoints; i++) {
            const float root = static_cast<float>(i) / kSteps;
            chance_[i] = root * root;
        }
    }

    float refine(float chance) const {
        const Place place = place_of(chance);
        return chance_[place.low] + place.share * (chance_[place.low + 1] - chance_[place.low]);
    }

    void learn(float chance, float outcome) {
        const Place place = place_of(chance);
        const float error = outcome - refine(chance);
        move(place.low, 1 - place.share, error);
        move(place.low + 1, place.share, error);
    }

  private:
    static constexpr size_t kPoints = 9;
    static constexpr float kSteps =
        static_cast<float>(kPoints - 1);       // on a scale of square roots: fine where it is small
    static constexpr float kFirstWeight = 30;  // the identity counts as so many events
    static constexpr float kCap = 80;          // events that are remembered

    struct Place {
        size_t low;
        float share;  // of the point above
    };

    static Place place_of(float chance) {
        const float at = std::min(std::sqrt(std::clamp(chance, 0.0F, 1.0F)) * kSteps, kSteps - 1e-3F);
        const auto low = static_cast<size_t>(at);
        return {low, at - static_cast<float>(low)};
    }

    void move(size_t point, float share, float error) {
        const float low = point > 0 ? chance_[point - 1] : 0.0F;
        const float high = point + 1 < kPoints ? chance_[point + 1] : 1.0F;
        const float moved = chance_[point] + share * error / (count_[point] + kFirstWeight);
        chance_[point] = std::clamp(moved, low, high);
        count_[point] = std::min(count_[point] + share, kCap);
    }

    std::array<float, kPoints> chance_;
    std::array<float, kPoints> count_{};
};

}  // namespace hd
