// What follows what in a text, counted the slow way.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

using Text = std::vector<int32_t>;
using Counts = std::map<Text, std::map<int32_t, uint32_t>>;  // key tokens -> followers

// Adds the followers of every key of these lengths from `start` on.
inline void count_slowly(const Text& text, const std::vector<size_t>& lengths, size_t start, Counts& counts) {
    for (size_t i = std::max<size_t>(start, 1); i < text.size(); i++) {
        for (const size_t length : lengths) {
            if (length > i) continue;
            const auto at = text.begin() + static_cast<std::ptrdiff_t>(i);
            counts[Text(at - static_cast<std::ptrdiff_t>(length), at)][text[i]]++;
        }
    }
}

inline uint32_t total_of(const std::map<int32_t, uint32_t>& followers) {
    uint32_t total = 0;
    for (const auto& [token, count] : followers) total += count;
    return total;
}
