#include "greedy.hpp"

#include <algorithm>
#include <iterator>

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

std::vector<int32_t> shortlist(const float* logits, int32_t n, const int32_t* few, int32_t n_few) {
    std::vector<int32_t> found;
    found.reserve(static_cast<size_t>(n_few) + 1);
    std::copy_if(few, few + n_few, std::back_inserter(found), [n](int32_t token) { return token >= 0 && token < n; });
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    int32_t best = -1, from = 0;
    const auto others = [&](int32_t end) {  // between two of the few
        if (from >= end) return;
        const int32_t here = from + first_largest(logits + from, end - from);
        if (best < 0 || logits[here] > logits[best]) best = here;
    };
    for (const int32_t token : found) {
        others(token);
        from = token + 1;
    }
    others(n);
    if (best >= 0) found.insert(std::lower_bound(found.begin(), found.end(), best), best);
    return found;
}

}  // namespace hd
