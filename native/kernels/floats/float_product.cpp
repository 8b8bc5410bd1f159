#include "float_product.hpp"

#include <algorithm>
#include <cstring>

namespace hd::kernels {
namespace {
// Weights of one chunk stay in a core's second-level cache while all passes of a wide batch go over them.
constexpr int64_t kChunkBytes = 256 << 10;
constexpr int64_t kChunksPerThread = 4;  // a thread that is held up leaves its chunks to the others
}  // namespace

FloatProduct::FloatProduct(const FloatSet& kernels, const FloatMatrix& weights, const Rows& in, const Rows& out)
    : kernels_(kernels),
      weights_(weights),
      in_(in),
      out_(out),
      inputs_(in.total()),
      passes_((inputs_ + kernels.most_inputs - 1) / kernels.most_inputs),
      groups_((weights.rows + kGroupRows - 1) / kGroupRows) {}

size_t FloatProduct::work_bytes() const {
    return adjacent() ? 0 : static_cast<size_t>(inputs_ * weights_.columns) * sizeof(float);
}

void FloatProduct::prepare(uint8_t* work, int thread, int threads) const {
    if (adjacent()) return;
    for (int64_t i = inputs_ * thread / threads; i < inputs_ * (thread + 1) / threads; i++) {
        const char* x = in_.at(i);
        uint8_t* to = work + i * weights_.columns * 4;
        for (int64_t c = 0; c < weights_.columns; c++) std::memcpy(to + 4 * c, x + c * int64_t(in_.column_step), 4);
    }
}

FloatProduct::Split FloatProduct::split(int threads) const {
    if (passes_ == 1) return {streamed_chunks(threads), 1};
    const int64_t wanted = threads == 1 ? 1 : threads * kChunksPerThread;
    const int64_t bytes = weights_.rows * weights_.step;
    const int64_t weights = std::min(groups_, std::max<int64_t>(1, (bytes + kChunkBytes - 1) / kChunkBytes));
    return {weights, std::min(passes_, (wanted + weights - 1) / weights)};
}

int64_t FloatProduct::chunks(int threads) const {
    const Split s = split(threads);
    return s.weights * s.inputs;
}

int64_t FloatProduct::bound(int64_t part, int64_t parts, int threads) const {
    return passes_ == 1 ? streamed_bound(groups_, part, threads) : groups_ * part / parts;
}

void FloatProduct::multiply(const uint8_t* work, int64_t chunk, int threads) const {
    const Split s = split(threads);
    const int64_t part = chunk / s.inputs, share = chunk % s.inputs;
    const int64_t first = bound(part, s.weights, threads) * kGroupRows;
    const int64_t last = std::min(weights_.rows, bound(part + 1, s.weights, threads) * kGroupRows);
    const int64_t from = passes_ * share / s.inputs;
    for (int64_t pass = from; pass < passes_ * (share + 1) / s.inputs; pass++) {
        const int64_t begin = first_input(pass), count = first_input(pass + 1) - begin;
        const float* x[kMaxInputs];
        float* out[kMaxInputs];
        for (int64_t i = 0; i < count; i++) {
            const void* at = in_.at(begin + i);
            if (!adjacent()) at = work + (begin + i) * weights_.columns * 4;
            x[i] = static_cast<const float*>(at);
            out[i] = reinterpret_cast<float*>(const_cast<char*>(out_.at(begin + i))) + first;
        }
        const Dots dots = kernels_.types[static_cast<int>(weights_.type)][pass > from][count];
        dots(weights_.data + first * weights_.step, weights_.step, last - first, weights_.columns, x, out);
    }
}

}  // namespace hd::kernels
