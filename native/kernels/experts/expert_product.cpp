#include "expert_product.hpp"

#include <algorithm>
#include <cstring>

namespace hd::kernels {
namespace {
constexpr int64_t kChunkBytes = 256 << 10;  // of weights: they stay in a core's second-level cache for all passes
constexpr int64_t kChunksPerThread = 4;     // a thread that is held up leaves its chunks to the others
}  // namespace

ExpertProduct::ExpertProduct(const KernelSet& kernels, const ExpertMatrices& weights, const Slots& chosen,
                             const Slots& in, const Slots& out)
    : kernels_(kernels.of(weights.first.type)), weights_(weights), in_(in), out_(out), slots_(chosen.slots) {
    const int64_t inputs = chosen.slots * chosen.tokens;
    std::vector<int64_t> ends(static_cast<size_t>(weights.count) + 1), expert(static_cast<size_t>(inputs));
    for (int64_t i = 0; i < inputs; i++) {
        int32_t e;
        std::memcpy(&e, chosen.at(i % slots_, i / slots_), sizeof e);
        expert[static_cast<size_t>(i)] = e;
        ends[static_cast<size_t>(e) + 1]++;
    }
    for (int64_t e = 0; e < weights.count; e++) {
        const int64_t begin = ends[static_cast<size_t>(e)], n = ends[static_cast<size_t>(e) + 1];
        if (n > 0) used_.push_back({e, begin, begin + n});
        ends[static_cast<size_t>(e) + 1] = begin + n;
    }
    order_.resize(static_cast<size_t>(inputs));
    for (int64_t i = 0; i < inputs; i++)
        order_[static_cast<size_t>(ends[static_cast<size_t>(expert[static_cast<size_t>(i)])]++)] = i;
}

void ExpertProduct::prepare(uint8_t* work, int thread, int threads) const {
    const WeightType type = weights_.first.type;
    const int64_t inputs = static_cast<int64_t>(order_.size());
    const int64_t mine = inputs * thread / threads, end = inputs * (thread + 1) / threads;
    for (const Used& used : used_) {
        for (int64_t pass = 0; pass < used.passes(); pass++) {
            const int64_t begin = used.first(pass), next = used.first(pass + 1);
            uint8_t* target = work + work_bytes(type, begin, weights_.first.columns);
            for (int64_t i = std::max(begin, mine); i < std::min(next, end); i++) {
                const int64_t input = order_[static_cast<size_t>(i)];
                const char* x = in_.at(input % slots_, input / slots_);
                kernels_.quantize(reinterpret_cast<const float*>(x), 0, weights_.first.blocks(), target,
                                  static_cast<int>(next - begin), static_cast<int>(i - begin));
            }
        }
    }
}

// Chunks of each expert: as many as keep all threads busy, and no larger than the cache.
int64_t ExpertProduct::parts(int threads) const {
    const int64_t busy = threads == 1 ? 1 : threads * kChunksPerThread / static_cast<int64_t>(used_.size());
    const int64_t cached = (weights_.bytes() + kChunkBytes - 1) / kChunkBytes;
    return std::min(weights_.first.panels(), std::max<int64_t>({1, busy, cached}));
}

void ExpertProduct::multiply(const uint8_t* work, int64_t chunk, int threads) const {
    const int64_t parts = this->parts(threads), part = chunk % parts;
    const Used& used = used_[static_cast<size_t>(chunk / parts)];
    const Matrix weights = weights_.of(used.expert);
    const int64_t first = weights.panels() * part / parts, last = weights.panels() * (part + 1) / parts;
    for (int64_t pass = 0; pass < used.passes(); pass++) {
        const int64_t begin = used.first(pass), rows = used.first(pass + 1) - begin;
        const uint8_t* x = work + work_bytes(weights.type, begin, weights.columns);
        float* out[kMaxRows];
        for (int64_t i = 0; i < rows; i++) {
            const int64_t input = order_[static_cast<size_t>(begin + i)];
            char* row = const_cast<char*>(out_.at(input % slots_, input / slots_));
            out[i] = reinterpret_cast<float*>(row) + first * weights.lanes;
        }
        for (int64_t panel = first; panel < last; panel++) {
            kernels_.rows[rows](weights.panel_tiles(panel), weights.panel_meta(panel), weights.blocks(), x, out);
            for (int64_t i = 0; i < rows; i++) out[i] += weights.lanes;
        }
    }
}

}  // namespace hd::kernels
