#include "greedy.hpp"

#include <algorithm>

namespace hd {

int32_t first_largest(const float* x, int32_t n) {
    // 16 independent lanes: baseline SIMD without relaxed floating-point rules; then the first place of the maximum.
    constexpr int32_t kLanes = 16;
    float best = x[0];
    int32_t i = 0;
    if (n >= kLanes) {
        float m[kLanes];
        std::copy(x, x + kLanes, m);
        for (i = kLanes; i + kLanes <= n; i += kLanes) {
            for (int32_t k = 0; k < kLanes; k++) m[k] = x[i + k] > m[k] ? x[i + k] : m[k];
        }
        best = *std::max_element(m, m + kLanes);
    }
    for (; i < n; i++) best = x[i] > best ? x[i] : best;
    const float* first = std::find(x, x + n, best);
    return first == x + n ? 0 : static_cast<int32_t>(first - x);
}

}  // namespace hd
