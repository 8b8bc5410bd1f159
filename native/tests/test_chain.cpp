// Verifier against a fake recurrent memory that obeys llama.cpp's rules: a sequence is one cell with the hash of its
// tokens and snapshots after the last tokens of the last forward. It goes back to a snapshot once, and to any it has,
// stale or not.
#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "check.hpp"
#include "fake_api.hpp"
#include "verify/verifier.hpp"

namespace {

struct State {
    uint32_t hash = 0;
    int32_t end = 0;                  // tokens
    std::vector<uint32_t> snapshots;  // [k]: k tokens before the end of the last forward, if it had so many
    bool pending = false;
};

std::map<int32_t, State> sequences;
std::vector<float> outputs;
int32_t snapshots_kept = 0;
constexpr int32_t n_vocab = 40;

uint32_t add(uint32_t hash, int32_t token) { return (hash ^ static_cast<uint32_t>(token + 1)) * 16777619u; }

int32_t next_of(uint32_t hash) { return static_cast<int32_t>(hash >> 8) % 7; }

int32_t fake_decode(void*, hd::LlamaBatch batch) {
    State& s = sequences[0];
    std::vector<uint32_t> after;
    outputs.clear();
    for (int32_t i = 0; i < batch.n_tokens; i++) {
        CHECK(batch.n_seq_id[i] == 1 && batch.seq_id[i][0] == 0 && batch.pos[i] == s.end + i);
        after.push_back(s.hash);
        s.hash = add(s.hash, batch.token[i]);
        if (!batch.logits[i]) continue;
        outputs.resize(outputs.size() + n_vocab, 0.0f);
        outputs[outputs.size() - n_vocab + static_cast<size_t>(next_of(s.hash))] = 1.0f;
    }
    after.push_back(s.hash);
    s.end += batch.n_tokens;
    s.pending = false;
    std::reverse(after.begin(), after.end());
    after.pop_back();  // the state before the forward is none of its snapshots
    s.snapshots.resize(static_cast<size_t>(snapshots_kept) + 1, 0xbad);
    std::copy_n(after.begin(), std::min(after.size(), s.snapshots.size()), s.snapshots.begin());
    return 0;
}

float* fake_logits(void*, int32_t) { return outputs.data(); }

bool fake_rm(void*, int32_t seq, int32_t from, int32_t) {
    if (from <= 0) return sequences.erase(seq), true;
    const auto found = sequences.find(seq);
    if (seq < 0) return false;
    if (found == sequences.end() || from >= found->second.end) return true;
    State& s = found->second;
    const int32_t back = s.end - from;
    if (s.pending || back > snapshots_kept) return false;
    s.hash = s.snapshots.at(static_cast<size_t>(back));
    s.end = from;
    return s.pending = true;
}

void fake_cp(void*, int32_t source, int32_t target, int32_t from, int32_t to) {
    CHECK(from == to);  // attention's cells stay
    sequences[target] = sequences[source];
}
void fake_keep(void*, int32_t) { CHECK(false); }
int32_t fake_pos(void*, int32_t seq) { return sequences.count(seq) ? sequences[seq].end - 1 : -1; }

const FakeFunctions kFake = {fake_decode, fake_logits, fake_rm, fake_cp, fake_keep, fake_pos, fake_pos};

// Chains, half of whose tokens are what the target would say; after each step the context may be asked to go back.
void equals_plain(uint32_t seed, bool copies) {
    sequences.clear();
    snapshots_kept = copies ? 0 : 5;
    std::mt19937 random(seed);
    const auto below = [&](uint32_t n) { return static_cast<int32_t>(random() % n); };
    hd::VerifierLimits limits{n_vocab, 1000, copies ? 12 : 6, 1, snapshots_kept};
    limits.copies = copies;
    hd::Verifier verifier(fake_api(kFake), &sequences, &sequences, limits);
    const auto hash_of = [](const std::vector<int32_t>& text, int32_t n) {
        uint32_t hash = 0;
        for (int32_t i = 0; i < n; i++) hash = add(hash, text[static_cast<size_t>(i)]);
        return hash;
    };
    std::vector<int32_t> text = {3}, again;
    for (int step = 0; step < 100; step++) {
        hd::DraftTree tree;
        tree.add(text.back(), -1, hd::Tier::target, 1);
        uint32_t hash = hash_of(text, static_cast<int32_t>(text.size()));
        for (int32_t i = again.empty() ? below(6) : 0; i > 0; i--) {
            const int32_t token = below(4) ? next_of(hash) : below(n_vocab);
            tree.add(token, tree.size() - 1, hd::Tier::context, 0.5f);
            hash = add(hash, token);
        }
        again.push_back(text.back());
        CHECK(verifier.decode(again.data(), static_cast<int32_t>(again.size()), tree) == 0);
        std::vector<int32_t> path = {0};
        for (;;) {
            text.push_back(verifier.argmax(path.back()));
            CHECK(text.back() == next_of(hash_of(text, static_cast<int32_t>(text.size()) - 1)));
            const int32_t child = tree.child(path.back(), text.back());
            if (child < 0) break;
            path.push_back(child);
        }
        const int32_t kept = verifier.commit(path.data(), static_cast<int32_t>(path.size()));
        again.assign(text.end() - 1 - static_cast<int32_t>(path.size()) + kept, text.end() - 1);
        CHECK(verifier.n_past() + static_cast<int32_t>(again.size()) + 1 == static_cast<int32_t>(text.size()));
        CHECK(sequences.count(1) == 0);
        CHECK(sequences[0].hash == hash_of(text, verifier.n_past()));
        const int32_t back = verifier.n_past() - below(4);
        if (step % 5 == 0 && back > 0) {
            if (verifier.release(back)) {  // what is left is right, whatever llama.cpp would have said
                CHECK(sequences[0].hash == hash_of(text, back));
                text.resize(static_cast<size_t>(back) + 1);
                again.clear();
            } else {
                CHECK(sequences[0].hash == hash_of(text, verifier.n_past()));
            }
        }
    }
    verifier.rollback();
    CHECK(!verifier.release(1));  // lost
    verifier.forget();
    CHECK(verifier.release(0) && verifier.n_past() == 0);
}

}  // namespace

int main() {
    for (uint32_t seed = 1; seed <= 50; seed++) {
        equals_plain(seed, false);
        equals_plain(seed, true);
    }
    return failures() == 0 ? 0 : 1;
}
