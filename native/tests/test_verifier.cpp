// Verifier against a fake KV cache: random trees must give plain decoding, and what makes no sense is refused.
#include <algorithm>
#include <functional>
#include <limits>
#include <random>
#include <stdexcept>

#include "check.hpp"
#include "fake_cells.hpp"
#include "verify/greedy.hpp"
#include "verify/verifier.hpp"

namespace {

bool broken_rule = false;

int32_t fake_decode(void*, hd::LlamaBatch batch) {
    if (next_code != 0) return next_code;
    std::set<int32_t> named;
    for (int32_t i = 0; i < batch.n_tokens; i++) {
        for (int32_t k = 0; k < batch.n_seq_id[i]; k++) named.insert(batch.seq_id[i][k]);
    }
    for (const int32_t s : named) {  // every sequence continues the same trunk without a gap
        if (fake_pos_max(nullptr, s) != fake_pos_max(nullptr, 0)) broken_rule = true;
        int32_t want = fake_pos_max(nullptr, s) + 1;
        for (int32_t i = 0; i < batch.n_tokens; i++) {
            const bool mine = std::count(batch.seq_id[i], batch.seq_id[i] + batch.n_seq_id[i], s) > 0;
            if (mine && batch.pos[i] != want++) broken_rule = true;
        }
    }
    for (int32_t i = 0; i < batch.n_tokens; i++) {
        cells.push_back({batch.pos[i], batch.token[i], {batch.seq_id[i], batch.seq_id[i] + batch.n_seq_id[i]}});
    }
    compute(batch);
    return 0;
}

bool fake_rm(void*, int32_t seq, int32_t from, int32_t to) {
    for (Cell& c : cells) {
        if (c.pos < from || (to >= 0 && c.pos >= to)) continue;
        seq < 0 ? c.seqs.clear() : (void)c.seqs.erase(seq);
    }
    cells.erase(std::remove_if(cells.begin(), cells.end(), [](const Cell& c) { return c.seqs.empty(); }), cells.end());
    return true;
}

void fake_keep(void*, int32_t seq) {
    const auto other = [seq](const Cell& c) { return c.seqs.count(seq) == 0; };
    cells.erase(std::remove_if(cells.begin(), cells.end(), other), cells.end());
    for (Cell& c : cells) c.seqs = {seq};
}

const FakeFunctions kFake = {fake_decode, fake_logits, fake_rm, fake_cp, fake_keep, fake_pos_min, fake_pos_max};

int32_t plain_next(const std::vector<int32_t>& text) {
    uint32_t h = kHashOfNothing;
    for (size_t i = 0; i < text.size(); i++) h = add_to_hash(h, static_cast<int32_t>(i), text[i]);
    std::vector<float> row;
    append_logits(h, row);
    return static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

// Random trees, half of whose nodes are what the target would say: the walk must give plain decoding, step by step.
void equals_plain(uint32_t seed) {
    cells.clear();
    std::mt19937 random(seed);
    const auto below = [&](uint32_t n) { return static_cast<int32_t>(random() % n); };
    std::vector<int32_t> text = {1, 2, 3};
    for (int32_t i = 0; i < 2; i++) cells.push_back({i, text[static_cast<size_t>(i)], {0}});
    int jumped = 0;
    {
        hd::Verifier verifier(fake_api(kFake), &cells, &cells, {n_vocab, 100000, 16, 6});
        verifier.begin(2);
        std::vector<int32_t> pending = {3};
        for (int step = 0; step < 200; step++) {
            hd::DraftTree tree;
            std::vector<std::vector<int32_t>> paths = {text};
            tree.add(pending.back(), -1, hd::Tier::target, 1);
            const int32_t nodes = below(9);
            int32_t leaf_room = 5;
            for (int32_t k = 0; k < nodes; k++) {
                // Pre-order by construction: a parent on the path of the last node.
                int32_t parent = tree.size() - 1;
                while (parent > 0 && below(3) == 0) parent = tree.parent[static_cast<size_t>(parent)];
                if (parent != tree.size() - 1 && --leaf_room < 0) break;
                std::vector<int32_t> path = paths[static_cast<size_t>(parent)];
                const int32_t token = below(2) ? plain_next(path) : below(n_vocab);
                if (tree.child(parent, token) >= 0) continue;
                tree.add(token, parent, hd::Tier::context, 0.5f);
                path.push_back(token);
                paths.push_back(path);
            }
            waits = 0;
            CHECK(verifier.decode(pending.data(), static_cast<int32_t>(pending.size()), tree) == 0);
            for (int32_t i = 0; i < tree.size(); i++) {  // node isolation
                CHECK(verifier.argmax(i) == plain_next(paths[static_cast<size_t>(i)]));
            }
            std::vector<int32_t> path = {0};
            for (;;) {
                const int32_t token = verifier.argmax(path.back());
                CHECK(token == plain_next(text));
                text.push_back(token);
                const int32_t child = tree.child(path.back(), token);
                if (child < 0) break;
                path.push_back(child);
            }
            CHECK(waits == 1);  // however many rows were read
            const int32_t kept = verifier.commit(path.data(), static_cast<int32_t>(path.size()));
            CHECK(kept >= 1);
            jumped += kept < static_cast<int32_t>(path.size());
            pending.clear();
            for (size_t i = static_cast<size_t>(kept); i < path.size(); i++) {
                pending.push_back(tree.token[static_cast<size_t>(path[i])]);
            }
            pending.push_back(text.back());
            CHECK(verifier.n_past() + static_cast<int32_t>(pending.size()) == static_cast<int32_t>(text.size()));
            CHECK(verifier.check_integrity().empty());
            CHECK(
                std::is_sorted(cells.begin(), cells.end(), [](const Cell& a, const Cell& b) { return a.pos < b.pos; }));
        }
        verifier.release(verifier.n_past());
    }
    for (const Cell& c : cells) CHECK(c.seqs == std::set<int32_t>{0});
    CHECK(!broken_rule);
    CHECK(jumped > 0);
}

void refuses_bad_input() {
    cells.clear();
    hd::Verifier verifier(fake_api(kFake), &cells, &cells, {n_vocab, 8, 4, 2});
    verifier.begin(0);
    hd::DraftTree tree;
    tree.add(5, -1, hd::Tier::target, 1);
    const int32_t five = 5, wrong = 6, huge = n_vocab;
    CHECK(throws<std::invalid_argument>([&] { verifier.decode(&wrong, 1, tree); }));
    CHECK(throws<std::invalid_argument>([&] { verifier.decode(&five, 0, tree); }));
    const int32_t bad_chain[] = {huge, five};
    CHECK(throws<std::invalid_argument>([&] { verifier.decode(bad_chain, 2, tree); }));
    CHECK(throws<std::invalid_argument>([&] { verifier.commit(&five, 1); }));
    CHECK(throws<std::invalid_argument>([&] { (void)verifier.row(0); }));
    hd::DraftTree wide = tree;
    for (int32_t t = 0; t < 3; t++) wide.add(t, 0, hd::Tier::context, 0.1f);
    CHECK(throws<std::invalid_argument>([&] { verifier.decode(&five, 1, wide); }));  // 3 leaves, 2 sequences
    hd::DraftTree deep = tree;
    for (int32_t t = 0; t < 4; t++) deep.add(t, t, hd::Tier::context, 0.1f);
    CHECK(throws<std::invalid_argument>([&] { verifier.decode(&five, 1, deep); }));  // 5 rows, 4 allowed
    CHECK(throws<std::invalid_argument>([&] { hd::LlamaApi({{"llama_decode", 1}}); }));
    CHECK(cells.empty());

    for (const int32_t code : {1, 2, -1, -3}) {
        next_code = code;
        const int32_t seen = verifier.decode(&five, 1, tree);
        next_code = 0;
        CHECK(seen == code);
        CHECK(verifier.rows() == 0 && verifier.check_integrity().empty());
    }
    verifier.decode(&five, 1, tree);
    verifier.rollback();
    CHECK(cells.empty() && verifier.n_past() == 0);
}

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kOdd[] = {std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity};

// As llama.cpp's sampler.
int32_t greedy(const std::vector<float>& row) {
    size_t best = 0;
    for (size_t i = 1; i < row.size(); i++) best = row[i] > row[best] ? i : best;
    return static_cast<int32_t>(best);
}

// However a few logits are changed, the largest of all, the first of equal ones, is on the shortlist.
void shortlist_has_the_winner(uint32_t seed) {
    std::mt19937 random(seed);
    const auto below = [&](int32_t n) { return static_cast<int32_t>(random() % static_cast<uint32_t>(n)); };
    const int32_t n = 1 + below(70);
    std::vector<float> row(static_cast<size_t>(n));
    for (float& x : row) x = static_cast<float>(below(6));  // many are equal
    const int32_t odd = seed % 2 == 0 ? below(n) : 0;       // of a broken model
    for (int32_t i = 0; i < odd; i++) row[static_cast<size_t>(below(n))] = kOdd[below(3)];
    CHECK(hd::first_largest(row.data(), n) == greedy(row));
    std::vector<int32_t> few(static_cast<size_t>(below(20)));
    for (int32_t& token : few) token = below(n + 2) - 1;  // some are no tokens
    const auto list = hd::shortlist(row.data(), n, few.data(), static_cast<int32_t>(few.size()));
    CHECK(std::is_sorted(list.begin(), list.end(), std::less_equal<>()) && list.size() <= few.size() + 2);
    CHECK(list.front() == 0);
    for (const int32_t token : few) {
        if (token >= 0 && token < n) row[static_cast<size_t>(token)] += static_cast<float>(below(3) - 1);
    }
    for (const int32_t token : few) {
        CHECK(std::count(list.begin(), list.end(), token) == (token >= 0 && token < n ? 1 : 0));
    }
    int32_t best = list.front();
    for (const int32_t token : list) {
        if (row[static_cast<size_t>(token)] > row[static_cast<size_t>(best)]) best = token;
    }
    CHECK(best == greedy(row));
}

}  // namespace

int main() {
    for (uint32_t seed = 1; seed <= 2000; seed++) shortlist_has_the_winner(seed);
    for (uint32_t seed = 1; seed <= 20; seed++) {
        equals_plain(seed);
    }
    refuses_bad_input();
    return failures() == 0 ? 0 : 1;
}
