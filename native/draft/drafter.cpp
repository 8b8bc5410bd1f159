#include "drafter.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>

namespace hd {

namespace {
constexpr float least_path_chance = 0.0007F;  // less likely paths are not worth looking at, however cheap a row is
constexpr size_t most_missing = 4;
}  // namespace

Drafter::Drafter(DrafterLimits limits)
    : limits_(limits), index_(limits.n_vocab, limits.max_tokens), expander_(index_, recycler_, mixer_) {
    const int32_t one = 1;
    const float unit = 1;
    set_cost(&one, &unit, 1);
}

void Drafter::set_cost(const int32_t* rows, const float* cost, int n) {
    const auto size = static_cast<size_t>(std::max(*std::max_element(rows, rows + n), 1)) + 1;
    cost_.assign(size, INFINITY);
    padded_.assign(size, 1);
    for (int i = 0; i < n; i++) {
        for (int k = 1; k <= rows[i]; k++) {
            const auto at = static_cast<size_t>(k);
            if (!(cost[i] < cost_[at])) continue;
            cost_[at] = cost[i];
            padded_[at] = rows[i];
        }
    }
}

void Drafter::begin(const int32_t* tokens, int n) {
    index_.begin(tokens, n);
    tree_.clear();
}

int Drafter::expand(int node) {
    const int at = expanded_++;
    if (static_cast<size_t>(at) == expansions_.size()) expansions_.emplace_back();
    Node& from = nodes_[static_cast<size_t>(node)];
    from.expansion = at;
    expander_.expand(from.tail, from.depth, from.chance, expansions_[static_cast<size_t>(at)]);
    note_missing(from);
    return at;
}

void Drafter::note_missing(Node& node) {
    const int32_t* end = node.tail.end();
    const auto note = [&](Tier tier, const MissingKeys& keys) {
        auto& list = missing_[static_cast<size_t>(tier)];
        const auto add = [&](int64_t key) {
            if (list.size() < most_missing && std::find(list.begin(), list.end(), key) == list.end()) {
                list.push_back(key);
            }
        };
        if (keys.pair) add(ngram_key(end, 2));
        if (keys.single) add(ngram_key(end, 1));
    };
    note(Tier::model, expander_.model_missing);
    note(Tier::statistics, expander_.statistics_missing);
}

// Puts the likeliest candidate of `node` that is not in the tree yet onto the heap.
void Drafter::offer(int node) {
    Node& from = nodes_[static_cast<size_t>(node)];
    const Expansion& expansion = expansions_[static_cast<size_t>(from.expansion)];
    int best = -1;
    for (int i = 0; i < expansion.n; i++) {
        if ((from.placed >> i & 1) == 0 && (best < 0 || expansion.chance[i] > expansion.chance[best])) best = i;
    }
    from.next = best;
    if (best < 0 || from.chance * expansion.chance[best] < least_path_chance) return;
    open_.push_back({from.chance * expansion.chance[best], node});
    std::push_heap(open_.begin(), open_.end());
}

// Moves the likeliest candidate of all nodes into the tree; returns its node, or -1 when none is left that fits.
int Drafter::enter_best(int max_leaves) {
    while (!open_.empty()) {
        std::pop_heap(open_.begin(), open_.end());
        const Open best = open_.back();
        open_.pop_back();
        const Node from = nodes_[static_cast<size_t>(best.node)];
        const bool first_child = from.placed == 0;
        if (!first_child && leaves_ >= max_leaves) continue;  // its other candidates would be leaves too
        leaves_ += first_child ? 0 : 1;
        const Expansion& expansion = expansions_[static_cast<size_t>(from.expansion)];
        const int32_t token = expansion.token[from.next];
        nodes_.push_back({token, best.node, from.depth + 1, expansion.tier[from.next], best.chance,
                          from.tail.extended(token), -1, -1, 0});
        nodes_[static_cast<size_t>(best.node)].placed |= uint64_t{1} << from.next;
        offer(best.node);
        return static_cast<int>(nodes_.size()) - 1;
    }
    return -1;
}

// Could a larger size be better than `best`, if every further node were as likely as `next`? Exact, since chances only
// fall along the growth.
bool Drafter::could_improve(int rows, float sum, float next, float best, int max_rows) const {
    for (int n = rows + 1; n <= max_rows; n++) {
        if (1 + sum + static_cast<float>(n - rows) * next > best * cost_[static_cast<size_t>(n)]) return true;
    }
    return false;
}

// The last tokens of the conversation.
Tail Drafter::tail() const {
    const std::vector<int32_t>& text = index_.tokens();
    Tail tail;
    for (size_t i = text.size() - std::min<size_t>(text.size(), max_key_length); i < text.size(); i++) {
        tail = tail.extended(text[i]);
    }
    return tail;
}

const DraftTree& Drafter::grow(int max_rows, int max_leaves) {
    nodes_.clear();
    open_.clear();
    expanded_ = 0;
    leaves_ = 1;
    for (auto& list : missing_) list.clear();
    const Tail text = tail();
    nodes_.push_back({text.end()[-1], -1, 0, Tier::target, 1.0F, text, -1, -1, 0});
    int limit = std::min(max_rows, static_cast<int>(cost_.size()) - 1);
    while (limit > 1 && padded_[static_cast<size_t>(limit)] > limit) limit--;  // a size on offer
    int rows = 1, best_rows = 1;
    float sum = 0;
    float best = 1 / cost_[1];
    expand(0);
    offer(0);
    while (rows < limit && !open_.empty() && could_improve(rows, sum, open_.front().chance, best, limit)) {
        const int node = enter_best(max_leaves);
        if (node < 0) break;
        const Node& entered = nodes_[static_cast<size_t>(node)];
        rows++;
        sum += entered.chance;
        const float value = (1 + sum) / cost_[static_cast<size_t>(rows)];
        if (value > best) {
            best = value;
            best_rows = rows;
        }
        const float next = std::max(entered.chance, open_.empty() ? 0.0F : open_.front().chance);
        if (entered.depth < limits_.max_depth && could_improve(rows, sum, next, best, limit)) {
            expand(node);
            offer(node);
        }
    }
    // A size on offer may be cheaper than a smaller one (the curve is a saw): fill it up, likeliest first.
    const int wanted = std::max(1, std::min(padded_[static_cast<size_t>(best_rows)], limit));
    while (rows < wanted && enter_best(max_leaves) >= 0) rows++;
    while (rows < wanted) {
        const Node last = nodes_.back();  // nothing left: repeat the last token below itself, it takes no leaf
        const Tier tier = last.tier == Tier::target ? Tier::context : last.tier;  // only the root is the target's own
        nodes_.push_back({last.token, rows - 1, last.depth + 1, tier, 0.0F, last.tail, -1, -1, 0});
        nodes_[static_cast<size_t>(rows) - 1].placed |= 1;
        rows++;
    }
    emit(wanted);
    return tree_;
}

// The first `rows` nodes in pre-order. Siblings entered likeliest first already.
void Drafter::emit(int rows) {
    tree_.clear();
    order_.clear();
    children_.resize(std::max(children_.size(), static_cast<size_t>(rows)));
    for (int i = 0; i < rows; i++) children_[static_cast<size_t>(i)].clear();
    for (int i = 1; i < rows; i++) {
        children_[static_cast<size_t>(nodes_[static_cast<size_t>(i)].parent)].push_back(i);
    }
    emit_below(0, -1, rows);
    static std::atomic<uint64_t> growths{0};
    tree_.growth = ++growths;
}

void Drafter::emit_below(int node, int parent, int rows) {
    const Node& from = nodes_[static_cast<size_t>(node)];
    const float chance = parent >= 0 && from.chance > 0 ? curve_.refine(from.chance) : from.chance;
    const int at = tree_.add(from.token, parent, from.tier, chance);
    order_.push_back(node);
    for (int child : children_[static_cast<size_t>(node)]) emit_below(child, at, rows);
}

void Drafter::learn(const DraftTree& tree, const int32_t* tokens, int n) {
    if (n < 1) return;
    if (tree.growth == 0 || tree.growth != tree_.growth) grow(1, 1);
    const std::vector<int32_t> path = tree_.follow(tokens, static_cast<size_t>(n));
    for (size_t i = 0; i < std::min(path.size(), static_cast<size_t>(n)); i++) {
        const int node = order_[static_cast<size_t>(path[i])];
        if (nodes_[static_cast<size_t>(node)].expansion < 0) expand(node);
        const int expansion = nodes_[static_cast<size_t>(node)].expansion;
        mixer_.learn(expansions_[static_cast<size_t>(expansion)], tokens[i]);
    }
    // A last token that was drafted too was not verified further, because the generation was closed then.
    if (path.size() <= static_cast<size_t>(n)) learn_paths(path);
}

// Which drafted paths came true.
void Drafter::learn_paths(const std::vector<int32_t>& path) {
    size_t taken = 1;
    for (int node = 1; node < tree_.size(); node++) {
        const bool came_true = taken < path.size() && path[taken] == node;
        if (came_true) taken++;
        const float chance = nodes_[static_cast<size_t>(order_[static_cast<size_t>(node)])].chance;
        if (chance > 0) curve_.learn(chance, came_true ? 1.0F : 0.0F);
    }
}

void Drafter::append(const int32_t* tokens, int n) {
    for (int i = 0; i < n; i++) index_.append(tokens[i]);
}

void Drafter::recycle(const DraftTree& tree, int node, const RecycledRow& row) {
    std::vector<int32_t> below;  // tokens from the node up to the root, which the tail ends with
    for (int at = node; at > 0; at = tree.parent[static_cast<size_t>(at)]) {
        below.push_back(tree.token[static_cast<size_t>(at)]);
    }
    Tail text = tail();
    for (size_t i = below.size(); i > 0; i--) text = text.extended(below[i - 1]);
    recycler_.store(KeyHashes(text.end(), text.known), row);
}

int Drafter::recycle(const DraftTree& tree, const std::vector<int32_t>& path,
                     const std::function<const float*(int)>& row, double seconds) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::duration<double>(seconds);
    std::vector<int32_t> nodes(path.rbegin(), path.rend());
    for (int32_t node = 0; node < tree.size(); node++) {
        if (std::find(path.begin(), path.end(), node) == path.end()) nodes.push_back(node);
    }
    std::vector<RecycledRow> rows;
    for (size_t i = 0; i < nodes.size() && Clock::now() < end; i++) {
        rows.emplace_back();
        top_of_row(row(nodes[i]), limits_.n_vocab, rows.back());
    }
    for (size_t i = rows.size(); i > 0; i--) recycle(tree, nodes[i - 1], rows[i - 1]);
    return static_cast<int>(rows.size());
}

const std::vector<int64_t>& Drafter::missing(Tier tier) const { return missing_[static_cast<size_t>(tier)]; }

size_t Drafter::memory_bytes() const {
    return index_.memory_bytes() + recycler_.memory_bytes() + expansions_.capacity() * sizeof(Expansion) +
           nodes_.capacity() * sizeof(Node);
}

}  // namespace hd
