#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "check.hpp"
#include "draft/recycler.hpp"

using hd::KeyHashes;
using hd::RecycledRow;
using hd::Recycler;

namespace {

void the_top_of_a_row(int n_vocab, float spread) {
    std::mt19937 random(static_cast<unsigned>(n_vocab));
    std::normal_distribution<float> normal(0, spread);
    std::vector<float> row(static_cast<size_t>(n_vocab));
    for (float& value : row) value = normal(random);
    std::vector<int32_t> order(row.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return row[static_cast<size_t>(a)] > row[static_cast<size_t>(b)]; });
    const float top = row[static_cast<size_t>(order[0])];
    double total = 0;
    for (float value : row) total += std::exp(static_cast<double>(value - top));
    RecycledRow out;
    hd::top_of_row(row.data(), n_vocab, out);
    for (size_t i = 0; i < hd::kRecycledWidth; i++) {
        if (i >= row.size()) {
            CHECK(out.token[i] == -1);
            continue;
        }
        CHECK(out.token[i] == order[i]);
        const double want = std::exp(static_cast<double>(row[static_cast<size_t>(order[i])] - top)) / total;
        CHECK(std::abs(out.chance[i] - want) < 0.03 * want);
    }
}

void odd_rows() {
    RecycledRow out;
    std::vector<float> row(1000, NAN);
    hd::top_of_row(row.data(), 1000, out);
    CHECK(out.token[0] == -1);
    std::fill(row.begin(), row.end(), -INFINITY);
    hd::top_of_row(row.data(), 1000, out);
    CHECK(out.token[0] == -1);
    row[700] = 3;
    hd::top_of_row(row.data(), 1000, out);
    CHECK(out.token[0] == 700);
    CHECK(out.chance[0] > 0.97F);
    CHECK(out.token[1] == -1);
    std::fill(row.begin(), row.end(), 1.0F);
    hd::top_of_row(row.data(), 1000, out);
    for (int i = 0; i < hd::kRecycledWidth; i++) CHECK(out.token[i] == i);
}

KeyHashes key(std::vector<int32_t> tokens) {
    return KeyHashes(tokens.data() + tokens.size(), static_cast<int>(tokens.size()));
}

void rows_are_averaged() {
    Recycler recycler;
    CHECK(recycler.empty());
    const RecycledRow first{{5, 6, -1, -1, -1, -1, -1, -1}, {.8F, .2F}};
    const RecycledRow second{{6, 7, -1, -1, -1, -1, -1, -1}, {.9F, .1F}};
    recycler.store(key({1, 2, 3}), first);
    recycler.store(key({9, 2, 3}), second);
    const RecycledRow* pair = recycler.find(key({2, 3}), 1);
    CHECK(pair != nullptr && pair->token[0] == 6 && std::abs(pair->chance[0] - .55F) < 1e-6F);
    CHECK(pair != nullptr && pair->token[1] == 5 && std::abs(pair->chance[1] - .4F) < 1e-6F);
    const RecycledRow* triple = recycler.find(key({1, 2, 3}), 2);
    CHECK(triple != nullptr && triple->token[0] == 5 && triple->token[2] == -1);
    CHECK(recycler.find(key({4, 3}), 1) == nullptr);
    CHECK(recycler.find(key({3}), 1) == nullptr);
    recycler.clear();
    CHECK(recycler.find(key({2, 3}), 1) == nullptr);
}

}  // namespace

int main() {
    the_top_of_a_row(49152, 2);
    the_top_of_a_row(32000, 4);
    the_top_of_a_row(151936, 1);
    the_top_of_a_row(1000, 3);
    the_top_of_a_row(5, 1);
    odd_rows();
    rows_are_averaged();
    return failures();
}
