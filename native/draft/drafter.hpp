// Grows draft trees from the tiers and learns from what the target emitted.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "draft_tree.hpp"
#include "expander.hpp"
#include "mixer.hpp"
#include "ngram_index.hpp"
#include "path_curve.hpp"
#include "recycler.hpp"

namespace hd {

struct DrafterLimits {
    int32_t n_vocab = 0;
    int max_tokens = 1 << 16;  // of the context index
    int max_depth = 24;
};

class Drafter {
  public:
    explicit Drafter(DrafterLimits limits);

    void attach_model(const TierCache* source) { expander_.attach_model(source); }
    void attach_statistics(const TierCache* source) { expander_.attach_statistics(source); }
    void use_context(bool on) { expander_.use_context(on); }

    // What a forward over n rows costs, for the sizes on offer (others are never chosen); size 1 must be among them.
    void set_cost(const int32_t* rows, const float* cost, int n);

    void begin(const int32_t* tokens, int n);
    void set_reference(const int32_t* tokens, int n) { index_.set_reference(tokens, n); }

    // The best draft tree after the conversation: grown best first by path probability (OPT-Tree, arXiv 2406.17276), of
    // the size that maximises (1 + sum of path probabilities) / cost, at most max_rows rows and max_leaves leaves.
    // What the tree says of its nodes is their path probability as PathCurve corrects it. Sizes are chosen by the
    // uncorrected products, which are a little too small: a row is worth less than its chance, because the next tree
    // would draft the same token knowing more (by replay, sizes chosen by the corrected ones lose 0.8 %).
    // The root alone means: a draft is not worth its rows.
    const DraftTree& grow(int max_rows, int max_leaves);

    // The target verified `tree` and went on with `tokens`: teaches the mixer, with all candidates of the nodes that
    // they passed, drafted or not. Of a tree that the last grow() did not make, only the root teaches. Then append().
    void learn(const DraftTree& tree, const int32_t* tokens, int n);
    void append(const int32_t* tokens, int n);
    // The target's row at a node of a verified tree; call before append().
    void recycle(const DraftTree& tree, int node, const RecycledRow& row);
    // Recycles rows while `seconds` last: those of the path, last first, then the others. Stores them last first, so
    // that the most useful row is the latest. Returns how many were read.
    int recycle(const DraftTree& tree, const std::vector<int32_t>& path, const std::function<const float*(int)>& row,
                double seconds);

    // Keys of the last grown tree that a lower tier could not answer from memory, likeliest node first, at most `n`.
    const std::vector<int64_t>& missing(Tier tier) const;

    Mixer& mixer() { return mixer_; }
    NgramIndex& index() { return index_; }
    Recycler& recycler() { return recycler_; }
    const Expander& expander() const { return expander_; }
    size_t memory_bytes() const;

  private:
    struct Node {
        int32_t token;
        int parent;
        int depth;
        Tier tier;
        float chance;  // of the whole path
        Tail tail;
        int expansion;  // index into expansions_, -1 while not expanded
        int next;       // candidate of this node that enters the tree next, -1: none
        uint64_t placed;
    };
    struct Open {
        float chance;
        int node;
        bool operator<(const Open& other) const {
            return chance != other.chance ? chance < other.chance : node > other.node;
        }
    };

    int expand(int node);
    void offer(int node);
    bool could_improve(int rows, float sum, float next, float best, int max_rows) const;
    int enter_best(int max_leaves);
    void note_missing(Node& node);
    void learn_paths(const std::vector<int32_t>& path);
    Tail tail() const;
    void emit(int rows);
    void emit_below(int node, int parent, int rows);

    DrafterLimits limits_;
    NgramIndex index_;
    Recycler recycler_;
    Mixer mixer_;
    Expander expander_;
    PathCurve curve_;
    std::vector<float> cost_;  // [n]: cost of the cheapest size on offer that holds n rows; infinite if none
    std::vector<int> padded_;  // [n]: that size
    std::vector<Node> nodes_;  // in order of entry
    std::vector<Open> open_;   // heap
    std::vector<Expansion> expansions_;
    int expanded_ = 0;
    int leaves_ = 1;
    DraftTree tree_;
    std::vector<int> order_;  // tree node -> nodes_
    std::vector<std::vector<int>> children_;
    std::vector<int64_t> missing_[4];
};

}  // namespace hd
