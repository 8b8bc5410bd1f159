#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "check.hpp"
#include "draft/drafter.hpp"

using hd::Drafter;
using hd::DraftTree;

namespace {

void offer(Drafter& drafter, std::vector<int32_t> rows, std::vector<float> cost) {
    drafter.set_cost(rows.data(), cost.data(), static_cast<int>(rows.size()));
}

// Decodes `text` from `at` on; returns how many forwards it took.
int decode(Drafter& drafter, const std::vector<int32_t>& text, size_t at, int32_t n_vocab) {
    int forwards = 0;
    drafter.begin(text.data(), static_cast<int>(at));
    while (at < text.size()) {
        const DraftTree tree = drafter.grow(63, 63);
        CHECK(tree.check(n_vocab).empty());
        CHECK(tree.token[0] == text[at - 1]);
        const std::vector<int32_t> path = tree.follow(text.data() + at, text.size() - at - 1);
        drafter.learn(tree, text.data() + at, static_cast<int>(path.size()));
        drafter.append(text.data() + at, static_cast<int>(path.size()));
        at += path.size();
        forwards++;
    }
    return forwards;
}

void copies_what_repeats() {
    std::vector<int32_t> text;
    for (int i = 0; i < 40; i++) {
        for (int32_t token = 0; token < 25; token++) text.push_back(token);
    }
    Drafter drafter({100});
    offer(drafter, {1, 2, 4, 8, 16}, {1, 1.2F, 1.4F, 1.8F, 2.5F});
    CHECK(decode(drafter, text, 50, 100) < 300);  // of 950 tokens, with a mixer that starts from nothing
    CHECK(drafter.index().check_integrity().empty());
}

// Paths come true half as often as they say.
void a_path_curve_learns_what_came_true() {
    hd::PathCurve curve;
    std::mt19937 random(3);
    for (float chance : {0.0F, 0.01F, 0.3F, 0.77F, 1.0F}) CHECK(std::abs(curve.refine(chance) - chance) < 0.01F);
    for (int i = 0; i < 20000; i++) {
        const auto chance = static_cast<float>(random() % 1000) / 1000;
        curve.learn(chance, random() % 1000 < 500 * chance ? 1.0F : 0.0F);
    }
    float last = 0;
    for (int i = 0; i <= 100; i++) {
        const float refined = curve.refine(static_cast<float>(i) / 100);
        CHECK(refined >= last && refined <= 1);
        CHECK(std::abs(refined - static_cast<float>(i) / 200) < 0.12F);
        last = refined;
    }
}

// Two texts alternate behind the same words, so that a copy is right at every second time.
void says_of_paths_how_often_they_come_true() {
    std::mt19937 random(6);
    std::vector<int32_t> text;
    while (text.size() < 12000) {
        const int32_t variant = random() % 2 == 0 ? 100 : 200;
        for (int32_t i = 0; i < 6; i++) text.push_back(i);
        for (int32_t i = 0; i < 6; i++) text.push_back(variant + i);
    }
    Drafter drafter({300});
    offer(drafter, {1, 16}, {1, 1.1F});
    decode(drafter, {text.begin(), text.begin() + 6000}, 50, 300);
    size_t at = 6000;
    double predicted = 0;
    int accepted = 0, nodes = 0;
    while (at + 64 < text.size()) {
        const DraftTree tree = drafter.grow(16, 16);
        const std::vector<int32_t> path = tree.follow(text.data() + at, text.size() - at - 1);
        for (size_t i = 1; i < tree.probability.size(); i++) predicted += tree.probability[i];
        accepted += static_cast<int>(path.size()) - 1;
        nodes += tree.size() - 1;
        drafter.learn(tree, text.data() + at, static_cast<int>(path.size()));
        drafter.append(text.data() + at, static_cast<int>(path.size()));
        at += path.size();
    }
    CHECK(std::abs(predicted - accepted) < 0.02 * nodes);
}

void drafts_nothing_in_noise() {
    std::mt19937 random(4);
    std::vector<int32_t> text;
    for (int i = 0; i < 3000; i++) text.push_back(static_cast<int32_t>(random() % 5000));
    Drafter drafter({5000});
    offer(drafter, {1, 2, 4}, {1, 1.1F, 1.3F});
    decode(drafter, text, 100, 5000);
    int drafted = 0;
    for (size_t at = 2000; at < 2200; at++) {
        drafter.begin(text.data(), static_cast<int>(at));
        drafted += drafter.grow(63, 63).size() > 1 ? 1 : 0;
    }
    CHECK(drafted <= 4);
}

void knows_nothing_without_a_curve() {
    Drafter drafter({100});
    const std::vector<int32_t> text = {1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3};
    drafter.begin(text.data(), 12);
    CHECK(drafter.grow(63, 63).size() == 1);
}

void keeps_to_its_limits() {
    std::mt19937 random(5);
    std::vector<int32_t> text;
    for (int i = 0; i < 2000; i++) text.push_back(static_cast<int32_t>(random() % 4));
    Drafter drafter({4});
    drafter.begin(text.data(), 2000);
    offer(drafter, {1, 63}, {1, 1.01F});
    for (int rows : {1, 2, 7, 63}) {
        for (int leaves : {1, 2, 5, 63}) {
            const DraftTree tree = drafter.grow(rows, leaves);
            CHECK(tree.size() <= rows);
            CHECK(tree.leaves() <= leaves);
            CHECK(tree.check(4).empty());
        }
    }
    offer(drafter, {1, 4, 63}, {1, 1.01F, 1.02F});
    CHECK(drafter.grow(63, 63).size() == 63);
    CHECK(drafter.grow(20, 63).size() == 4);  // 63 rows do not fit, nothing between 4 and 63 is on offer
}

void fills_a_step_of_the_curve() {
    Drafter drafter({1000});
    std::vector<int32_t> text;
    for (int i = 0; i < 60; i++) text.insert(text.end(), {1, 2});
    text.insert(text.end(), {500, 1});
    drafter.begin(text.data(), static_cast<int>(text.size()));
    offer(drafter, {1, 2, 3, 4, 8}, {1, 1.8F, 2.4F, 1.3F, 2.9F});
    for (int i = 0; i < 50; i++) {
        const int size = drafter.grow(63, 1).size();
        CHECK(size == 1 || size == 4 || size == 8);  // 2 and 3 rows cost more than 4
    }
}

void grows_the_likeliest_first() {
    Drafter drafter({10});
    std::vector<int32_t> text;
    for (int i = 0; i < 30; i++) text.insert(text.end(), {1, 2, 3, 1, 4});
    text.push_back(1);
    drafter.begin(text.data(), static_cast<int>(text.size()));
    offer(drafter, {1, 16}, {1, 1});
    const DraftTree tree = drafter.grow(16, 16);
    for (int i = 1; i < tree.size(); i++) {
        const auto at = static_cast<size_t>(i);
        const auto parent = static_cast<size_t>(tree.parent[at]);
        CHECK(tree.probability[at] <= tree.probability[parent]);
        for (int j = i + 1; j < tree.size(); j++) {
            const auto sibling = static_cast<size_t>(j);
            if (tree.parent[sibling] == tree.parent[at]) CHECK(tree.probability[sibling] <= tree.probability[at]);
        }
    }
    CHECK(tree.size() > 1 && tree.probability[1] > 0);
}

void says_the_same_again() {
    std::mt19937 random(6);
    std::vector<int32_t> text;
    for (int i = 0; i < 1500; i++) text.push_back(static_cast<int32_t>(random() % 30 * (random() % 3)));
    Drafter one({100}), two({100});
    for (Drafter* drafter : {&one, &two}) {
        offer(*drafter, {1, 2, 4, 8}, {1, 1.2F, 1.4F, 2});
        decode(*drafter, text, 10, 100);
    }
    CHECK(one.mixer().save() == two.mixer().save());
}

void what_is_foretold_is_drafted() {
    Drafter drafter({100});
    offer(drafter, {1, 2, 3, 4}, {1, 1.1F, 1.2F, 1.3F});
    const std::vector<int32_t> text = {1, 2, 3};
    drafter.begin(text.data(), 3);
    CHECK(drafter.grow(63, 63).size() == 1);
    const std::vector<int32_t> path = {50, 51};
    drafter.forecast().add(path.data(), 0, 50, 0.9F, hd::Said::first);
    drafter.forecast().add(path.data(), 0, 60, 0.05F, hd::Said::other);
    drafter.forecast().add(path.data(), 1, 51, 0.95F, hd::Said::first);
    drafter.forecast().add(path.data(), 2, 52, 1.0F, hd::Said::inside);
    const DraftTree tree = drafter.grow(63, 63);
    CHECK(tree.token == std::vector<int32_t>({3, 50, 51, 52}));
    CHECK(tree.tier[1] == hd::Tier::drafter);
    CHECK(tree.probability[1] > 0.8F);  // a mixer that has learned nothing believes what the drafter says
    drafter.forecast().clear();
    CHECK(drafter.grow(63, 63).size() == 1);
}

// What was paid before the tree is chosen makes larger trees worth more.
void what_was_spent_counts_for_every_size() {
    Drafter drafter({100});
    offer(drafter, {1, 2}, {1, 1.5F});
    const std::vector<int32_t> text = {1, 2, 3};
    drafter.begin(text.data(), 3);
    drafter.forecast().add(text.data(), 0, 50, 0.45F, hd::Said::first);
    CHECK(drafter.grow(63, 63).size() == 1);
    CHECK(drafter.grow(63, 63, 1.0F).size() == 2);
}

void a_drafter_that_is_always_wrong_is_believed_no_more() {
    Drafter drafter({100});
    offer(drafter, {1, 2}, {1, 1.1F});
    float chance = 1;
    for (int i = 0; i < 300; i++) {
        const std::vector<int32_t> text = {1, 2, 3, i % 40};
        drafter.begin(text.data(), 4);
        drafter.forecast().clear();
        drafter.forecast().add(text.data(), 0, 50, 0.9F, hd::Said::first);
        const DraftTree tree = drafter.grow(2, 2);
        const int32_t other = 60;
        drafter.learn(tree, &other, 1);
        chance = tree.size() > 1 ? tree.probability[1] : 0;
    }
    CHECK(chance < 0.1F);
}

void a_word_that_two_pieces_begin_with_has_both_chances() {
    hd::Forecast forecast;
    CHECK(!forecast.known(0) && !forecast.known(-1));
    const int32_t path[] = {7, 8};
    forecast.add(path, 0, 7, 0.6F, hd::Said::first);
    forecast.add(path, 0, 7, 0.3F, hd::Said::other);
    forecast.add(path, 2, 9, 0.5F, hd::Said::odd);  // 8 was not there: it is certain, once 7 is
    const int seven = forecast.child(0, 7);
    CHECK(std::abs(forecast.at(seven).chance - 0.9F) < 1e-6F);
    const int eight = forecast.child(seven, 8);
    CHECK(forecast.at(eight).chance == 1.0F);
    CHECK(forecast.known(eight) && forecast.child(eight, 9) > 0 && forecast.child(0, 9) < 0);
}

}  // namespace

int main() {
    copies_what_repeats();
    a_path_curve_learns_what_came_true();
    says_of_paths_how_often_they_come_true();
    drafts_nothing_in_noise();
    knows_nothing_without_a_curve();
    keeps_to_its_limits();
    fills_a_step_of_the_curve();
    grows_the_likeliest_first();
    says_the_same_again();
    what_is_foretold_is_drafted();
    what_was_spent_counts_for_every_size();
    a_drafter_that_is_always_wrong_is_believed_no_more();
    a_word_that_two_pieces_begin_with_has_both_chances();
    return failures();
}
