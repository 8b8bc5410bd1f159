#include "shared_verifier.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

#include "checks.hpp"
#include "greedy.hpp"

namespace hd {

namespace {

size_t at(int32_t i) { return static_cast<size_t>(i); }

}  // namespace

SharedVerifier::SharedVerifier(const LlamaApi& api, void* ctx, void* memory, SharedLimits limits)
    : api_(api), ctx_(ctx), memory_(memory), limits_(limits) {
    if (ctx == nullptr || memory == nullptr) refuse("the context has no KV cache");
    if (std::min({limits.n_vocab, limits.n_cells, limits.max_rows, limits.slots, limits.leaves}) < 1) {
        refuse("n_vocab, n_cells, max_rows, slots and leaves must be positive");
    }
    slots_.resize(at(limits.slots));
    for (Slot& slot : slots_) slot.synced.assign(at(limits.leaves), 0);
    const size_t rows = at(limits.max_rows);
    for (auto* numbers : {&token_, &pos_, &n_seq_}) numbers->reserve(rows);
    seq_.reserve(rows);
    wanted_.reserve(rows);
    sequences_.resize(at(trash()));
    std::iota(sequences_.begin(), sequences_.end(), 0);  // a node's sequences are a range: one shared table serves all
}

size_t SharedVerifier::checked(int32_t slot) const {
    if (slot < 0 || slot >= limits_.slots) {
        refuse("slot " + std::to_string(slot) + " is outside [0, " + std::to_string(limits_.slots) + ")");
    }
    return at(slot);
}

const SharedVerifier::Part& SharedVerifier::part(int32_t slot) const {
    (void)checked(slot);
    for (const Part& one : parts_) {
        if (one.slot == slot) return one;
    }
    refuse("slot " + std::to_string(slot) + " takes no part in this forward");
}

void SharedVerifier::add(int32_t slot, const int32_t* pending, int32_t n_pending, const DraftTree& tree, bool draws) {
    Slot& of = slots_[checked(slot)];
    if (decoded_) refuse("the last forward's parts must be committed first");
    for (const Part& one : parts_) {
        if (one.slot == slot) refuse("slot " + std::to_string(slot) + " has its part already");
    }
    check_tokens(pending, n_pending, tree, limits_.n_vocab);
    Part made{slot, static_cast<int32_t>(token_.size()), outputs_, n_pending - 1, tree.size(), {}, {}};
    const int32_t total = made.chain + made.nodes, leaves = tree.number_leaves(made.first_leaf, made.last_leaf);
    check_limit("rows:", made.first_row + total, "max_rows", limits_.max_rows);
    check_limit("KV cells:", used_ + made.first_row + total, "n_cells", limits_.n_cells);
    check_limit("leaves:", leaves, "the slot's sequences", limits_.leaves);
    const int32_t past = of.n_past(), trunk = sequence(slot);
    for (int32_t s = 1; s < leaves; s++) {
        if (of.synced[at(s)] < past) api_.memory_seq_cp(memory_, trunk, trunk + s, of.synced[at(s)], past);
        of.synced[at(s)] = past;
    }
    for (int32_t i = 0; i < total; i++) {
        const int32_t node = std::max(i - made.chain, 0);  // chain tokens lie on every branch, as the root does
        token_.push_back(i < made.chain ? pending[i] : tree.token[at(node)]);
        pos_.push_back(past + (i < made.chain ? i : made.chain + tree.depth[at(node)]));
        seq_.push_back(sequences_.data() + trunk + made.first_leaf[at(node)]);
        n_seq_.push_back(made.last_leaf[at(node)] - made.first_leaf[at(node)] + 1);
        wanted_.push_back(draws && i >= made.chain ? 1 : 0);
    }
    outputs_ += draws ? made.nodes : 0;
    if (!draws) made.first_output = -1;
    parts_.push_back(std::move(made));
}

int32_t SharedVerifier::decode() {
    if (decoded_) refuse("the last forward's parts must be committed first");
    if (parts_.empty()) refuse("a forward needs at least one part");
    const auto rows = static_cast<int32_t>(token_.size());
    const LlamaBatch batch{rows, token_.data(), nullptr, pos_.data(), n_seq_.data(), seq_.data(), wanted_.data()};
    const int32_t code = api_.decode(ctx_, batch);
    if (code != 0) {
        for (const Part& one : parts_) {
            const Slot& of = slots_[at(one.slot)];
            for (int32_t s = 0; s < limits_.leaves; s++) {
                api_.memory_seq_rm(memory_, sequence(one.slot) + s, of.n_past(), -1);
            }
        }
        forget_parts();
        return code;
    }
    logits_ = nullptr;
    const auto first = std::find(wanted_.begin(), wanted_.end(), 1);
    if (first != wanted_.end()) logits_ = api_.get_logits_ith(ctx_, static_cast<int32_t>(first - wanted_.begin()));
    decoded_ = true;
    return 0;
}

// What a sequence has at or behind a position belongs to nobody from now on.
void SharedVerifier::throw_away(int32_t of, int32_t from) {
    api_.memory_seq_cp(memory_, of, trash(), from, limits_.n_cells);
    api_.memory_seq_rm(memory_, of, from, -1);
}

void SharedVerifier::commit(int32_t slot, const int32_t* path, int32_t length) {
    if (!decoded_) refuse("commit without a forward");
    const Part& made = part(slot);
    if (length < 1 || path[0] != 0) refuse("a path begins at the root");
    for (int32_t i = 0; i < length; i++) {
        if (path[i] < 0 || path[i] >= made.nodes || (i > 0 && path[i] <= path[i - 1])) {
            refuse("node " + std::to_string(path[i]) + " is not on a path of the tree of " +
                   std::to_string(made.nodes) + " rows");
        }
    }
    Slot& of = slots_[at(slot)];
    const int32_t trunk = sequence(slot), root = of.n_past() + made.chain, end = root + length;
    const int32_t leaves = made.last_leaf[0] + 1, last = made.first_leaf[at(path[length - 1])];
    int32_t own = length;  // nodes of the path that the trunk has
    while (made.first_leaf[at(path[own - 1])] > 0) own--;
    for (int32_t s = 1; s < leaves; s++) {  // the copies of the path's cells do no harm: the trunk has them too
        if (s == last && own < length) api_.memory_seq_cp(memory_, trunk + s, scratch(), root + own, end);
        throw_away(trunk + s, root + 1);
        of.synced[at(s)] = root + 1;
    }
    if (own < length || made.nodes > length) throw_away(trunk, root + own);
    if (own < length) {
        api_.memory_seq_cp(memory_, scratch(), trunk, root + own, end);
        api_.memory_seq_rm(memory_, scratch(), -1, -1);
    }
    for (int32_t i = 0; i < made.chain; i++) of.cells.push_back(used_ + made.first_row + i);
    for (int32_t i = 0; i < length; i++) of.cells.push_back(used_ + made.first_row + made.chain + path[i]);
    parts_.erase(std::find_if(parts_.begin(), parts_.end(), [slot](const Part& one) { return one.slot == slot; }));
    if (parts_.empty()) {
        used_ += static_cast<int32_t>(token_.size());
        forget_parts();
    }
}

void SharedVerifier::forget_parts() {
    parts_.clear();
    for (auto* numbers : {&token_, &pos_, &n_seq_}) numbers->clear();
    seq_.clear();
    wanted_.clear();
    outputs_ = 0;
    decoded_ = false;
}

const float* SharedVerifier::row(int32_t slot, int32_t node) const {
    const Part& made = part(slot);
    if (!decoded_ || logits_ == nullptr || made.first_output < 0 || node < 0 || node >= made.nodes) {
        refuse("node " + std::to_string(node) + " of slot " + std::to_string(slot) + " has no logits");
    }
    // llama.h: the rows asked for are stored contiguously in the order of the batch.
    return logits_ + at(made.first_output + node) * n_vocab();
}

int32_t SharedVerifier::argmax(int32_t slot, int32_t node) const {
    return first_largest(row(slot, node), limits_.n_vocab);
}

int32_t SharedVerifier::batch_row(int32_t slot, int32_t node) const {
    const Part& made = part(slot);
    return made.first_row + made.chain + node;
}

void SharedVerifier::cut(int32_t slot, int32_t n_past) {
    Slot& of = slots_[checked(slot)];
    if (!parts_.empty()) refuse("a conversation cannot be cut between add() and commit()");
    if (n_past < 0 || n_past >= of.n_past()) return;
    throw_away(sequence(slot), n_past);
    for (int32_t s = 1; s < limits_.leaves; s++) {
        if (of.synced[at(s)] > n_past) api_.memory_seq_rm(memory_, sequence(slot) + s, n_past, -1);
        of.synced[at(s)] = std::min(of.synced[at(s)], n_past);
    }
    of.cells.resize(at(n_past));
}

void SharedVerifier::share(int32_t source, int32_t target, int32_t n_past) {
    const Slot& from = slots_[checked(source)];
    Slot& to = slots_[checked(target)];
    if (!parts_.empty() || source == target || to.n_past() > 0) refuse("only an empty slot can begin with another's");
    check_limit("tokens to share:", n_past, "those of the source", from.n_past());
    api_.memory_seq_cp(memory_, sequence(source), sequence(target), 0, n_past);
    to.cells.assign(from.cells.begin(), from.cells.begin() + n_past);
}

void SharedVerifier::restored(int32_t slot, int32_t cells) {
    Slot& of = slots_[checked(slot)];
    check_limit("KV cells:", used_ + cells, "n_cells", limits_.n_cells);
    for (int32_t i = 0; i < cells; i++) of.cells.push_back(used_ + i);
    used_ += cells;
}

int32_t SharedVerifier::live() const {
    std::vector<bool> known(at(used_));
    for (const Slot& slot : slots_) {
        for (const int32_t cell : slot.cells) known[at(cell)] = true;
    }
    return static_cast<int32_t>(std::count(known.begin(), known.end(), true));
}

void SharedVerifier::drop_trash() {
    if (!parts_.empty()) refuse("the log cannot be compacted between add() and commit()");
    api_.memory_seq_rm(memory_, trash(), -1, -1);
}

void SharedVerifier::compacted() {
    std::vector<int32_t> moved(at(used_), 0);
    for (const Slot& slot : slots_) {
        for (const int32_t cell : slot.cells) moved[at(cell)] = 1;
    }
    int32_t end = 0;
    for (int32_t& cell : moved) cell = cell > 0 ? end++ : -1;
    for (Slot& slot : slots_) {
        for (int32_t& cell : slot.cells) cell = moved[at(cell)];
    }
    used_ = end;
}

std::string SharedVerifier::check_integrity() const {
    for (int32_t s = 0; s < limits_.slots; s++) {
        const Slot& of = slots_[at(s)];
        const int32_t end = api_.memory_seq_pos_max(memory_, sequence(s));
        if (end != of.n_past() - 1) {
            return "slot " + std::to_string(s) + " ends at " + std::to_string(end) + ", not at " +
                   std::to_string(of.n_past() - 1);
        }
        if (std::adjacent_find(of.cells.begin(), of.cells.end(), std::greater_equal<>()) != of.cells.end()) {
            return "the cells of slot " + std::to_string(s) + " are not in order";
        }
    }
    return "";
}

}  // namespace hd
