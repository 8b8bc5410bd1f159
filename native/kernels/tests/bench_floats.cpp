// How fast float weights stream through their kernels: GB/s and multiply-adds for some numbers of inputs.
//   bench_floats [type [instruction set]]
#include <cstdio>

#include "../floats/float_product.hpp"
#include "../kernel_sets.hpp"
#include "../vector_set.hpp"
#include "bench.hpp"

using namespace hd::kernels;

namespace {

constexpr int kThreads = 2;
constexpr int64_t kRows = 5632, kColumns = 2048;

}  // namespace

int main(int argc, char** argv) {
    CellType type = CellType::f16;
    for (int i = 0; i < kFloatTypes; i++)
        if (argc > 1 && !std::strcmp(argv[1], kCellLayouts[i].name)) type = static_cast<CellType>(i);
    const KernelSet* kernels = argc > 2 ? kernels_named(argv[2]) : best_kernels();
    if (!kernels) return std::fprintf(stderr, "no such kernels here\n"), 1;
    const FloatSet& set = vector_set(*kernels).floats;
    const char* memory = memory_of(kStreamed);
    const int64_t step = vector_bytes(type, kColumns), bytes = kRows * step;
    std::printf("%s, %s, %d threads\n", set.isa, layout(type).name, kThreads);
    for (const int64_t n : {1, 2, 4, 6, 8, 16, 64, 512}) {
        std::vector<float> x(static_cast<size_t>(n * kColumns), 0.5f), y(static_cast<size_t>(n * kRows));
        const Rows in{reinterpret_cast<char*>(x.data()), {n, 1, 1}, {kColumns * 4, 0, 0}, 4};
        const Rows out{reinterpret_cast<char*>(y.data()), {n, 1, 1}, {kRows * 4, 0, 0}, 4};
        std::vector<uint8_t> work(FloatProduct(set, {type, kRows, kColumns, memory, step}, in, out).work_bytes());
        const int64_t matrices = n > 16 ? 1 : static_cast<int64_t>(kStreamed) / bytes;
        const double all = fastest(7, kThreads, [&](Team& team) {
            for (int64_t m = 0; m < matrices; m++) {
                const FloatProduct p(set, {type, kRows, kColumns, memory + m * bytes, step}, in, out);
                p.prepare(work.data(), team.thread, kThreads);
                if (team.thread == 0) team.restart(kThreads);
                team.barrier();
                const int64_t chunks = p.chunks(kThreads);
                for (int64_t c = team.thread; c < chunks; c = team.claim()) p.multiply(work.data(), c, kThreads);
                team.barrier();
            }
        });
        const double best = all / static_cast<double>(matrices);
        std::printf("%4d inputs: %8.3f ms, %5.1f GB/s, %6.1f G multiply-adds/s\n", int(n), best * 1e3,
                    static_cast<double>(bytes) / best / 1e9, static_cast<double>(n * kRows * kColumns) / best / 1e9);
    }
    return 0;
}
