// How fast each kernel streams weights, beside the memory's own reading speed, and what more rows cost.
//   bench_kernels [instruction set [weight type]]
#include <cstdio>
#include <string>

#include "../kernel_sets.hpp"
#include "../product.hpp"
#include "../repack.hpp"
#include "bench.hpp"
#include "reference.hpp"

using namespace hd::kernels;

namespace {

constexpr int64_t kRows = 11008, kColumns = 4096;
const int kThreads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));

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
        std::vector<uint8_t> work(work_bytes(type, n, kColumns));
        Product(set, matrices[0], in, out).prepare(work.data(), 0, 1);
        const double seconds = fastest(9, kThreads, [&](Team& team) {
            for (const Matrix& m : matrices) {
                const Product product(set, m, in, out);
                const int64_t chunks = product.chunks(kThreads);
                for (int64_t c = chunks * team.thread / kThreads; c < chunks * (team.thread + 1) / kThreads; c++)
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
    char* memory = memory_of(kStreamed);
    std::printf("%s, %d threads; memory read alone: %.1f GB/s\n", set->isa, kThreads,
                read_speed(memory, kThreads) / 1e9);
    std::free(memory);
    std::printf("rows: GB/s of weights (time, one row = 1)\n");
    for (int t = 0; t < kWeightTypes; t++)
        if (argc < 3 || std::string(argv[2]) == kLayouts[t].name) bench(*set, static_cast<WeightType>(t));
    return 0;
}
