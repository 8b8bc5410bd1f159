#include "self_test.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <system_error>
#include <thread>

#include "floats/kernel_set.hpp"
#include "test_graph.hpp"

namespace hd::kernels {
namespace {

using ggml::api;
using ggml::Buffer;
using ggml::BufferType;
using ggml::Context;
using ggml::Tensor;

// More panels than chunks are dealt out at once, so that threads take more from the counter, and two passes of rows.
constexpr int64_t kColumns = 512, kPanels = 13, kInputs = 19;
constexpr int kThreads = 3;
constexpr double kTolerance = 0.02;  // both sides round the input to 8 bits, each in its own way

std::vector<uint8_t> random_blocks(int ggml_type, int64_t count, Random& random) {
    const Layout& l = *std::find_if(std::begin(kLayouts), std::end(kLayouts),
                                    [&](const Layout& one) { return one.ggml_type == ggml_type; });
    const int64_t blocks = count / l.columns;
    std::vector<uint8_t> data(static_cast<size_t>(blocks * l.block_bytes));
    for (auto& x : data) x = random.byte();
    if (!l.halves) {  // MXFP4: an exponent
        for (size_t b = 0; b < data.size(); b += static_cast<size_t>(l.block_bytes)) data[b] = 118 + (data[b] & 7);
        return data;
    }
    for (int64_t b = 0; b < blocks; b++)
        for (int i = 0; i < l.halves; i++)
            data[static_cast<size_t>(b * l.block_bytes + l.halves_at + 2 * i) + 1] = 0x24;  // 0x2400 is 1/64
    return data;
}

// Any bits are weights but infinities and what is none; so the exponent's upper bits are those of numbers around one.
std::vector<uint8_t> random_floats(const CellLayout& l, int64_t count, Random& random) {
    std::vector<uint8_t> data(static_cast<size_t>(count * l.block_bytes));
    for (auto& x : data) x = random.byte();
    for (size_t i = static_cast<size_t>(l.block_bytes) - 1; i < data.size(); i += static_cast<size_t>(l.block_bytes))
        data[i] = static_cast<uint8_t>((data[i] & 0x80) | (l.ggml_type == ggml::kTypeF16 ? 0x38 : 0x3e));
    return data;
}

// Ours and llama.cpp's, relative to their size; also where one holds no number.
bool differ(Tensor* const (&results)[3]) {
    const auto mine = read(results[0]), theirs = read(results[1]);
    double difference = 0, size = 0;
    for (size_t i = 0; i < mine.size(); i++) {
        difference += std::pow(double(mine[i]) - theirs[i], 2);
        size += std::pow(double(theirs[i]), 2);
    }
    return !(std::sqrt(difference / size) < kTolerance);
}

// Ours, and its last rows alone.
bool depends(Tensor* const (&results)[3]) {
    const auto mine = read(results[0]), alone = read(results[2]);
    return std::memcmp(alone.data(), mine.data() + mine.size() - alone.size(), alone.size() * sizeof(float)) != 0;
}

const char* test_weights(BufferType* type, int ggml_type, int64_t columns, int64_t rows, int threads) {
    Resources r;
    Context *ours = r.context(1), *rest = r.context(8);
    if (!ours || !rest) return "no memory";
    Tensor* w = api.ggml_new_tensor_2d(ours, ggml_type, columns, rows);
    if (!r.allocate(ours, type)) return "no memory";
    Tensor* plain = api.ggml_new_tensor_2d(rest, ggml_type, columns, rows);
    Tensor* x = api.ggml_new_tensor_2d(rest, ggml::kTypeF32, columns, kInputs);
    Tensor* last = api.ggml_new_tensor_2d(rest, ggml::kTypeF32, columns, 1);
    Tensor* results[3] = {api.ggml_mul_mat(rest, w, x), api.ggml_mul_mat(rest, plain, x),
                          api.ggml_mul_mat(rest, w, last)};
    ggml::Graph* graph = api.ggml_new_graph(rest);
    for (Tensor* t : results) api.ggml_build_forward_expand(graph, t);
    if (!r.allocate(rest, api.ggml_backend_cpu_buffer_type())) return "no memory";

    Random random;
    const int floats = float_type(ggml_type);
    const auto blocks = floats < 0 ? random_blocks(ggml_type, rows * columns, random)
                                   : random_floats(kCellLayouts[floats], rows * columns, random);
    api.ggml_backend_tensor_set(w, blocks.data(), 0, blocks.size());
    api.ggml_backend_tensor_set(plain, blocks.data(), 0, blocks.size());
    std::vector<float> input(static_cast<size_t>(columns * kInputs));
    for (auto& v : input) v = random.unit();
    api.ggml_backend_tensor_set(x, input.data(), 0, input.size() * sizeof(float));
    api.ggml_backend_tensor_set(last, input.data() + (kInputs - 1) * columns, 0,
                                static_cast<size_t>(columns) * sizeof(float));

    if (const char* problem = r.compute(graph, threads)) return problem;
    if (differ(results)) return "a product differs from llama.cpp's";
    return depends(results) ? "a row depends on its company" : nullptr;
}

// Experts: more inputs than one pass takes for one of them, none for another, each input's choice another.
const char* test_experts(BufferType* type, int ggml_type, int64_t columns, int64_t rows, int threads) {
    constexpr int64_t kExperts = 5, kSlots = 2, kTokens = 23;
    Resources r;
    Context *ours = r.context(1), *rest = r.context(12);
    if (!ours || !rest) return "no memory";
    Tensor* w = api.ggml_new_tensor_4d(ours, ggml_type, columns, rows, kExperts, 1);
    if (!r.allocate(ours, type)) return "no memory";
    Tensor* plain = api.ggml_new_tensor_4d(rest, ggml_type, columns, rows, kExperts, 1);
    Tensor* shared = api.ggml_new_tensor_4d(rest, ggml::kTypeF32, columns, 1, kTokens, 1);
    Tensor* own = api.ggml_new_tensor_4d(rest, ggml::kTypeF32, columns, kSlots, 1, 1);
    Tensor* chosen = api.ggml_new_tensor_2d(rest, ggml::kTypeI32, kSlots, kTokens);
    Tensor* last = api.ggml_new_tensor_2d(rest, ggml::kTypeI32, kSlots, 1);
    Tensor* results[3] = {api.ggml_mul_mat_id(rest, w, shared, chosen),
                          api.ggml_mul_mat_id(rest, plain, shared, chosen), api.ggml_mul_mat_id(rest, w, own, last)};
    ggml::Graph* graph = api.ggml_new_graph(rest);
    for (Tensor* t : results) api.ggml_build_forward_expand(graph, t);
    if (!r.allocate(rest, api.ggml_backend_cpu_buffer_type())) return "no memory";

    Random random;
    const auto blocks = random_blocks(ggml_type, kExperts * rows * columns, random);
    api.ggml_backend_tensor_set(w, blocks.data(), 0, blocks.size());
    api.ggml_backend_tensor_set(plain, blocks.data(), 0, blocks.size());
    std::vector<float> input(static_cast<size_t>(columns * kTokens));
    for (auto& v : input) v = random.unit();
    api.ggml_backend_tensor_set(shared, input.data(), 0, input.size() * sizeof(float));
    const float* token = input.data() + (kTokens - 1) * columns;
    for (size_t slot = 0; slot < kSlots; slot++)
        api.ggml_backend_tensor_set(own, token, slot * static_cast<size_t>(columns) * sizeof(float),
                                    static_cast<size_t>(columns) * sizeof(float));
    std::vector<int32_t> choice;
    for (int32_t i = 0; i < kTokens; i++) {
        choice.push_back(0);
        choice.push_back(2 + i % 3);
    }
    api.ggml_backend_tensor_set(chosen, choice.data(), 0, choice.size() * sizeof(int32_t));
    api.ggml_backend_tensor_set(last, choice.data() + (kTokens - 1) * kSlots, 0, kSlots * sizeof(int32_t));

    if (const char* problem = r.compute(graph, threads)) return problem;
    if (differ(results)) return "a product with experts differs from llama.cpp's";
    return depends(results) ? "a row of experts depends on its company" : nullptr;
}

}  // namespace

const char* self_test(BufferType* type, const KernelSet& kernels) {
    const char* problem = nullptr;
    const auto test = [&](int threads) {
        for (const Layout& l : kLayouts)
            if (!problem) problem = test_weights(type, l.ggml_type, kColumns, kPanels * kernels.lanes, threads);
        for (const Layout& l : kLayouts)
            if (!problem) problem = test_experts(type, l.ggml_type, kColumns, 3 * kernels.lanes, threads);
        for (int i = 0; i < kFloatTypes; i++)  // odd sizes
            if (!problem)
                problem =
                    test_weights(type, kCellLayouts[i].ggml_type, kColumns - 3, kPanels * kGroupRows - 3, threads);
    };
    test(1);
    if (problem) return problem;
    try {
        // OpenMP keeps its threads for the thread that asked for them, and a forked child has lost them: so they are
        // asked for by one that ends here.
        std::thread(test, kThreads).join();
    } catch (const std::system_error&) {
        return "no thread can be started";
    }
    return problem;
}

}  // namespace hd::kernels
