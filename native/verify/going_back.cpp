// What a context's memory can take back: the part of the verifier that knows of recurrent states and sliding windows.
#include <algorithm>
#include <stdexcept>

#include "verifier.hpp"

namespace hd {

namespace {

constexpr int32_t kAnySequence = -1;
constexpr int32_t kCopy = 1;  // sequence of the copy of a recurrent state

}  // namespace

// Whether sequence 0 can end at n_past: see what a memory can take back.
bool Verifier::reaches(int32_t n_past) const {
    if (n_past == 0) return true;
    const int32_t end = api_.memory_seq_pos_max(memory_, 0) + 1;
    if (recurrent() && (lost_ || end < n_past || end - n_past > undoable_)) return false;
    return limits_.window == 0 || end <= n_past ||
           api_.memory_seq_pos_min(memory_, 0) <= std::max(n_past - limits_.window, 0);
}

void Verifier::forget() {
    // Of any sequence at once, a recurrent memory leaves sequence 0 pointing at an empty cell, and aborts at the next
    // one.
    api_.memory_seq_rm(memory_, recurrent() ? 0 : kAnySequence, -1, -1);
    drop_copy();
    std::fill(synced_.begin(), synced_.end(), 0);
    n_past_ = rows_ = readable_ = undoable_ = 0;
    lost_ = false;
}

bool Verifier::release(int32_t n_past) {
    const bool holds = reaches(n_past);
    undoable_ = 0;  // whoever uses the context next makes the snapshots stale
    if (!holds) {
        rows_ = readable_ = 0;
        return false;
    }
    if (recurrent()) {
        if (n_past == 0) {
            forget();
        } else {
            api_.memory_seq_rm(memory_, 0, n_past, -1);  // of any sequence is refused
            n_past_ = std::min(n_past_, n_past);
            rows_ = readable_ = 0;
        }
        return true;
    }
    if (std::any_of(synced_.begin(), synced_.end(), [](int32_t end) { return end > 0; })) {
        api_.memory_seq_keep(memory_, 0);
        std::fill(synced_.begin(), synced_.end(), 0);
    }
    api_.memory_seq_rm(memory_, kAnySequence, n_past, -1);
    n_past_ = std::min(n_past_, n_past);
    rows_ = readable_ = 0;
    return true;
}

// Sequence 1 takes part in the state's cell, without any copying: the next forward of sequence 0 writes to another. The
// range is empty, so that no attention cell is touched; recurrent states have no ranges.
void Verifier::keep_copy() {
    api_.memory_seq_cp(memory_, 0, kCopy, n_past_, n_past_);
    copied_ = true;
}

void Verifier::drop_copy() {
    if (copied_) api_.memory_seq_rm(memory_, kCopy, -1, -1);
    copied_ = false;
}

void Verifier::restore_copy() {
    api_.memory_seq_cp(memory_, kCopy, 0, n_past_, n_past_);
    drop_copy();
    api_.memory_seq_rm(memory_, 0, n_past_, -1);  // attention's cells
}

// The only branch is the batch itself: its tail goes by the snapshot after the last accepted token.
int32_t Verifier::commit_state(int32_t length) {
    const int32_t end = n_past_ + n_chain_ + length;
    if (rows_ > length && copied_) {
        restore_copy();
        rows_ = 0;
        return 0;
    }
    drop_copy();
    if (rows_ > length) {
        if (!api_.memory_seq_rm(memory_, 0, end, -1)) {
            lost_ = true;
            throw std::runtime_error("llama.cpp refused to take back " + std::to_string(rows_ - length) + " of " +
                                     std::to_string(rows_) + " tokens, n_rs_seq is " +
                                     std::to_string(limits_.rollback));
        }
        undoable_ = 0;
    }
    n_past_ = end;
    rows_ = 0;
    return length;
}

}  // namespace hd
