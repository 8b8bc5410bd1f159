#include "greedy.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

namespace hd {

namespace {

// First place of the maximum of the numbers, whatever stands beside them; 0 if there are none.
int32_t first_largest_number(const float* x, int32_t n) {
    // 16 independent lanes: baseline SIMD without relaxed floating-point rules. A comparison with NaN is false, so none
    // gets into a lane; one that began there would stay.
    constexpr int32_t kLanes = 16;
    float m[kLanes];
    std::fill(m, m + kLanes, -std::numeric_limits<float>::infinity());
    int32_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        for (int32_t k = 0; k < kLanes; k++) m[k] = x[i + k] > m[k] ? x[i + k] : m[k];
    }
    float best = *std::max_element(m, m + kLanes);
    for (; i < n; i++) best = x[i] > best ? x[i] : best;
    const float* first = std::find(x, x + n, best);
    return first == x + n ? 0 : static_cast<int32_t>(first - x);
}

}  // namespace

// llama.cpp begins with the first logit and takes what is larger: behind NaN nothing is.
int32_t first_largest(const float* x, int32_t n) { return std::isnan(x[0]) ? 0 : first_largest_number(x, n); }

std::vector<int32_t> shortlist(const float* logits, int32_t n, const int32_t* few, int32_t n_few) {
    std::vector<int32_t> found;
    found.reserve(static_cast<size_t>(n_few) + 2);
    found.push_back(0);  // where the comparison begins: if it is NaN it stays the largest, and another may not
    std::copy_if(few, few + n_few, std::back_inserter(found), [n](int32_t token) { return token >= 0 && token < n; });
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    int32_t best = -1, from = 0;
    const auto others = [&](int32_t end) {  // between two of the few
        if (from >= end) return;
        const int32_t here = from + first_largest_number(logits + from, end - from);
        if (best < 0 || std::isnan(logits[best]) || logits[here] > logits[best]) best = here;
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
