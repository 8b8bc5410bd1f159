#include <random>
#include <vector>

#include "check.hpp"
#include "draft/ngram_index.hpp"
#include "slow_counts.hpp"

using hd::ContextFollowers;
using hd::KeyHashes;
using hd::NgramIndex;

namespace {

ContextFollowers after(const NgramIndex& index, const std::vector<int32_t>& key, int length_index) {
    const int n = static_cast<int>(key.size());
    return index.find(KeyHashes(key.data() + n, n), length_index);
}

// Every key of every length against a count made the slow way.
void compare(const NgramIndex& index, const std::vector<int32_t>& text) {
    for (int i = 0; i < hd::kKeyLengthCount; i++) {
        Counts truth;
        count_slowly(text, {static_cast<size_t>(hd::kKeyLengths[i])}, 1, truth);
        for (const auto& [key, followers] : truth) {
            const ContextFollowers found = after(index, key, i);
            CHECK(found.total == total_of(followers));
            CHECK(found.size == static_cast<int>(followers.size()));  // the alphabet has no more than eight tokens
            for (int f = 0; f < found.size; f++) {
                CHECK(followers.count(found.data[f].token) == 1);
                CHECK(followers.at(found.data[f].token) == found.data[f].count);
            }
        }
    }
}

void counts_every_key() {
    std::mt19937 random(1);
    std::vector<int32_t> text;
    for (int i = 0; i < 3000; i++) text.push_back(static_cast<int32_t>(random() % 8));
    NgramIndex index(8, 1 << 16);
    index.begin(text.data(), 1000);
    for (size_t i = 1000; i < text.size(); i++) index.append(text[i]);
    compare(index, text);
    CHECK(index.check_integrity().empty());
    CHECK(index.size() == 3000);
}

void a_cut_leaves_no_trace() {
    std::mt19937 random(2);
    std::vector<int32_t> text;
    for (int i = 0; i < 500; i++) text.push_back(static_cast<int32_t>(random() % 6));
    NgramIndex index(8, 1 << 16);
    index.begin(text.data(), 500);
    std::vector<int32_t> other(text.begin(), text.begin() + 200);
    other.push_back(7);
    other.push_back(7);
    index.begin(other.data(), static_cast<int>(other.size()));
    compare(index, other);
    CHECK(index.count(7) == 2);
    CHECK(index.distance(7) == 1);
    CHECK(index.check_integrity().empty());
    index.begin(other.data(), 0);
    CHECK(after(index, {7}, 0).size == 0);
    CHECK(index.count(7) == 0);
}

void the_best_eight_stay() {
    NgramIndex index(100, 1 << 16);
    std::vector<int32_t> text;
    for (int32_t token = 1; token <= 8; token++) text.insert(text.end(), {0, token, 0, token});
    text.insert(text.end(), {0, 50});  // the ninth follower of 0: takes the place of the oldest of the least counted
    index.begin(text.data(), static_cast<int>(text.size()));
    const ContextFollowers found = after(index, {0}, 0);
    CHECK(found.size == 8);
    CHECK(found.total == 17);
    bool one = false, fifty = false;
    for (int f = 0; f < found.size; f++) {
        one = one || found.data[f].token == 1;
        fifty = fifty || found.data[f].token == 50;
    }
    CHECK(!one);
    CHECK(fifty);
}

void a_prediction_stands_before_the_conversation() {
    NgramIndex index(100, 1 << 16);
    const std::vector<int32_t> text = {1, 2}, prediction = {3, 4, 5, 6};
    index.begin(text.data(), 2);
    index.set_prediction(prediction.data(), 4);
    CHECK(after(index, {4, 5}, 1).size == 1);
    CHECK(after(index, {6}, 0).size == 0);  // no key crosses from the prediction into the conversation
    CHECK(after(index, {1}, 0).size == 1);
    CHECK(index.size() == 2);
    CHECK(index.check_integrity().empty());
    index.begin(text.data(), 2);
    CHECK(after(index, {4, 5}, 1).size == 0);
}

void memory_is_bounded() {
    NgramIndex index(1000, 256);
    std::mt19937 random(3);
    for (int i = 0; i < 1000; i++) index.append(static_cast<int32_t>(random() % 1000));
    const size_t early = index.memory_bytes();
    for (int i = 0; i < 20000; i++) index.append(static_cast<int32_t>(random() % 1000));
    CHECK(index.memory_bytes() - early < 20000 * 8);  // the tokens themselves, and nothing else
    CHECK(index.check_integrity().empty());
    CHECK(index.size() == 21000);
}

}  // namespace

int main() {
    counts_every_key();
    a_cut_leaves_no_trace();
    the_best_eight_stay();
    a_prediction_stands_before_the_conversation();
    memory_is_bounded();
    return failures();
}
