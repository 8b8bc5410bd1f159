// SharedVerifier against a fake KV cache that gives out cells as llama.cpp does: from its head on, around the end, into
// any that is free. So a conversation whose cells are out of order, or that sees another's, has other logits than its
// tokens alone.
#include <stdexcept>

#include "check.hpp"
#include "fake_cells.hpp"
#include "verify/shared_verifier.hpp"

namespace {

constexpr int32_t n_cells = 96, slots = 4, leaves = 3;
int32_t head = 0;

int32_t fake_decode(void*, hd::LlamaBatch batch) {
    if (next_code == 1) return 1;
    const auto used =
        static_cast<int32_t>(std::count_if(cells.begin(), cells.end(), [](const Cell& c) { return !c.seqs.empty(); }));
    if (used + batch.n_tokens > n_cells) return 1;
    if (head > used + 2 * batch.n_tokens) head = 0;
    std::vector<int32_t> taken;
    for (int32_t i = 0; i < batch.n_tokens; head++) {
        if (head == n_cells) head = 0;
        Cell& cell = cells[static_cast<size_t>(head)];
        if (!cell.seqs.empty()) continue;
        cell = {batch.pos[i], batch.token[i], {batch.seq_id[i], batch.seq_id[i] + batch.n_seq_id[i]}};
        taken.push_back(head);
        i++;
    }
    if (next_code != 0) {  // llama.cpp takes the cells back
        for (const int32_t cell : taken) cells[static_cast<size_t>(cell)].seqs.clear();
        head = taken.front();
        return next_code;
    }
    compute(batch);
    return 0;
}

bool fake_rm(void*, int32_t seq, int32_t from, int32_t to) {
    for (int32_t i = n_cells; i-- > 0;) {
        Cell& c = cells[static_cast<size_t>(i)];
        if (c.pos < from || (to >= 0 && c.pos >= to) || c.seqs.count(seq) == 0) continue;
        c.seqs.erase(seq);
        if (c.seqs.empty()) head = std::min(head, i);
    }
    return true;
}

void fake_keep(void*, int32_t) {}

const FakeFunctions kFake = {fake_decode, fake_logits, fake_rm, fake_cp, fake_keep, fake_pos_min, fake_pos_max};

hd::SharedVerifier make_verifier() {
    cells.assign(n_cells, {});
    head = next_code = 0;
    int32_t context = 0;
    return {fake_api(kFake), &context, &context, {n_vocab, n_cells, 24, slots, leaves}};
}

// What the owner does with llama.cpp's functions for a context's state: the cells in use, one behind the other.
void compact(hd::SharedVerifier& verifier) {
    verifier.drop_trash();
    std::vector<Cell> kept;
    for (const Cell& c : cells) {
        if (!c.seqs.empty()) kept.push_back(c);
    }
    kept.resize(n_cells);
    cells = kept;
    head = 0;
    verifier.compacted();
}

struct Conversation {
    std::vector<int32_t> tokens;
    hd::DraftTree tree;
    std::vector<int32_t> pending;
    bool draws = true;
};

hd::DraftTree random_tree(std::mt19937& random, int32_t root) {
    hd::DraftTree tree;
    tree.add(root, -1, hd::Tier::target, 1);
    std::vector<int32_t> path = {0};
    for (int i = 0; i < static_cast<int>(random() % 6); i++) {
        while (path.size() > 1 && random() % 3 == 0) path.pop_back();
        const auto token = static_cast<int32_t>(random() % n_vocab);
        if (tree.child(path.back(), token) >= 0) continue;
        path.push_back(tree.add(token, path.back(), hd::Tier::context, 0.5F));
        if (tree.leaves() > leaves) return random_tree(random, root);
    }
    return tree;
}

std::vector<float> alone(const Conversation& of, int32_t node) {
    std::vector<int32_t> path;
    for (int32_t at = node; at > 0; at = of.tree.parent[static_cast<size_t>(at)]) path.insert(path.begin(), at);
    uint32_t h = kHashOfNothing;
    int32_t pos = 0;
    for (const int32_t token : of.tokens) h = add_to_hash(h, pos++, token);
    for (const int32_t token : of.pending) h = add_to_hash(h, pos++, token);
    for (const int32_t at : path) h = add_to_hash(h, pos++, of.tree.token[static_cast<size_t>(at)]);
    std::vector<float> row;
    append_logits(h, row);
    return row;
}

std::vector<int32_t> random_path(std::mt19937& random, const hd::DraftTree& tree) {
    std::vector<int32_t> path = {0};
    while (random() % 4 != 0) {
        std::vector<int32_t> below;
        for (int32_t i = path.back() + 1; i < tree.size(); i++) {
            if (tree.parent[static_cast<size_t>(i)] == path.back()) below.push_back(i);
        }
        if (below.empty()) break;
        path.push_back(below[random() % below.size()]);
    }
    return path;
}

// One forward of some conversations; checks every row against the conversation alone.
void step(std::mt19937& random, hd::SharedVerifier& verifier, std::vector<Conversation>& all) {
    std::vector<int32_t> order = {0, 1, 2, 3}, taking;
    std::shuffle(order.begin(), order.end(), random);
    if (verifier.used() + 24 > n_cells) compact(verifier);
    for (const int32_t s : order) {
        Conversation& of = all[static_cast<size_t>(s)];
        if (random() % 3 == 0) continue;
        of.pending.clear();
        for (int i = 0; i < 1 + static_cast<int>(random() % 3); i++) {
            of.pending.push_back(static_cast<int32_t>(random() % n_vocab));
        }
        of.draws = random() % 4 != 0;
        of.tree = hd::DraftTree();
        of.tree.add(of.pending.back(), -1, hd::Tier::target, 1);
        if (of.draws) of.tree = random_tree(random, of.pending.back());
        try {
            verifier.add(s, of.pending.data(), static_cast<int32_t>(of.pending.size()), of.tree, of.draws);
            taking.push_back(s);
        } catch (const std::invalid_argument&) {  // no room for more rows
        }
    }
    if (taking.empty()) return;
    next_code = random() % 8 == 0 ? (random() % 2 == 0 ? 1 : 2) : 0;
    const int32_t code = verifier.decode();
    CHECK(code == next_code);
    next_code = 0;
    if (code != 0) return;
    for (const int32_t s : taking) {
        const Conversation& of = all[static_cast<size_t>(s)];
        for (int32_t node = 0; of.draws && node < of.tree.size(); node++) {
            const std::vector<float> expected = alone(of, node);
            CHECK(std::equal(expected.begin(), expected.end(), verifier.row(s, node)));
        }
    }
    for (const int32_t s : taking) {
        Conversation& of = all[static_cast<size_t>(s)];
        const std::vector<int32_t> path = random_path(random, of.tree);
        verifier.commit(s, path.data(), static_cast<int32_t>(path.size()));
        of.tokens.insert(of.tokens.end(), of.pending.begin(), of.pending.end());
        for (size_t i = 1; i < path.size(); i++) {
            of.tokens.push_back(of.tree.token[static_cast<size_t>(path[i])]);
        }
    }
}

void test_company_changes_nothing() {
    for (uint32_t seed = 0; seed < 60; seed++) {
        std::mt19937 random(seed);
        hd::SharedVerifier verifier = make_verifier();
        std::vector<Conversation> all(slots);
        for (int i = 0; i < 150; i++) {
            step(random, verifier, all);
            const auto s = static_cast<int32_t>(random() % slots), t = static_cast<int32_t>(random() % slots);
            Conversation& of = all[static_cast<size_t>(s)];
            if (random() % 4 == 0 || of.tokens.size() > 15) {
                const size_t keep = of.tokens.empty() ? 0 : random() % of.tokens.size();
                verifier.cut(s, static_cast<int32_t>(keep));
                of.tokens.resize(keep);
            }
            if (random() % 8 == 0 && s != t) {
                Conversation& other = all[static_cast<size_t>(t)];
                verifier.cut(t, 0);
                verifier.share(s, t, static_cast<int32_t>(of.tokens.size()));
                other.tokens = of.tokens;
            }
            CHECK(verifier.check_integrity().empty());
            for (int32_t k = 0; k < slots; k++) {
                CHECK(verifier.n_past(k) == static_cast<int32_t>(all[static_cast<size_t>(k)].tokens.size()));
            }
        }
    }
}

void test_what_makes_no_sense_is_refused() {
    hd::SharedVerifier verifier = make_verifier();
    hd::DraftTree tree;
    tree.add(3, -1, hd::Tier::target, 1);
    const int32_t three = 3, four = 4, root = 0, beyond = 1;
    CHECK(throws<std::invalid_argument>([&] { verifier.decode(); }));
    CHECK(throws<std::invalid_argument>([&] { verifier.add(slots, &three, 1, tree, true); }));
    CHECK(throws<std::invalid_argument>([&] { verifier.add(0, &four, 1, tree, true); }));
    verifier.add(0, &three, 1, tree, true);
    CHECK(throws<std::invalid_argument>([&] { verifier.add(0, &three, 1, tree, true); }));
    CHECK(throws<std::invalid_argument>([&] { (void)verifier.row(0, 0); }));
    verifier.add(1, &three, 1, tree, false);
    CHECK(throws<std::invalid_argument>([&] { verifier.commit(0, &root, 1); }));
    CHECK(verifier.decode() == 0);
    CHECK(throws<std::invalid_argument>([&] { (void)verifier.row(1, 0); }));
    CHECK(throws<std::invalid_argument>([&] { (void)verifier.row(0, 1); }));
    CHECK(throws<std::invalid_argument>([&] { verifier.commit(0, &beyond, 1); }));
    CHECK(throws<std::invalid_argument>([&] { verifier.commit(2, &root, 1); }));
    CHECK(throws<std::invalid_argument>([&] { verifier.cut(0, 0); }));
    CHECK(throws<std::invalid_argument>([&] { verifier.drop_trash(); }));
    verifier.commit(0, &root, 1);
    verifier.commit(1, &root, 1);
    CHECK(verifier.used() == 2 && verifier.live() == 2);
    verifier.cut(0, 0);
    CHECK(verifier.used() == 2 && verifier.live() == 1);
    CHECK(throws<std::invalid_argument>([&] { verifier.share(1, 0, 2); }));
}

}  // namespace

int main() {
    test_company_changes_nothing();
    test_what_makes_no_sense_is_refused();
    return failures();
}
