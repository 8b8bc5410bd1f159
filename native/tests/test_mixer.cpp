#include <cmath>
#include <random>

#include "check.hpp"
#include "draft/mixer.hpp"

using hd::Expansion;
using hd::Mixer;

namespace {

// Three candidates of one context slot: the first hits a cell, the others miss.
Expansion node() {
    Expansion out;
    std::fill(out.miss, out.miss + hd::kSlots, static_cast<uint16_t>(0));
    out.n = 3;
    out.miss[hd::kContextSlot] = hd::context_miss(0, 0, 3, 1);
    for (int i = 0; i < 3; i++) {
        out.token[i] = 10 + i;
        out.tier[i] = hd::Tier::context;
        for (int slot = 0; slot < hd::kSlots; slot++) out.cell[slot][i] = out.miss[slot];
        out.cell[hd::kUnigramSlot][i] = hd::unigram_hit(0, 1, 3);
    }
    out.cell[hd::kContextSlot][0] = hd::context_hit(0, 0, 3, 3, true);
    return out;
}

void learns_how_often_a_source_is_right() {
    Mixer mixer;
    std::mt19937 random(1);
    Expansion at = node();
    for (int i = 0; i < 4000; i++) {
        mixer.predict(at);
        mixer.learn(at, random() % 10 < 7 ? 10 : 99);
    }
    mixer.predict(at);
    CHECK(std::abs(at.chance[0] - 0.7F) < 0.07F);
    CHECK(at.chance[1] < 0.05F);
}

void siblings_are_scaled_half_way_to_one() {
    Mixer mixer;
    Expansion at = node();
    for (int i = 0; i < 200; i++) {
        for (int token = 10; token < 13; token++) {
            mixer.predict(at);
            at.token[0] = token;  // whatever stands first is right: all cells rise
            mixer.learn(at, token);
        }
    }
    for (int i = 0; i < 3; i++) at.cell[hd::kContextSlot][i] = hd::context_hit(0, 0, 3, 3, true);
    mixer.predict(at);
    const float raw = at.raw[0] + at.raw[1] + at.raw[2];
    const float scaled = at.chance[0] + at.chance[1] + at.chance[2];
    CHECK(raw > 1.1F);
    CHECK(scaled > 1 && scaled < raw);
    CHECK(at.chance[0] == at.chance[1] && at.chance[1] == at.chance[2]);
    at.n = 1;  // the same cells, nothing to scale by
    mixer.predict(at);
    CHECK(std::abs(scaled - std::sqrt(3 * at.chance[0])) < 1e-4F);
}

void nothing_to_learn_from() {
    Mixer mixer;
    const auto before = mixer.save();
    Expansion at = node();
    at.n = 0;
    CHECK(mixer.predict(at) == 0);
    mixer.learn(at, 10);
    CHECK(mixer.save() == before);
}

void survives_saving() {
    Mixer mixer;
    Expansion at = node();
    for (int i = 0; i < 500; i++) {
        mixer.predict(at);
        mixer.learn(at, i % 3 == 0 ? 10 : 11);
    }
    const auto bytes = mixer.save();
    CHECK(bytes.size() < 100 * 1024);
    Mixer other;
    CHECK(other.load(bytes.data(), bytes.size()).empty());
    CHECK(other.save() == bytes);
    mixer.predict(at);
    const float want = at.chance[0];
    other.predict(at);
    CHECK(std::abs(at.chance[0] - want) < 1e-3F);
}

void refuses_what_is_no_calibration() {
    Mixer mixer;
    auto bytes = mixer.save();
    const auto before = bytes;
    CHECK(!mixer.load(bytes.data(), bytes.size() - 1).empty());
    bytes[0] ^= 1;
    CHECK(!mixer.load(bytes.data(), bytes.size()).empty());
    bytes = before;
    for (size_t i = bytes.size() - 40; i < bytes.size(); i++) bytes[i] = 0x7f;  // NaN weights
    CHECK(!mixer.load(bytes.data(), bytes.size()).empty());
    CHECK(mixer.save() == before);
}

void every_cell_has_one_place() {
    for (int depth : {0, 1, 2, 5}) {
        for (int slot = 0; slot < hd::kStatisticsSlots; slot++) {
            const int hit = hd::tier_hit(hd::kStatisticsCell, slot, depth, 100, 100);
            const int miss = hd::tier_miss(hd::kStatisticsCell, slot, depth, 100, 1);
            CHECK(hit < miss && miss < hd::kUnigramCell);
        }
        CHECK(hd::context_hit(5, depth, 9, 99, true) < hd::context_miss(5, depth, 9, 1));
        CHECK(hd::context_miss(5, depth, 9, 1) < hd::kRecycledCell);
        CHECK(hd::recycled_hit(2, depth, 7, 1.0F) < hd::recycled_miss(2, depth, 0.0F));
        CHECK(hd::recycled_miss(2, depth, 1.0F) < hd::kModelCell);
        CHECK(hd::tier_miss(hd::kModelCell, 4, depth, 100, 1) < hd::kStatisticsCell);
        CHECK(hd::unigram_hit(depth, 99, 999) < hd::kDrafterCell);
        CHECK(hd::drafter_hit(depth, hd::Said::odd, 1.0F) < hd::drafter_miss(depth, 0.0F));
        CHECK(hd::drafter_miss(depth, 1.0F) < hd::kCells);
    }
}

}  // namespace

int main() {
    learns_how_often_a_source_is_right();
    siblings_are_scaled_half_way_to_one();
    nothing_to_learn_from();
    survives_saving();
    refuses_what_is_no_calibration();
    every_cell_has_one_place();
    return failures();
}
