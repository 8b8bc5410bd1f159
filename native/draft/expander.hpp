// Asks the tiers about one node of the draft tree, highest locality first.
#pragma once

#include <cstdint>

#include "forecast.hpp"
#include "mixer.hpp"
#include "ngram_index.hpp"
#include "records/tier_cache.hpp"
#include "recycler.hpp"
#include "tail.hpp"

namespace hd {

// Keys that a lower tier could not answer from memory.
struct MissingKeys {
    bool single = false;  // the row of the last token
    bool pair = false;    // the row of the last two tokens
};

class Expander {
  public:
    Expander(const NgramIndex& index, const Recycler& recycler, const Forecast& forecast, const Mixer& mixer)
        : index_(index), recycler_(recycler), forecast_(forecast), mixer_(mixer) {}

    void use_context(bool on) { context_ = on; }
    void attach_model(const TierCache* source) { model_ = source; }
    void attach_statistics(const TierCache* source) { statistics_ = source; }

    // Fills `node`, whose path has the chance given, with the candidates after `tail` at `depth`. A lower tier is asked
    // only while no candidate reaches a chance of one half: that halves the look-ups at no measurable loss.
    // `said` is the node of the drafter's forecast, -1: it says nothing there.
    void expand(const Tail& tail, int depth, float path_chance, int said, Expansion& node);

    MissingKeys model_missing, statistics_missing;  // of the last expand()

  private:
    void ask_context(const KeyHashes& key, int depth, Expansion& node) const;
    void ask_recycled(const KeyHashes& key, int depth, Expansion& node) const;
    void ask_forecast(int said, int depth, Expansion& node) const;
    MissingKeys ask_tier(const TierCache& source, const Tail& tail, int depth, Tier tier, Expansion& node) const;
    int place_of(int32_t token, Tier tier, int depth, Expansion& node) const;

    const NgramIndex& index_;
    const Recycler& recycler_;
    const Forecast& forecast_;
    const Mixer& mixer_;
    bool context_ = true;
    const TierCache* model_ = nullptr;
    const TierCache* statistics_ = nullptr;
};

}  // namespace hd
