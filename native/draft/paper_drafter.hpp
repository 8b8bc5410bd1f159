// The configuration that the Hierarchy Drafting paper published (arXiv 2502.05609), for comparison.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "draft_tree.hpp"
#include "records/tier_cache.hpp"
#include "tail.hpp"

namespace hd {

// Up to 7 drafts of 4 tokens: from the context (keyed by the last token, the 7 latest continuations of each key), then
// from the model tier (last token), then from statistics (last two tokens, then the last one), until there are seven.
// Other numbers and another order of tiers are for comparison. Always drafts, whatever it costs. Three defects of the
// published code are mended: generated tokens enter the context at once, short continuations are not padded, and drafts
// that begin alike share their rows.
class PaperDrafter {
  public:
    using Order = std::array<Tier, 3>;
    static constexpr Order published_order = {Tier::context, Tier::model, Tier::statistics};

    explicit PaperDrafter(size_t max_drafts = 7, size_t draft_length = 4, Order order = published_order)
        : max_drafts_(max_drafts), draft_length_(draft_length), order_(order) {}

    void attach_model(const TierCache* source) { model_ = source; }
    void attach_statistics(const TierCache* source) { statistics_ = source; }
    void use_context(bool on) { use_context_ = on; }

    void begin(const int32_t* tokens, int n);
    void append(int32_t token);
    int size() const { return static_cast<int>(tokens_.size()); }

    const DraftTree& grow(int max_rows, int max_leaves);

    // Keys of the last grow() that a tier could not answer from memory.
    const std::vector<int64_t>& missing(Tier tier) const { return missing_[static_cast<size_t>(tier)]; }

  private:
    using Draft = std::vector<int32_t>;
    struct Sourced {
        Draft tokens;
        Tier tier;
    };

    void propose_from(Tier tier);
    void propose_context();
    void propose_tier(const TierCache& source, Tier tier, int key_length);
    void propose(Draft draft, Tier tier);
    void merge(int max_rows, int max_leaves);

    size_t max_drafts_;
    size_t draft_length_;
    Order order_;
    bool use_context_ = true;
    const TierCache* model_ = nullptr;
    const TierCache* statistics_ = nullptr;
    std::vector<int32_t> tokens_;
    std::unordered_map<int32_t, std::vector<Draft>> context_;  // the latest last
    std::vector<Sourced> drafts_;
    std::vector<int64_t> missing_[4];
    DraftTree tree_;
};

}  // namespace hd
