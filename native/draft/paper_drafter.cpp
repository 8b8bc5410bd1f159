#include "paper_drafter.hpp"

#include <algorithm>

namespace hd {

namespace {
constexpr int most_expanded = 64;  // keys asked of one tier in one step
}

void PaperDrafter::begin(const int32_t* tokens, int n) {
    const auto length = static_cast<size_t>(n);
    if (length < tokens_.size() || !std::equal(tokens_.begin(), tokens_.end(), tokens)) {
        tokens_.clear();
        context_.clear();
    }
    for (size_t i = tokens_.size(); i < length; i++) append(tokens[i]);
}

void PaperDrafter::append(int32_t token) {
    tokens_.push_back(token);
    if (tokens_.size() <= draft_length_) return;
    const Draft draft(tokens_.end() - draft_length_, tokens_.end());
    std::vector<Draft>& known = context_[tokens_[tokens_.size() - draft_length_ - 1]];
    const auto same = std::find(known.begin(), known.end(), draft);
    if (same != known.end()) {
        known.erase(same);
    } else if (known.size() == max_drafts_) {
        known.erase(known.begin());
    }
    known.push_back(draft);
}

const DraftTree& PaperDrafter::grow(int max_rows, int max_leaves) {
    drafts_.clear();
    for (auto& list : missing_) list.clear();
    for (const Tier tier : order_) propose_from(tier);
    merge(max_rows, max_leaves);
    return tree_;
}

void PaperDrafter::propose_from(Tier tier) {
    if (tier == Tier::context && use_context_) propose_context();
    if (tier == Tier::model && model_ != nullptr) propose_tier(*model_, tier, 1);
    if (tier == Tier::statistics && statistics_ != nullptr) {
        propose_tier(*statistics_, tier, 2);
        propose_tier(*statistics_, tier, 1);
    }
}

void PaperDrafter::propose(Draft draft, Tier tier) {
    if (draft.empty() || drafts_.size() == max_drafts_) return;
    const bool known = std::any_of(drafts_.begin(), drafts_.end(), [&](const Sourced& d) { return d.tokens == draft; });
    if (!known) drafts_.push_back({std::move(draft), tier});
}

void PaperDrafter::propose_context() {
    const auto known = context_.find(tokens_.back());
    if (known == context_.end()) return;
    for (auto draft = known->second.rbegin(); draft != known->second.rend(); ++draft) propose(*draft, Tier::context);
}

// The most frequent continuations of the last `key_length` tokens: best first by the count of the whole n-gram.
void PaperDrafter::propose_tier(const TierCache& source, Tier tier, int key_length) {
    struct Path {
        uint32_t count;
        Draft tokens;
        Tail tail;
    };
    if (drafts_.size() == max_drafts_ || tokens_.size() < static_cast<size_t>(key_length)) return;
    Tail key;
    for (size_t i = tokens_.size() - static_cast<size_t>(key_length); i < tokens_.size(); i++) {
        key = key.extended(tokens_[i]);
    }
    std::vector<Path> open = {{UINT32_MAX, {}, key}};
    const auto rarer = [](const Path& a, const Path& b) { return a.count < b.count; };
    for (int expanded = 0; !open.empty() && drafts_.size() < max_drafts_ && expanded < most_expanded;) {
        const auto best = std::max_element(open.begin(), open.end(), rarer);
        const Path path = *best;
        open.erase(best);
        if (path.tokens.size() == draft_length_) {
            propose(path.tokens, tier);
            continue;
        }
        expanded++;
        const int length = path.tail.known == 5 ? 4 : path.tail.known;  // 5 is no key length
        FollowerList list{};
        const Lookup answer = source.find(path.tail.end(), length, length, list);
        auto& missing = missing_[static_cast<size_t>(tier)];
        const int64_t row = ngram_key(path.tail.end(), length);
        if (answer == Lookup::unknown && std::find(missing.begin(), missing.end(), row) == missing.end()) {
            missing.push_back(row);
        }
        if (answer != Lookup::present) propose(path.tokens, tier);
        for (int i = 0; i < list.size; i++) {
            Path longer = path;
            longer.count = std::min(path.count, list.data[i].count);
            longer.tokens.push_back(list.data[i].token);
            longer.tail = path.tail.extended(list.data[i].token);
            open.push_back(std::move(longer));
        }
    }
}

// One trie of all drafts, in pre-order; a draft that does not fit any more is cut short.
void PaperDrafter::merge(int max_rows, int max_leaves) {
    struct Node {
        int32_t token;
        Tier tier;
        std::vector<size_t> children;
    };
    std::vector<Node> nodes = {{tokens_.back(), Tier::target, {}}};
    int leaves = 1;
    for (const Sourced& draft : drafts_) {
        size_t at = 0;
        for (int32_t token : draft.tokens) {
            const auto& children = nodes[at].children;
            const auto same =
                std::find_if(children.begin(), children.end(), [&](size_t c) { return nodes[c].token == token; });
            if (same != children.end()) {
                at = *same;
                continue;
            }
            const bool branch = !children.empty();
            if (static_cast<int>(nodes.size()) >= max_rows || (branch && leaves >= max_leaves)) break;
            leaves += branch ? 1 : 0;
            nodes[at].children.push_back(nodes.size());
            at = nodes.size();
            nodes.push_back({token, draft.tier, {}});
        }
    }
    tree_.clear();
    std::vector<std::pair<size_t, int>> open = {{0, -1}};
    while (!open.empty()) {
        const auto [node, parent] = open.back();
        open.pop_back();
        const int at = tree_.add(nodes[node].token, parent, nodes[node].tier, node == 0 ? 1.0F : 0.0F);
        const auto& children = nodes[node].children;
        for (auto child = children.rbegin(); child != children.rend(); ++child) open.emplace_back(*child, at);
    }
}

}  // namespace hd
