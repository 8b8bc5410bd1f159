// The draft tree: what one step proposes and one forward of the target verifies.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hd {

// Which source proposed a node. `target` is the root: it came from the target itself.
enum class Tier : uint8_t { target = 0, context = 1, model = 2, statistics = 3, drafter = 4 };
constexpr int kTiers = 5;

// Flat and in pre-order: parent[i] < i, a node's subtree is contiguous, the most probable child comes first, so the
// likeliest path is a prefix of the batch and its KV cells lie in position order. Node 0 is the root: the last output
// token, whose row the target has not computed yet.
struct DraftTree {
    std::vector<int32_t> token;
    std::vector<int32_t> parent;  // -1 for the root
    std::vector<int32_t> depth;   // 0 for the root
    std::vector<Tier> tier;
    std::vector<float> probability;  // calibrated chance that the whole path down to this node comes true
    uint64_t growth = 0;             // which Drafter::grow() made it, 0: none; a drafter knows its last tree by it

    int size() const { return static_cast<int>(token.size()); }
    void clear();
    void reserve(int nodes);
    int add(int32_t token_id, int32_t parent_node, Tier from, float path_probability);
    // The child of `node` that carries `token_id`, or -1.
    int child(int node, int32_t token_id) const;
    // The nodes that the tokens behind the root's lead to, root first, as far as they were drafted.
    std::vector<int32_t> follow(const int32_t* tokens, size_t n) const;
    int leaves() const;
    // Fills for each node the range of the leaves below it, numbered in pre-order; returns their number.
    int32_t number_leaves(std::vector<int32_t>& first, std::vector<int32_t>& last) const;
    // "" if the tree is well formed and every token lies in [0, n_vocab), else what is wrong with which node.
    std::string check(int32_t n_vocab) const;
};

}  // namespace hd
