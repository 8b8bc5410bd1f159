#include "drafter.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>

namespace hd {

namespace {
constexpr float kLeastPathChance = 0.0007F;  // less likely paths are not worth looking at, however cheap a row is
constexpr size_t kMostMissing = 4;
}  // namespace

Drafter::Drafter(DrafterLimits limits)
    : limits_(limits), index_(limits.n_vocab, limits.max_tokens), expander_(index_, recycler_, forecast_, mixer_) {
    const int32_t one = 1;
    const float unit = 1;
    set_cost(&one, &unit, 1);
}

void Drafter::set_cost(const int32_t* rows, const float* cost, int n) {
    const int32_t largest = std::max(*std::max_element(rows, rows + n), 1);
    cost_.assign(static_cast<size_t>(largest) + 1, INFINITY);
    padded_.assign(cost_.size(), 1);
    for (int i = 0; i < n; i++) {
        const auto size = static_cast<size_t>(std::max(rows[i], 0));
        for (size_t k = 1; k <= size; k++) {
            if (!(cost[i] < cost_[k])) continue;
            cost_[k] = cost[i];
            padded_[k] = size;
        }
    }
}

void Drafter::begin(const int32_t* tokens, int n) {
    index_.begin(tokens, n);
    tree_.clear();
}

void Drafter::expand(size_t node) {
    Node& from = nodes_[node];
    from.expansion = expanded_++;
    if (from.expansion == expansions_.size()) expansions_.emplace_back();
    expander_.expand(from.tail, from.depth, from.chance, from.said, expansions_[from.expansion]);
    note_missing(from);
}

void Drafter::note_missing(const Node& node) {
    const int32_t* end = node.tail.end();
    const auto note = [&](Tier tier, const MissingKeys& keys) {
        auto& list = missing_[static_cast<size_t>(tier)];
        const auto add = [&](int64_t key) {
            if (list.size() < kMostMissing && std::find(list.begin(), list.end(), key) == list.end()) {
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
void Drafter::offer(size_t node) {
    Node& from = nodes_[node];
    const Expansion& expansion = expansions_[from.expansion];
    int best = -1;
    for (int i = 0; i < expansion.n; i++) {
        if ((from.placed >> i & 1) == 0 && (best < 0 || expansion.chance[i] > expansion.chance[best])) best = i;
    }
    from.next = best;
    if (best < 0 || from.chance * expansion.chance[best] < kLeastPathChance) return;
    open_.push_back({from.chance * expansion.chance[best], node});
    std::push_heap(open_.begin(), open_.end());
}

// Moves the likeliest candidate of all nodes into the tree; false when none is left that fits.
bool Drafter::enter_best(int max_leaves) {
    while (!open_.empty()) {
        std::pop_heap(open_.begin(), open_.end());
        const Open best = open_.back();
        open_.pop_back();
        Node& from = nodes_[best.node];
        const bool first_child = from.placed == 0;
        if (!first_child && leaves_ >= max_leaves) continue;  // its other candidates would be leaves too
        leaves_ += first_child ? 0 : 1;
        const Expansion& expansion = expansions_[from.expansion];
        const int32_t token = expansion.token[from.next];
        from.placed |= uint64_t{1} << from.next;
        Node entered{token,
                     best.node,
                     from.depth + 1,
                     expansion.tier[from.next],
                     best.chance,
                     from.tail.extended(token),
                     forecast_.child(from.said, token)};
        nodes_.push_back(std::move(entered));
        offer(best.node);
        return true;
    }
    return false;
}

// Could a larger size be better than `best`, if every further node were as likely as `next`? Exact, since chances only
// fall along the growth.
bool Drafter::could_improve(size_t rows, float sum, float next, float best, size_t max_rows) const {
    for (size_t n = rows + 1; n <= max_rows; n++) {
        if (1 + sum + static_cast<float>(n - rows) * next > best * (cost_[n] + spent_)) return true;
    }
    return false;
}

// The last tokens of the conversation.
Tail Drafter::tail() const {
    const std::vector<int32_t>& text = index_.tokens();
    Tail tail;
    for (size_t i = text.size() - std::min<size_t>(text.size(), kMaxKeyLength); i < text.size(); i++) {
        tail = tail.extended(text[i]);
    }
    return tail;
}

const DraftTree& Drafter::grow(int max_rows, int max_leaves, float spent) {
    spent_ = spent;
    nodes_.clear();
    open_.clear();
    expanded_ = 0;
    leaves_ = 1;
    for (auto& list : missing_) list.clear();
    const Tail text = tail();
    nodes_.push_back({text.end()[-1], kNone, 0, Tier::target, 1.0F, text, 0});
    size_t limit = std::min(static_cast<size_t>(std::max(max_rows, 1)), cost_.size() - 1);
    while (limit > 1 && padded_[limit] > limit) limit--;  // a size on offer
    size_t best_rows = 1;
    float sum = 0;
    float best = 1 / (cost_[1] + spent_);
    expand(0);
    offer(0);
    while (nodes_.size() < limit && !open_.empty() &&
           could_improve(nodes_.size(), sum, open_.front().chance, best, limit)) {
        if (!enter_best(max_leaves)) break;
        const size_t rows = nodes_.size();
        const Node& entered = nodes_.back();
        sum += entered.chance;
        const float value = (1 + sum) / (cost_[rows] + spent_);
        if (value > best) {
            best = value;
            best_rows = rows;
        }
        const float next = std::max(entered.chance, open_.empty() ? 0.0F : open_.front().chance);
        if (entered.depth < limits_.max_depth && could_improve(rows, sum, next, best, limit)) {
            expand(rows - 1);
            offer(rows - 1);
        }
    }
    // A size on offer may be cheaper than a smaller one (the curve is a saw): fill it up, likeliest first.
    const size_t wanted = std::max<size_t>(1, std::min(padded_[best_rows], limit));
    while (nodes_.size() < wanted && enter_best(max_leaves)) {
    }
    while (nodes_.size() < wanted) {
        Node& last = nodes_.back();  // nothing left: repeat the last token below itself, it takes no leaf
        const Tier tier = last.tier == Tier::target ? Tier::context : last.tier;  // only the root is the target's own
        last.placed |= 1;
        Node below{last.token, nodes_.size() - 1, last.depth + 1, tier, 0.0F, last.tail, -1};
        nodes_.push_back(std::move(below));
    }
    lay_out(wanted);
    return tree_;
}

const DraftTree& Drafter::cut(int rows) {
    if (tree_.size() > std::max(rows, 1))
        lay_out(static_cast<size_t>(std::max(rows, 1)));  // nodes entered likeliest first
    return tree_;
}

// The first `rows` nodes in pre-order. Siblings entered likeliest first already.
void Drafter::lay_out(size_t rows) {
    tree_.clear();
    order_.clear();
    children_.resize(std::max(children_.size(), rows));
    for (size_t i = 0; i < rows; i++) children_[i].clear();
    for (size_t i = 1; i < rows; i++) children_[nodes_[i].parent].push_back(i);
    lay_out_below(0, -1);
    static std::atomic<uint64_t> growths{0};
    tree_.growth = ++growths;
}

void Drafter::lay_out_below(size_t node, int parent) {
    const Node& from = nodes_[node];
    const float chance = parent >= 0 && from.chance > 0 ? curve_.refine(from.chance) : from.chance;
    const int at = tree_.add(from.token, parent, from.tier, chance);
    order_.push_back(node);
    for (size_t child : children_[node]) lay_out_below(child, at);
}

void Drafter::learn(const DraftTree& tree, const int32_t* tokens, int n) {
    if (n < 1) return;
    if (tree.growth == 0 || tree.growth != tree_.growth) grow(1, 1);
    const auto count = static_cast<size_t>(n);
    const std::vector<int32_t> path = tree_.follow(tokens, count);
    for (size_t i = 0; i < std::min(path.size(), count); i++) {
        const size_t node = order_[static_cast<size_t>(path[i])];
        if (nodes_[node].expansion == kNone) expand(node);
        mixer_.learn(expansions_[nodes_[node].expansion], tokens[i]);
    }
    // A last token that was drafted too was not verified further, because the generation was closed then.
    if (path.size() <= count) learn_paths(path);
}

// Which drafted paths came true.
void Drafter::learn_paths(const std::vector<int32_t>& path) {
    size_t taken = 1;
    for (size_t node = 1; node < order_.size(); node++) {
        const bool came_true = taken < path.size() && static_cast<size_t>(path[taken]) == node;
        if (came_true) taken++;
        const float chance = nodes_[order_[node]].chance;
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
