// One matrix product, shared by the threads of a graph.
#pragma once

#include "layout.hpp"

namespace hd::kernels {

// Rows of floats in up to three outer dimensions, as ggml strides them (bytes).
struct Rows {
    const char* data;
    int64_t count[3];
    size_t step[3];
    size_t column_step;

    int64_t total() const { return count[0] * count[1] * count[2]; }
    const char* at(int64_t row) const;
};

class Product {
  public:
    Product(const KernelSet& kernels, const Matrix& weights, const Rows& in, const Rows& out);
    // Bytes of scratch memory for `rows` quantised rows.
    static size_t work_bytes(WeightType type, int64_t rows, int64_t columns);

    // First all threads call quantize, then, after a barrier, each takes chunks 0 .. chunks()-1 in any order.
    void quantize(uint8_t* work, int thread, int threads) const;
    int64_t chunks(int threads) const;
    void multiply(const uint8_t* work, int64_t chunk, int64_t chunks) const;

  private:
    int64_t first_row(int64_t pass) const { return rows_ * pass / passes_; }

    const TypeKernels& kernels_;
    Matrix weights_;
    Rows in_, out_;
    int64_t rows_, passes_;
};

}  // namespace hd::kernels
