// Grows draft trees from the tiers and learns from the output tokens of the target.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "draft_tree.hpp"
#include "expander.hpp"
#include "forecast.hpp"
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
    void set_prediction(const int32_t* tokens, int n) { index_.set_prediction(tokens, n); }

    // The best draft tree after the conversation: grown best first by path probability (OPT-Tree, arXiv 2406.17276), of
    // the size that maximises (1 + sum of path probabilities) / cost, at most max_rows rows and max_leaves leaves.
    // What the tree says of its nodes is their path probability as PathCurve corrects it. Sizes are chosen by the
    // uncorrected products, which are a little too small: a row is worth less than its chance, because the next tree
    // would draft the same token knowing more (by replay, sizes chosen by the corrected ones lose 0.8 %).
    // The root alone means: a draft is not worth its rows.
    // `spent` was paid for this step already, in forwards over one row: whatever the size, it counts.
    const DraftTree& grow(int max_rows, int max_leaves, float spent = 0);

    // The likeliest part of the last grown tree, so many rows of it, the root included.
    const DraftTree& cut(int rows);

    // The target verified `tree` and went on with `tokens`: teaches the mixer, with all candidates of the nodes that
    // they passed, drafted or not. Of a tree that the last grow() or cut() did not make, only the root teaches. Then
    // append().
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
    Forecast& forecast() { return forecast_; }  // of the step to come; whoever fills it clears it
    const Expander& expander() const { return expander_; }
    size_t memory_bytes() const;

  private:
    static constexpr size_t kNone = SIZE_MAX;
    struct Node {
        int32_t token;
        size_t parent;  // of the root: none
        int depth;
        Tier tier;
        float chance;  // of the whole path
        Tail tail;
        int said;                  // node of the forecast, -1: none
        size_t expansion = kNone;  // index into expansions_
        int next = -1;             // candidate of this node that enters the tree next
        uint64_t placed = 0;       // candidates that have entered it, by bits
    };
    struct Open {
        float chance;
        size_t node;
        bool operator<(const Open& other) const {
            return chance != other.chance ? chance < other.chance : node > other.node;
        }
    };

    void expand(size_t node);
    void offer(size_t node);
    bool could_improve(size_t rows, float sum, float next, float best, size_t max_rows) const;
    bool enter_best(int max_leaves);
    void note_missing(const Node& node);
    void learn_paths(const std::vector<int32_t>& path);
    Tail tail() const;
    void lay_out(size_t rows);
    void lay_out_below(size_t node, int parent);

    DrafterLimits limits_;
    NgramIndex index_;
    Recycler recycler_;
    Forecast forecast_;
    Mixer mixer_;
    Expander expander_;
    PathCurve curve_;
    std::vector<float> cost_;     // [n]: cost of the cheapest size on offer that holds n rows; infinite if none
    std::vector<size_t> padded_;  // [n]: that size
    std::vector<Node> nodes_;     // in order of entry
    std::vector<Open> open_;      // heap
    std::vector<Expansion> expansions_;
    size_t expanded_ = 0;
    float spent_ = 0;
    int leaves_ = 1;
    DraftTree tree_;
    std::vector<size_t> order_;  // tree node -> nodes_
    std::vector<std::vector<size_t>> children_;
    std::vector<int64_t> missing_[kTiers];
};

}  // namespace hd
