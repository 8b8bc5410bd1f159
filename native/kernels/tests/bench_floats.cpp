// How fast float weights stream through their kernels: GB/s and multiply-adds for some numbers of inputs.
//   bench_floats [type [instruction set]]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "../floats/float_product.hpp"
#include "../kernel_sets.hpp"
#include "../large_pages.hpp"
#include "thread_team.hpp"

using namespace hd::kernels;

namespace {

constexpr int kThreads = 2;
constexpr int64_t kRows = 5632, kColumns = 2048;
constexpr int64_t kStreamed = 512 << 20;  // far beyond the caches

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

int main(int argc, char** argv) {
    CellType type = CellType::f16;
    for (int i = 0; i < kFloatTypes; i++)
        if (argc > 1 && !std::strcmp(argv[1], kCellLayouts[i].name)) type = static_cast<CellType>(i);
    const KernelSet* kernels = argc > 2 ? kernels_named(argv[2]) : best_kernels();
    const FloatSet* set = kernels ? float_set(kernels->lanes) : nullptr;
    if (!set) return std::fprintf(stderr, "no such kernels here\n"), 1;
    auto* memory = static_cast<char*>(std::aligned_alloc(2 << 20, static_cast<size_t>(kStreamed)));
    advise_large_pages(memory, static_cast<size_t>(kStreamed));
    std::memset(memory, 0x11, static_cast<size_t>(kStreamed));
    const int64_t step = vector_bytes(type, kColumns), bytes = kRows * step;
    std::printf("%s, %s, %d threads\n", set->isa, layout(type).name, kThreads);
    for (const int64_t n : {1, 2, 4, 6, 8, 16, 64, 512}) {
        std::vector<float> x(static_cast<size_t>(n * kColumns), 0.5f), y(static_cast<size_t>(n * kRows));
        const Rows in{reinterpret_cast<char*>(x.data()), {n, 1, 1}, {kColumns * 4, 0, 0}, 4};
        const Rows out{reinterpret_cast<char*>(y.data()), {n, 1, 1}, {kRows * 4, 0, 0}, 4};
        const int64_t matrices = n > 16 ? 1 : kStreamed / bytes;
        double best = 1e9;
        for (int run = 0; run < 7; run++) {
            const double start = now();
            with_team(kThreads, [&](Team& team) {
                for (int64_t m = 0; m < matrices; m++) {
                    const FloatProduct p(*set, {type, kRows, kColumns, memory + m * bytes, step}, in, out);
                    if (team.thread == 0) team.restart(kThreads);
                    team.barrier();
                    const int64_t chunks = p.chunks(kThreads);
                    for (int64_t c = team.thread; c < chunks; c = team.claim()) p.multiply(nullptr, c, kThreads);
                    team.barrier();
                }
            });
            best = std::min(best, (now() - start) / static_cast<double>(matrices));
        }
        std::printf("%4d inputs: %8.3f ms, %5.1f GB/s, %6.1f G multiply-adds/s\n", int(n), best * 1e3,
                    static_cast<double>(bytes) / best / 1e9, static_cast<double>(n * kRows * kColumns) / best / 1e9);
    }
    return 0;
}
