#include <memory>
#include <vector>

#include "check.hpp"
#include "draft/paper_drafter.hpp"
#include "records/answer_counter.hpp"

using hd::DraftTree;
using hd::PaperDrafter;
using hd::Tier;

namespace {

// A tier that knows the n-grams of a text, and that there are no others.
std::unique_ptr<hd::TierCache> tier_of(const std::vector<int32_t>& text) {
    auto cache = std::make_unique<hd::TierCache>(100, size_t{1} << 20);
    for (int64_t key = 0; key < 100; key++) cache->put(key, nullptr, 0);
    for (int64_t key = 0; key < 100 * 100; key++)
        cache->put((key / 100 + 1) * (int64_t{1} << 32) + key % 100, nullptr, 0);
    for (const auto& row : hd::AnswerCounter(100).rows(text.data(), static_cast<int64_t>(text.size()), 0)) {
        const std::vector<uint8_t> blob = hd::encode_record(row.record);
        CHECK(cache->put(row.key, blob.data(), blob.size()).empty());
    }
    return cache;
}

std::vector<int32_t> path_of(const DraftTree& tree, int leaf) {
    std::vector<int32_t> path;
    for (int node = leaf; node > 0; node = tree.parent[static_cast<size_t>(node)]) {
        path.insert(path.begin(), tree.token[static_cast<size_t>(node)]);
    }
    return path;
}

void drafts_the_latest_continuations_of_the_last_token() {
    PaperDrafter drafter;
    const std::vector<int32_t> text = {1, 2, 3, 4, 5, 1, 2, 9, 9, 8, 1};
    drafter.begin(text.data(), static_cast<int>(text.size()));
    const DraftTree tree = drafter.grow(63, 63);
    CHECK(tree.check(100).empty());
    CHECK(tree.size() == 8);  // 1: (2: (9 9 8), (3 4 5))
    CHECK(tree.leaves() == 2);
    CHECK((path_of(tree, 4) == std::vector<int32_t>{2, 9, 9, 8}));
    CHECK((path_of(tree, 7) == std::vector<int32_t>{2, 3, 4, 5}));
}

void drafts_as_many_as_long_and_in_the_order_that_is_asked() {
    const auto model = tier_of({1, 6, 6, 6, 6});
    const std::vector<int32_t> text = {1, 2, 3, 4, 5, 1, 2, 9, 9, 8, 1};
    PaperDrafter drafter(2, 2, {Tier::model, Tier::context, Tier::statistics});
    drafter.attach_model(model.get());
    drafter.begin(text.data(), static_cast<int>(text.size()));
    const DraftTree tree = drafter.grow(63, 63);
    CHECK(tree.size() == 5);
    CHECK((path_of(tree, 2) == std::vector<int32_t>{6, 6}));
    CHECK((path_of(tree, 4) == std::vector<int32_t>{2, 9}));
}

void keeps_seven_of_a_key_and_drops_the_oldest() {
    PaperDrafter drafter;
    std::vector<int32_t> text;
    for (int32_t i = 10; i < 19; i++) text.insert(text.end(), {1, i, i, i, i});
    text.push_back(1);
    drafter.begin(text.data(), static_cast<int>(text.size()));
    const DraftTree tree = drafter.grow(63, 63);
    CHECK(tree.size() == 29);
    CHECK(tree.token[1] == 18);  // latest first
    CHECK(tree.child(0, 12) > 0 && tree.child(0, 11) < 0);
    CHECK(drafter.grow(10, 63).size() == 10);
    CHECK(drafter.grow(63, 3).leaves() == 3);
}

void asks_the_next_tier_only_for_what_is_left() {
    const auto model = tier_of({1, 5, 6, 7, 8, 1, 5, 6, 7, 9}), statistics = tier_of({3, 1, 4, 4, 4, 4});
    PaperDrafter drafter;
    drafter.attach_model(model.get());
    drafter.attach_statistics(statistics.get());
    const std::vector<int32_t> text = {1, 2, 2, 2, 2, 3, 1};
    drafter.begin(text.data(), static_cast<int>(text.size()));
    const DraftTree tree = drafter.grow(63, 63);
    CHECK(tree.tier[static_cast<size_t>(tree.child(0, 2))] == Tier::context);
    CHECK(tree.tier[static_cast<size_t>(tree.child(0, 5))] == Tier::model);
    CHECK(tree.tier[static_cast<size_t>(tree.child(0, 4))] == Tier::statistics);
    std::vector<int32_t> full;
    for (int32_t i = 10; i < 17; i++) full.insert(full.end(), {1, i, i, i, i});
    full.push_back(1);
    drafter.begin(full.data(), static_cast<int>(full.size()));
    CHECK(drafter.grow(63, 63).child(0, 5) < 0);
}

void a_short_continuation_is_not_padded() {
    const auto model = tier_of({1, 5, 6});
    PaperDrafter drafter;
    drafter.attach_model(model.get());
    const int32_t one = 1;
    drafter.begin(&one, 1);
    CHECK(drafter.grow(63, 63).size() == 3);
}

void says_what_it_could_not_look_up() {
    hd::TierCache empty(100, 1 << 20);
    PaperDrafter drafter;
    drafter.attach_model(&empty);
    drafter.attach_statistics(&empty);
    const std::vector<int32_t> text = {3, 7};
    drafter.begin(text.data(), 2);
    CHECK(drafter.grow(63, 63).size() == 1);
    CHECK((drafter.missing(Tier::model) == std::vector<int64_t>{7}));
    CHECK((drafter.missing(Tier::statistics) == std::vector<int64_t>{(int64_t{4} << 32) + 7, 7}));
}

void a_cut_is_forgotten() {
    PaperDrafter drafter;
    const std::vector<int32_t> text = {1, 2, 3, 4, 5, 1}, other = {7, 1};
    drafter.begin(text.data(), 6);
    CHECK(drafter.grow(63, 63).size() == 5);
    drafter.begin(other.data(), 2);
    CHECK(drafter.grow(63, 63).size() == 1);
    CHECK(drafter.size() == 2);
}

}  // namespace

int main() {
    drafts_the_latest_continuations_of_the_last_token();
    drafts_as_many_as_long_and_in_the_order_that_is_asked();
    keeps_seven_of_a_key_and_drops_the_oldest();
    asks_the_next_tier_only_for_what_is_left();
    a_short_continuation_is_not_padded();
    says_what_it_could_not_look_up();
    a_cut_is_forgotten();
    return failures();
}
