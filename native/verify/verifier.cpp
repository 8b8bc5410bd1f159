#include "verifier.hpp"

#include <algorithm>
#include <numeric>

#include "checks.hpp"
#include "greedy.hpp"

namespace hd {

namespace {

constexpr int32_t kAnySequence = -1;
constexpr int32_t kNoSlot = 1, kRefused = -1;  // answers of llama_decode that leave the memory untouched

size_t at(int32_t i) { return static_cast<size_t>(i); }

}  // namespace

Verifier::Verifier(const LlamaApi& api, void* ctx, void* memory, VerifierLimits limits)
    : api_(api), ctx_(ctx), memory_(memory), limits_(limits), abort_(api, ctx) {
    if (ctx == nullptr || memory == nullptr) refuse("the context has no KV cache");
    if (recurrent() && !limits.copies && (limits.max_sequences > 1 || limits.max_rows > limits.rollback + 1)) {
        refuse("a recurrent state: max_rows " + std::to_string(limits.max_rows) +
               " exceeds n_rs_seq + 1, or leaves 1, " + std::to_string(limits.rollback + 1));
    }
    if (limits.n_vocab < 1 || limits.n_ctx < 1 || limits.max_rows < 1 || limits.max_sequences < 1) {
        refuse("n_vocab, n_ctx, max_rows and max_sequences must be positive");
    }
    synced_.assign(at(limits.max_sequences), 0);
    const size_t rows = at(limits.max_rows);
    token_.resize(rows);
    pos_.resize(rows);
    n_seq_.resize(rows);
    seq_.resize(rows);
    logits_.resize(rows);
    sequences_.resize(at(limits.max_sequences));
    std::iota(sequences_.begin(), sequences_.end(), 0);  // a node's sequences are a range: one shared table serves all
}

void Verifier::begin(int32_t n_past) {
    (void)release(n_past);  // a no-op where somebody else's forward ended there
    n_past_ = n_past;
    lost_ = false;
}

int32_t Verifier::decode(const int32_t* pending, int32_t n_pending, const DraftTree& tree) {
    if (lost_) refuse("the recurrent state is lost: forget() comes before the next forward");
    check_tokens(pending, n_pending, tree, limits_.n_vocab);
    const int32_t chain = n_pending - 1;
    const int32_t total = chain + tree.size();
    check_limit("rows:", total, "max_rows", limits_.max_rows);
    check_limit("KV cells:", n_past_ + total, "n_ctx", limits_.n_ctx);
    leaves_ = tree.number_leaves(first_leaf_, last_leaf_);
    check_limit("leaves:", leaves_, "n_seq_max", limits_.max_sequences);

    for (int32_t s = 1; s < leaves_; s++) {
        if (synced_[at(s)] < n_past_) api_.memory_seq_cp(memory_, 0, s, synced_[at(s)], n_past_);
        synced_[at(s)] = n_past_;
    }
    for (int32_t i = 0; i < total; i++) {
        const int32_t node = std::max(i - chain, 0);  // chain tokens lie on every branch, as the root does
        token_[at(i)] = i < chain ? pending[i] : tree.token[at(node)];
        pos_[at(i)] = n_past_ + (i < chain ? i : chain + tree.depth[at(node)]);
        seq_[at(i)] = sequences_.data() + first_leaf_[at(node)];
        n_seq_[at(i)] = last_leaf_[at(node)] - first_leaf_[at(node)] + 1;
        logits_[at(i)] = i >= chain ? 1 : 0;
    }
    n_chain_ = chain;
    rows_ = tree.size();
    readable_ = 0;
    const LlamaBatch batch{total, token_.data(), nullptr, pos_.data(), n_seq_.data(), seq_.data(), logits_.data()};
    if (total > 1 && limits_.copies) keep_copy();
    abort_.hold(recurrent());  // an aborted forward has overwritten the states of some layers
    const int32_t code = api_.decode(ctx_, batch);
    abort_.hold(false);
    if (code != 0) {
        if (recurrent() && (code == kNoSlot || code == kRefused)) {
            drop_copy();
            rows_ = 0;
        } else {
            rollback();
        }
        return code;
    }
    undoable_ = std::max(std::min(total - 1, limits_.rollback), 0);
    // The one wait of a step, inside llama.cpp's function, which waits at every call. On a GPU the forward is timed
    // here.
    logits_of_root_ = api_.get_logits_ith(ctx_, chain);
    readable_ = logits_of_root_ == nullptr ? 0 : rows_;
    return 0;
}

int32_t Verifier::commit(const int32_t* path, int32_t length) {
    if (rows_ == 0) refuse("commit without a decoded tree");
    if (length < 1 || path[0] != 0) refuse("a path begins at the root");
    for (int32_t i = 0; i < length; i++) {
        if (path[i] < 0 || path[i] >= rows_ || (i > 0 && path[i] <= path[i - 1])) {
            refuse("path node " + std::to_string(path[i]) + " does not follow in the tree");
        }
    }
    if (recurrent()) return commit_state(length);
    int32_t kept = 1;
    while (kept < length && path[kept] == kept) kept++;
    const int32_t trunk = n_past_ + n_chain_ + 1;  // up to and with the root: shared by all leaves
    const int32_t end = trunk + kept - 1;
    // Every call walks all cells that llama.cpp has allocated, so there are as few as can be: one drops what lies
    // behind the kept nodes on any branch, and one more each branch that left them earlier. A branch keeps what it
    // shares.
    if (rows_ > kept) api_.memory_seq_rm(memory_, kAnySequence, end, -1);
    for (int32_t s = 1; s < leaves_; s++) {
        int32_t shared = trunk;
        while (shared < end && last_leaf_[at(shared - trunk + 1)] >= s) shared++;
        synced_[at(s)] = shared;
        if (shared < end) api_.memory_seq_rm(memory_, s, shared, end);
    }
    n_past_ = end;
    rows_ = 0;
    return kept;
}

void Verifier::rollback() {
    if (copied_) {
        restore_copy();
        rows_ = readable_ = 0;
        return;
    }
    if (recurrent()) {
        lost_ = true;
        rows_ = readable_ = undoable_ = 0;
        return;
    }
    api_.memory_seq_rm(memory_, kAnySequence, n_past_, -1);
    for (int32_t& end : synced_) end = std::min(end, n_past_);
    rows_ = readable_ = 0;
}

const float* Verifier::row(int32_t node) const {
    if (node < 0 || node >= readable_) {
        refuse("node " + std::to_string(node) + " is outside the decoded tree of " + std::to_string(readable_) +
               " rows");
    }
    // llama.h: the rows asked for are stored contiguously in the order of the batch.
    return logits_of_root_ + at(node) * at(limits_.n_vocab);
}

int32_t Verifier::argmax(int32_t node) const { return first_largest(row(node), limits_.n_vocab); }

std::string Verifier::check_integrity() const {
    const int32_t end = api_.memory_seq_pos_max(memory_, 0);
    if (end != n_past_ - 1) {
        return "sequence 0 ends at " + std::to_string(end) + ", not at " + std::to_string(n_past_ - 1);
    }
    for (int32_t s = 1; s < limits_.max_sequences; s++) {
        const int32_t last = api_.memory_seq_pos_max(memory_, s);
        if (last != synced_[at(s)] - 1) {
            return "sequence " + std::to_string(s) + " ends at " + std::to_string(last) + ", not at " +
                   std::to_string(synced_[at(s)] - 1);
        }
    }
    return "";
}

}  // namespace hd
