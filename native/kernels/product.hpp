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

// How the units of a matrix that a narrow batch streams are dealt out: a long run to each thread first, because memory
// streams best in long runs and starting one takes time, then what is left in short ones, so that a fast thread takes
// more of them than one that is held up, or that has a slower core.
int64_t streamed_chunks(int threads);
int64_t streamed_bound(int64_t units, int64_t chunk, int threads);  // the first unit of a chunk

class Product {
  public:
    Product(const KernelSet& kernels, const Matrix& weights, const Rows& in, const Rows& out);

    // First all threads call prepare, then, after a barrier, each takes chunks 0 .. chunks()-1 in any order.
    void prepare(uint8_t* work, int thread, int threads) const;
    int64_t chunks(int threads) const;
    void multiply(const uint8_t* work, int64_t chunk, int threads) const;

  private:
    int64_t bound(int64_t chunk, int threads) const;
    int64_t first_row(int64_t pass) const { return rows_ * pass / passes_; }

    const TypeKernels& kernels_;
    Matrix weights_;
    Rows in_, out_;
    int64_t rows_, passes_;
};

}  // namespace hd::kernels
