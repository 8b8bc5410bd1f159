#include "product.hpp"

#include <algorithm>
#include <cstring>

namespace hd::kernels {
namespace {
// Weights of one chunk stay in a core's second-level cache while all passes of a wide batch go over them.
constexpr int64_t kChunkBytes = 256 << 10;
constexpr int64_t kShortRuns = 2;   // of each thread, after its long one, which is
constexpr double kLongRuns = 0.75;  // of all
}  // namespace

const char* Rows::at(int64_t row) const {
    return data + (row % count[0]) * static_cast<int64_t>(step[0]) +
           (row / count[0] % count[1]) * static_cast<int64_t>(step[1]) +
           (row / count[0] / count[1]) * static_cast<int64_t>(step[2]);
}

Product::Product(const KernelSet& kernels, const Matrix& weights, const Rows& in, const Rows& out)
    : kernels_(kernels.of(weights.type)),
      weights_(weights),
      in_(in),
      out_(out),
      rows_(in.total()),
      passes_((rows_ + kMaxRows - 1) / kMaxRows) {}

void Product::prepare(uint8_t* work, int thread, int threads) const {
    const Layout& shape = layout(weights_.type);
    const int64_t blocks = weights_.blocks();
    const int64_t first = blocks * thread / threads, last = blocks * (thread + 1) / threads;
    for (int64_t pass = 0; pass < passes_; pass++) {
        const int64_t begin = first_row(pass);
        const int rows = static_cast<int>(first_row(pass + 1) - begin);
        uint8_t* target = work + work_bytes(weights_.type, begin, weights_.columns);
        for (int i = 0; i < rows; i++) {
            const char* x = in_.at(begin + i);
            if (in_.column_step == sizeof(float)) {
                kernels_.quantize(reinterpret_cast<const float*>(x), first, last, target, rows, i);
                continue;
            }
            for (int64_t b = first; b < last; b++) {
                float gathered[256];
                for (int c = 0; c < shape.columns; c++)
                    std::memcpy(gathered + c, x + static_cast<size_t>(b * shape.columns + c) * in_.column_step, 4);
                kernels_.quantize(gathered, 0, 1, target + b * rows * shape.row_bytes(), rows, i);
            }
        }
    }
}

int64_t streamed_chunks(int threads) { return threads == 1 ? 1 : threads * (1 + kShortRuns); }

int64_t streamed_bound(int64_t units, int64_t chunk, int threads) {
    if (threads == 1) return chunk * units;
    const auto run = static_cast<int64_t>(kLongRuns * static_cast<double>(units) / threads);
    if (chunk <= threads) return run * chunk;
    return run * threads + (units - run * threads) * (chunk - threads) / (threads * kShortRuns);
}

int64_t Product::chunks(int threads) const {
    const int64_t panels = weights_.panels();
    if (passes_ == 1) return streamed_chunks(threads);
    const int64_t bytes = panels * (weights_.panel_tile_bytes() + weights_.panel_meta_bytes());
    return std::min<int64_t>(panels, std::max<int64_t>(threads, (bytes + kChunkBytes - 1) / kChunkBytes));
}

int64_t Product::bound(int64_t chunk, int threads) const {
    const int64_t panels = weights_.panels();
    return passes_ == 1 ? streamed_bound(panels, chunk, threads) : panels * chunk / chunks(threads);
}

void Product::multiply(const uint8_t* work, int64_t chunk, int threads) const {
    const int64_t lanes = weights_.lanes;
    const int64_t first = bound(chunk, threads), last = bound(chunk + 1, threads);
    for (int64_t pass = 0; pass < passes_; pass++) {
        const int64_t begin = first_row(pass), rows = first_row(pass + 1) - begin;
        const uint8_t* x = work + work_bytes(weights_.type, begin, weights_.columns);
        float* out[kMaxRows];
        for (int64_t i = 0; i < rows; i++)
            out[i] = reinterpret_cast<float*>(const_cast<char*>(out_.at(begin + i))) + first * lanes;
        for (int64_t panel = first; panel < last; panel++) {
            kernels_.rows[rows](weights_.panel_tiles(panel), weights_.panel_meta(panel), weights_.blocks(), x, out);
            for (int64_t i = 0; i < rows; i++) out[i] += lanes;
        }
    }
}

}  // namespace hd::kernels
