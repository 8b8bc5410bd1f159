// One product with the weights of experts (MUL_MAT_ID): every input goes through the few experts that a router chose.
#pragma once

#include <vector>

#include "../layout.hpp"

namespace hd::kernels {

// The same matrix for each expert, one behind the other in our layout.
struct ExpertMatrices {
    Matrix first;
    int64_t count;

    int64_t bytes() const {  // of one expert
        return first.panels() * (first.panel_tile_bytes() + first.panel_meta_bytes());
    }
    Matrix of(int64_t expert) const {
        Matrix m = first;
        m.data += expert * bytes();
        return m;
    }
};

// A table of `slots` x `tokens` entries, as ggml strides them (bytes).
struct Slots {
    const char* data;
    int64_t slots, tokens;
    size_t slot_step, token_step;

    // One slot serves all where there is only one: the input of a token before its experts.
    const char* at(int64_t slot, int64_t token) const {
        return data + static_cast<size_t>(slot % slots) * slot_step + static_cast<size_t>(token) * token_step;
    }
};

// Inputs of one expert share a pass over its weights. Each output is the sum that it is alone: a row's result depends
// neither on the other rows nor on where they go.
class ExpertProduct {
  public:
    // `chosen`: the expert (int32) of each slot of each token; `in`, `out`: rows of floats.
    ExpertProduct(const KernelSet& kernels, const ExpertMatrices& weights, const Slots& chosen, const Slots& in,
                  const Slots& out);

    // First all threads call prepare, then, after a barrier, each takes chunks 0 .. chunks()-1 in any order.
    void prepare(uint8_t* work, int thread, int threads) const;
    int64_t chunks(int threads) const {
        return used_.empty() ? 0 : static_cast<int64_t>(used_.size()) * parts(threads);
    }
    void multiply(const uint8_t* work, int64_t chunk, int threads) const;

  private:
    struct Used {
        int64_t expert, begin, end;  // its inputs in order_
        int64_t passes() const { return (end - begin + kMaxRows - 1) / kMaxRows; }
        int64_t first(int64_t pass) const { return begin + (end - begin) * pass / passes(); }
    };
    int64_t parts(int threads) const;

    const TypeKernels& kernels_;
    ExpertMatrices weights_;
    Slots in_, out_;
    int64_t slots_;
    std::vector<int64_t> order_;  // token * slots + slot, by expert
    std::vector<Used> used_;
};

}  // namespace hd::kernels
