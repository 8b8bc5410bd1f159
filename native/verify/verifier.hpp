// One forward of the target over a draft tree, and the KV cache book-keeping around it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "abort_flag.hpp"
#include "draft/draft_tree.hpp"
#include "llama_api.hpp"

namespace hd {

// What a context's memory can take back. Attention's cells go one by one; a recurrent state is overwritten by every
// token, and llama.cpp keeps snapshots of it after the last few tokens of a forward only (n_rs_seq); cells that a
// sliding window has left are overwritten.
constexpr int32_t kCellsAlone = -1;  // VerifierLimits.rollback of a memory without recurrent states

struct VerifierLimits {
    int32_t n_vocab = 0;
    int32_t n_ctx = 0;               // KV cells
    int32_t max_rows = 1;            // rows of one forward
    int32_t max_sequences = 1;       // n_seq_max of the context: at most so many leaves
    int32_t rollback = kCellsAlone;  // n_rs_seq of the context; 0: there is a recurrent state and no way back
    bool copies = false;             // sequence 1 is free for a copy of the recurrent state while a draft is verified
    int32_t window = 0;              // tokens of a sliding window whose older cells may be overwritten; 0: none are
};

// A tree in one unified KV cache: one sequence id per leaf, every node carries the sequences of all leaves below it, so
// a row sees the trunk and its own ancestors and nothing else (llama.cpp's examples/lookahead encodes trees this way).
// Sequence 0 is the trunk and the likeliest leaf. `synced_[s]` says how much of the trunk sequence s holds already, so
// a step touches the new cells only, never the whole prefix.
class Verifier {
  public:
    Verifier(const LlamaApi& api, void* ctx, void* memory, VerifierLimits limits);
    Verifier(const Verifier&) = delete;
    Verifier& operator=(const Verifier&) = delete;

    // The trunk holds positions [0, n_past): sequence 0 was filled by somebody else (prefill).
    void begin(int32_t n_past);
    // Free every sequence but 0; cells of sequence 0 at or behind n_past go too. Call before anyone else uses the
    // context. False: the memory cannot go back to n_past, and is as before; forget() or restore what lies further
    // back.
    bool release(int32_t n_past);
    // Empties the memory.
    void forget();

    // Feeds `pending` (tokens already decided but not yet in the KV cache, the last of which is the tree's root) and
    // the tree behind them. Afterwards row(i) are the logits of node i. Returns what llama_decode returns; if that is
    // not 0 the KV cache is as before, or, where there is a recurrent state and the forward had begun, nothing holds
    // but forget(). Throws std::invalid_argument on a malformed tree.
    int32_t decode(const int32_t* pending, int32_t n_pending, const DraftTree& tree);

    // Keeps the path (nodes from the root on, each the child of the one before) and drops all other nodes.
    // Returns how many path nodes are now in the KV cache: those that follow each other in the batch; where a copy of
    // the state was taken back, none. The rest, if any, must be fed again as pending tokens, because attention sums in
    // the order of the cells: they stay in the order of the positions, as plain decoding leaves them.
    int32_t commit(const int32_t* path, int32_t length);
    // Drops everything behind the trunk of the last begin() or commit(): the forward counts as not made. A recurrent
    // state is lost by that.
    void rollback();

    size_t n_vocab() const { return static_cast<size_t>(limits_.n_vocab); }
    int32_t max_rows() const { return limits_.max_rows; }
    bool copies() const { return limits_.copies; }
    int32_t max_leaves() const { return limits_.max_sequences; }
    int32_t n_past() const { return n_past_; }
    int32_t rows() const { return rows_; }  // of the tree that is neither committed nor rolled back
    const float* row(int32_t node) const;   // n_vocab floats, valid until the context's next forward
    int32_t argmax(int32_t node) const;
    int32_t batch_row(int32_t node) const { return n_chain_ + node; }  // index for llama_get_logits_ith and samplers

    // Takes the abort callback out of the context: the owner calls it before either of the two goes away.
    void detach() { abort_.detach(); }
    bool detached() const { return abort_.detached(); }
    void cancel() { abort_.raise(); }
    void clear_cancel() { abort_.clear(); }
    bool cancelled() const { return abort_.raised(); }

    // Test aid: "" if sequence 0 ends at n_past - 1 and all other sequences are within the trunk, else what is wrong.
    std::string check_integrity() const;

  private:
    bool recurrent() const { return limits_.rollback != kCellsAlone; }
    bool reaches(int32_t n_past) const;
    int32_t commit_state(int32_t length);
    void keep_copy();
    void drop_copy();
    void restore_copy();

    LlamaApi api_;
    void* ctx_;
    void* memory_;
    VerifierLimits limits_;
    AbortFlag abort_;

    int32_t n_past_ = 0;    // trunk length
    int32_t n_chain_ = 0;   // pending tokens before the root in the last batch
    int32_t rows_ = 0;      // tree nodes of the last batch, 0 once committed or rolled back
    int32_t readable_ = 0;  // rows that the last batch left in llama.cpp's buffer
    int32_t leaves_ = 0;
    int32_t undoable_ = 0;  // tokens that a recurrent state can take back: snapshots of the last forward, used once
    bool copied_ = false;   // sequence 1 has the recurrent state of the trunk
    bool lost_ = false;     // the recurrent state is none of any prefix
    const float* logits_of_root_ = nullptr;  // of the last batch; one row of n_vocab floats per node
    std::vector<int32_t> synced_;
    std::vector<int32_t> first_leaf_, last_leaf_;  // per node: the range of its sequences

    std::vector<int32_t> token_, pos_, n_seq_, sequences_;
    std::vector<int32_t*> seq_;
    std::vector<int8_t> logits_;
};

}  // namespace hd
