// What the drafter asks of a lower tier: the tokens that followed a key, with counts.
#pragma once

#include "tier_cache.hpp"

namespace hd {

class FollowerSource {
  public:
    virtual ~FollowerSource() = default;
    // As TierCache::find().
    virtual Lookup find(const int32_t* end, int available, int length, FollowerList& out) const = 0;
};

class CacheSource : public FollowerSource {
  public:
    explicit CacheSource(const TierCache& cache) : cache_(cache) {}
    Lookup find(const int32_t* end, int available, int length, FollowerList& out) const override {
        return cache_.find(end, available, length, out);
    }

  private:
    const TierCache& cache_;
};

}  // namespace hd
