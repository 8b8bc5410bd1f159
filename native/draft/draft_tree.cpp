#include "draft_tree.hpp"

#include <algorithm>

namespace hd {

void DraftTree::clear() {
    token.clear();
    parent.clear();
    depth.clear();
    tier.clear();
    probability.clear();
    growth = 0;
}

void DraftTree::reserve(int nodes) {
    const auto n = static_cast<size_t>(nodes);
    token.reserve(n);
    parent.reserve(n);
    depth.reserve(n);
    tier.reserve(n);
    probability.reserve(n);
}

int DraftTree::add(int32_t token_id, int32_t parent_node, Tier from, float path_probability) {
    token.push_back(token_id);
    parent.push_back(parent_node);
    depth.push_back(parent_node < 0 ? 0 : depth[static_cast<size_t>(parent_node)] + 1);
    tier.push_back(from);
    probability.push_back(path_probability);
    growth = 0;
    return size() - 1;
}

int DraftTree::child(int node, int32_t token_id) const {
    for (int i = node + 1; i < size(); i++) {
        const auto at = static_cast<size_t>(i);
        if (depth[at] <= depth[static_cast<size_t>(node)]) break;  // left the subtree
        if (parent[at] == node && token[at] == token_id) return i;
    }
    return -1;
}

std::vector<int32_t> DraftTree::follow(const int32_t* tokens, size_t n) const {
    std::vector<int32_t> path = {0};
    for (size_t i = 0; i < n; i++) {
        const int node = child(path.back(), tokens[i]);
        if (node < 0) break;
        path.push_back(node);
    }
    return path;
}

int DraftTree::leaves() const {
    int count = 0;
    for (int i = 0; i < size(); i++) {
        count += (i + 1 == size() || parent[static_cast<size_t>(i) + 1] != i) ? 1 : 0;
    }
    return count;
}

int32_t DraftTree::number_leaves(std::vector<int32_t>& first, std::vector<int32_t>& last) const {
    const size_t n = token.size();
    first.resize(n);
    last.resize(n);
    int32_t leaf = 0;
    for (size_t i = 0; i < n; i++) {
        first[i] = last[i] = leaf;
        leaf += i + 1 == n || parent[i + 1] != static_cast<int32_t>(i) ? 1 : 0;
    }
    for (size_t i = n; i-- > 1;) {
        int32_t& above = last[static_cast<size_t>(parent[i])];
        above = std::max(above, last[i]);
    }
    return leaf;
}

std::string DraftTree::check(int32_t n_vocab) const {
    const size_t n = token.size();
    if (n == 0) return "the draft tree is empty";
    if (parent.size() != n || depth.size() != n || tier.size() != n || probability.size() != n) {
        return "the arrays of the draft tree differ in length";
    }
    std::vector<int32_t> open;  // path from the root to the previous node
    for (size_t i = 0; i < n; i++) {
        const std::string at = "draft tree node " + std::to_string(i) + ": ";
        if (token[i] < 0 || token[i] >= n_vocab) {
            return at + "token " + std::to_string(token[i]) + " is outside [0, " + std::to_string(n_vocab) + ")";
        }
        if ((i == 0) != (parent[i] < 0)) return at + "exactly the first node has no parent";
        while (!open.empty() && open.back() != parent[i]) open.pop_back();
        if (i > 0 && open.empty()) {
            return at + "parent " + std::to_string(parent[i]) + " is not on the path of the node before (no pre-order)";
        }
        const int32_t want = i == 0 ? 0 : depth[static_cast<size_t>(parent[i])] + 1;
        if (depth[i] != want) {
            return at + "depth " + std::to_string(depth[i]) + " differs from " + std::to_string(want);
        }
        if (i > 0 && child(parent[i], token[i]) != static_cast<int>(i)) {
            return at + "token " + std::to_string(token[i]) + " stands twice under one parent";
        }
        open.push_back(static_cast<int32_t>(i));
    }
    return "";
}

}  // namespace hd
