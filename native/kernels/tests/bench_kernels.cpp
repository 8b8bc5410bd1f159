// How fast each kernel streams weights, beside the memory's own reading speed, and what more rows cost.
//   bench_kernels [instruction set [weight type]]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

#include "../kernel_sets.hpp"
#include "../product.hpp"
#include "../repack.hpp"
#include "reference.hpp"

using namespace hd::kernels;

namespace {

constexpr int64_t kRows = 11008, kColumns = 4096;
constexpr size_t kStreamed = size_t{600} << 20;  // far beyond the caches
const int kThreads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));

// The fastest of several runs of work(thread) on all threads, in seconds.
double fastest(int runs, const std::function<void(int)>& work) {
    double best = 1e9;
    for (int run = 0; run < runs; run++) {
        const auto start = std::chrono::steady_clock::now();
        std::vector<std::thread> threads;
        for (int t = 1; t < kThreads; t++) threads.emplace_back(work, t);
        work(0);
        for (auto& t : threads) t.join();
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
}

void bench(const KernelSet& set, WeightType type) {
    const Layout& shape = layout(type);
    const auto blocks = reference::random_blocks(type, kRows * kColumns / shape.columns, 3);
    std::vector<std::vector<uint8_t>> data(kStreamed / blocks.size() + 1);
    std::vector<Matrix> matrices;
    for (auto& d : data) {
        d.resize(blocks.size() + 64);
        auto* aligned = reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(d.data()) + 63) & ~uintptr_t{63});
        matrices.push_back({type, set.lanes, kRows, kColumns, aligned});
        repack(matrices.back(), blocks.data(), kThreads);
    }
    std::vector<float> x(kMaxRows * kColumns), y(kMaxRows * kRows);
    for (size_t i = 0; i < x.size(); i++) x[i] = static_cast<float>(i * 7919 % 2001) / 500 - 2;
    std::printf("%-7s", shape.name);
    double one = 0;
    for (int64_t n : {1, 2, 3, 4, 6, 8, 12, 16}) {
        const Rows in{reinterpret_cast<char*>(x.data()), {n, 1, 1}, {kColumns * 4, 0, 0}, 4};
        const Rows out{reinterpret_cast<char*>(y.data()), {n, 1, 1}, {kRows * 4, 0, 0}, 4};
        std::vector<uint8_t> work(Product::work_bytes(type, n, kColumns));
        Product(set, matrices[0], in, out).quantize(work.data(), 0, 1);
        const double seconds = fastest(9, [&](int t) {
            for (const Matrix& m : matrices) {
                const Product product(set, m, in, out);
                const int64_t chunks = product.chunks(kThreads);
                for (int64_t c = chunks * t / kThreads; c < chunks * (t + 1) / kThreads; c++)
                    product.multiply(work.data(), c, kThreads);
            }
        });
        if (n == 1) one = seconds;
        const double bytes = static_cast<double>(blocks.size() * matrices.size());
        std::printf("  %2d: %4.1f (%.2f)", static_cast<int>(n), bytes / seconds / 1e9, seconds / one);
    }
    std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
    const KernelSet* set = argc > 1 ? kernels_named(argv[1]) : best_kernels();
    if (!set) return std::fprintf(stderr, "no such kernels here\n"), 1;
    const std::vector<uint64_t> memory(kStreamed / 8, 1);
    std::vector<uint64_t> sums(static_cast<size_t>(kThreads) * 8);
    const double seconds = fastest(9, [&](int t) {
        uint64_t sum[8] = {};
        const size_t n = memory.size() / 8 / static_cast<size_t>(kThreads), first = n * static_cast<size_t>(t) * 8;
        for (size_t i = first; i < first + n * 8; i += 8)
            for (size_t j = 0; j < 8; j++) sum[j] += memory[i + j];
        for (size_t j = 0; j < 8; j++) sums[static_cast<size_t>(t) * 8 + j] = sum[j];
    });
    std::printf("%s, %d threads; memory read alone: %.1f GB/s (%d)\n", set->isa, kThreads,
                static_cast<double>(kStreamed) / seconds / 1e9, static_cast<int>(sums[0] % 10));
    std::printf("rows: GB/s of weights (time, one row = 1)\n");
    for (int t = 0; t < kWeightTypes; t++)
        if (argc < 3 || std::string(argv[2]) == kLayouts[t].name) bench(*set, static_cast<WeightType>(t));
    return 0;
}
