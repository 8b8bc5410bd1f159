#include "float_product.hpp"

#include <algorithm>
#include <cstring>

namespace hd::kernels {
namespace {
// Weights of one chunk stay in a core's second-level cache while all passes of a wide batch go over them.
constexpr int64_t kChunkBytes = 256 << 10;
constexpr int64_t kPart = 256;           // columns of an input that a thread prepares at a time
constexpr int64_t kChunksPerThread = 4;  // a thread that is held up leaves its chunks to the others
}  // namespace

FloatProduct::FloatProduct(const FloatSet& set, const FloatMatrix& weights, const Rows& in, const Rows& out)
    : kernels_(*set.types[static_cast<int>(weights.type)]),
      weights_(weights),
      in_(in),
      out_(out),
      inputs_(in.total()),
      passes_((inputs_ + set.most_inputs - 1) / set.most_inputs),
      groups_((weights.rows + kGroupRows - 1) / kGroupRows) {}

// Whole cache lines, and an odd number of them: the same column of several inputs does not fall into one set of a
// cache.
int64_t FloatProduct::input_step() const { return ((weights_.columns * kernels_.input_bytes + 63) / 64 | 1) * 64; }

size_t FloatProduct::work_bytes() const { return in_place() ? 0 : static_cast<size_t>(inputs_ * input_step()); }

void FloatProduct::prepare(uint8_t* work, int thread, int threads) const {
    if (in_place()) return;
    const int64_t parts = (weights_.columns + kPart - 1) / kPart, all = inputs_ * parts;
    for (int64_t n = all * thread / threads; n < all * (thread + 1) / threads; n++) {
        const int64_t input = n / parts, first = n % parts * kPart, count = std::min(kPart, weights_.columns - first);
        const char* x = in_.at(input) + first * int64_t(in_.column_step);
        char* to = reinterpret_cast<char*>(work) + input * input_step() + first * kernels_.input_bytes;
        float gathered[kPart];
        if (in_.column_step != sizeof(float)) {
            for (int64_t c = 0; c < count; c++) std::memcpy(gathered + c, x + c * int64_t(in_.column_step), 4);
            x = reinterpret_cast<const char*>(gathered);
        }
        if (kernels_.round)
            kernels_.round(reinterpret_cast<const float*>(x), count, to);
        else
            std::memcpy(to, x, static_cast<size_t>(count) * 4);
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
        const char* x[kMaxInputs];
        float* out[kMaxInputs];
        for (int64_t i = 0; i < count; i++) {
            x[i] = in_place() ? in_.at(begin + i) : reinterpret_cast<const char*>(work) + (begin + i) * input_step();
            out[i] = reinterpret_cast<float*>(const_cast<char*>(out_.at(begin + i))) + first;
        }
        const Dots dots = kernels_.dots[pass > from][count];
        dots(weights_.data + first * weights_.step, weights_.step, last - first, weights_.columns, x, out);
    }
}

}  // namespace hd::kernels
