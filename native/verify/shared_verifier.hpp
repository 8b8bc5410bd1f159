// One forward of the target over the draft trees and prompt pieces of several conversations in one KV cache.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "draft/draft_tree.hpp"
#include "llama_api.hpp"

namespace hd {

struct SharedLimits {
    int32_t n_vocab = 0;
    int32_t n_cells = 0;   // of the KV cache, for all conversations together
    int32_t max_rows = 1;  // of one forward: at most n_ubatch, so that llama.cpp does not cut it
    int32_t slots = 1;     // conversations that may be in the cache
    int32_t leaves = 1;    // of each draft tree
};

// The cache is written as a log: llama.cpp fills cells from its head upwards as long as none below is free, so what is
// rejected or forgotten is not removed but handed to a sequence of its own, which nobody sees. Every conversation's
// cells thus lie in the order of its positions, whatever the others do, and attention that adds by the rank of a cell
// among those a row sees (our kernels') gives each conversation the bits it has alone. When the log is full, the owner
// drops that sequence and moves the others together (compaction).
//
// A slot is one conversation: `leaves` sequence ids, the first of which is its trunk (see Verifier).
class SharedVerifier {
  public:
    SharedVerifier(const LlamaApi& api, void* ctx, void* memory, SharedLimits limits);
    SharedVerifier(const SharedVerifier&) = delete;
    SharedVerifier& operator=(const SharedVerifier&) = delete;

    // -- one forward: add() each part, decode(), then commit() each slot that took part --

    // `pending` tokens of a slot, the last of which is the tree's root, and the tree. `draws`: the rows of the tree are
    // wanted. Throws std::invalid_argument where a part has no room or no sense; the parts before it stay.
    void add(int32_t slot, const int32_t* pending, int32_t n_pending, const DraftTree& tree, bool draws);
    // What llama_decode returns. If that is not 0, cache and slots are as before, without parts.
    int32_t decode();
    // Keeps pending tokens and path (nodes from the root on), forgets the other nodes.
    void commit(int32_t slot, const int32_t* path, int32_t length);

    const float* row(int32_t slot, int32_t node) const;  // n_vocab floats, valid until the next forward
    int32_t argmax(int32_t slot, int32_t node) const;
    int32_t batch_row(int32_t slot, int32_t node) const;  // index for samplers

    // -- conversations --

    void cut(int32_t slot, int32_t n_past);                      // forgets what lies at or behind n_past
    void share(int32_t source, int32_t target, int32_t n_past);  // an empty slot begins with a part of another one
    void restored(int32_t slot, int32_t cells);  // somebody else appended so many cells to the slot's trunk
    int32_t n_past(int32_t slot) const { return slots_[checked(slot)].n_past(); }
    int32_t sequence(int32_t slot) const { return static_cast<int32_t>(checked(slot)) * limits_.leaves; }
    int32_t trash() const { return limits_.slots * limits_.leaves; }  // the sequence of what was thrown away
    int32_t scratch() const { return trash() + 1; }                   // a sequence that is nobody's

    // -- the log --

    int32_t used() const { return used_; }  // cells below llama.cpp's head
    int32_t live() const;                   // those of them that a slot knows
    void drop_trash();                      // removes the others: before a copy of the cache's state is taken
    void compacted();                       // the copy was put back: the live cells lie one behind the other

    size_t n_vocab() const { return static_cast<size_t>(limits_.n_vocab); }
    int32_t max_rows() const { return limits_.max_rows; }
    int32_t max_leaves() const { return limits_.leaves; }
    int32_t n_cells() const { return limits_.n_cells; }
    // Test aid: "" if llama.cpp's sequences end where the slots do and each slot's cells ascend, else what is wrong.
    std::string check_integrity() const;

  private:
    struct Slot {
        std::vector<int32_t> cells;   // by position: where it lies in the cache
        std::vector<int32_t> synced;  // per branch: positions of the trunk that it holds
        int32_t n_past() const { return static_cast<int32_t>(cells.size()); }
    };
    struct Part {
        int32_t slot, first_row, first_output, chain, nodes;
        std::vector<int32_t> first_leaf, last_leaf;
    };

    size_t checked(int32_t slot) const;
    const Part& part(int32_t slot) const;
    void throw_away(int32_t sequence, int32_t from);
    void forget_parts();

    LlamaApi api_;
    void* ctx_;
    void* memory_;
    SharedLimits limits_;
    std::vector<Slot> slots_;
    std::vector<Part> parts_;
    bool decoded_ = false;
    int32_t used_ = 0;
    int32_t outputs_ = 0;
    const float* logits_ = nullptr;  // of the first output row

    std::vector<int32_t> token_, pos_, n_seq_, sequences_;
    std::vector<int32_t*> seq_;
    std::vector<int8_t> wanted_;
};

// The rows of one slot in the last forward, as samplers and the recycler ask for them.
struct SlotRows {
    const SharedVerifier* verifier;
    int32_t slot;

    const float* row(int32_t node) const { return verifier->row(slot, node); }
};

}  // namespace hd
