// One matrix product with float weights, shared by the threads of a graph.
#pragma once

#include "../product.hpp"
#include "kernel_set.hpp"

namespace hd::kernels {

// Weights as they lie in a file: `rows` output rows of `columns` inputs, `step` bytes apart.
struct FloatMatrix {
    CellType type;
    int64_t rows, columns;
    const char* data;
    int64_t step;
};

class FloatProduct {
  public:
    FloatProduct(const FloatSet& kernels, const FloatMatrix& weights, const Rows& in, const Rows& out);
    // Bytes of scratch memory: for inputs that are rounded, or whose columns are not adjacent.
    size_t work_bytes() const;

    // First all threads call prepare, then, after a barrier, each takes chunks 0 .. chunks()-1 in any order.
    void prepare(uint8_t* work, int thread, int threads) const;
    int64_t chunks(int threads) const;
    void multiply(const uint8_t* work, int64_t chunk, int threads) const;

  private:
    // Chunks are cut along the weights and, where those are few, along the inputs.
    struct Split {
        int64_t weights, inputs;
    };
    Split split(int threads) const;
    int64_t bound(int64_t part, int64_t parts, int threads) const;
    bool in_place() const { return !kernels_.round && in_.column_step == sizeof(float); }
    int64_t input_step() const;
    int64_t first_input(int64_t pass) const { return inputs_ * pass / passes_; }

    const FloatKernels& kernels_;
    FloatMatrix weights_;
    Rows in_, out_;
    int64_t inputs_, passes_, groups_;
};

}  // namespace hd::kernels
