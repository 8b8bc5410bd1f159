// Attention of some rows behind a context, streamed from memory as a forward's layers do: GB/s of K and V beside the
// memory's reading speed, and the share of the arithmetic that the processor could do.
//   bench_attention [head size] [KV heads] [heads per KV head] [cells] [type] [instruction set] [company] [turn]
// In company the cells belong to so many conversations, which wrote `turn` cells in turns; the rows are dealt out to
// them.
#include <cstdio>

#include "../kernel_sets.hpp"
#include "../vector_set.hpp"
#include "bench.hpp"

using namespace hd::kernels;

namespace {

constexpr int kThreads = 2;
constexpr auto kBytes = static_cast<int64_t>(kStreamed);

struct Setup {
    int64_t size, kv_heads, group, cells;
    CellType type;
    int64_t company, turn;

    int64_t cache_bytes() const { return cells * kv_heads * vector_bytes(type, size); }  // of K or of V in one layer
};

// Seconds of one layer, the best of some passes over all layers.
double time(const Setup& s, const AttentionSet& set, const char* memory, int64_t rows) {
    const int64_t heads = s.kv_heads * s.group, layers = std::max<int64_t>(1, kBytes / (2 * s.cache_bytes()));
    std::vector<float> q(static_cast<size_t>(rows * heads * s.size), 0.01f), out(q.size());
    std::vector<uint16_t> mask(static_cast<size_t>(rows * s.cells), kHidden);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < s.cells - rows + r + 1; c++)
            if (c / s.turn % s.company == r * s.company / rows) mask[static_cast<size_t>(r * s.cells + c)] = 0;
    const int64_t bytes = vector_bytes(s.type, s.size);
    Problem p{};
    p.q = {reinterpret_cast<const char*>(q.data()), heads * s.size * 4, s.size * 4, 0};
    p.out = {reinterpret_cast<const char*>(out.data()), heads * s.size * 4, s.size * 4, 0};
    p.mask = reinterpret_cast<const char*>(mask.data());
    p.mask_row = s.cells * 2;
    p.mask_streams = p.streams = p.kv_streams = 1;
    p.rows = rows, p.heads = heads, p.kv_heads = s.kv_heads, p.cells = s.cells, p.scale = 0.1f;
    p.k = {{memory, s.kv_heads * bytes, bytes, 0}, s.type, s.size};
    p.v = p.k;
    std::vector<char> work(Attention(p, set).work_bytes(kThreads));
    const int64_t passes = rows > 64 ? 1 : layers;
    const double seconds = fastest(5, kThreads, [&](Team& team) {
        for (int64_t layer = 0; layer < passes; layer++) {
            Problem one = p;
            one.k.data = memory + 2 * layer * s.cache_bytes();
            one.v.data = one.k.data + s.cache_bytes();
            Attention(one, set).run(team, work.data());
            team.barrier();
        }
    });
    return seconds / static_cast<double>(passes);
}

}  // namespace

int main(int argc, char** argv) {
    const auto number = [&](int i, int64_t otherwise) { return argc > i ? std::atoll(argv[i]) : otherwise; };
    Setup s{number(1, 128), number(2, 32), number(3, 1), number(4, 3500), CellType::f16, number(7, 1), number(8, 1)};
    for (int i = 0; i < kCellTypes; i++)
        if (argc > 5 && !std::strcmp(argv[5], kCellLayouts[i].name)) s.type = static_cast<CellType>(i);
    const KernelSet* kernels = argc > 6 ? kernels_named(argv[6]) : best_kernels();
    if (!kernels) return std::fprintf(stderr, "no such kernels here\n"), 1;
    const AttentionSet& set = vector_set(*kernels).attention;
    const char* memory = memory_of(static_cast<size_t>(std::max<int64_t>(kBytes, 2 * s.cache_bytes())));
    const double speed = read_speed(memory, kThreads), layer = 2 * static_cast<double>(s.cache_bytes());
    std::printf("%s, %d threads; memory read alone: %.1f GB/s; %.2f MB per layer\n", set.isa, kThreads, speed / 1e9,
                layer / 1e6);
    for (const int64_t rows : {1, 2, 4, 8, 16, 32, 128, 512}) {
        if (rows > s.cells) break;
        const double seconds = time(s, set, memory, rows);
        const double sums = 4.0 * static_cast<double>(rows * s.kv_heads * s.group * s.size) *
                            (static_cast<double>(s.cells) - static_cast<double>(rows) / 2) /
                            static_cast<double>(s.company);
        std::printf("%4d rows: %8.3f ms a layer, %5.1f GB/s (%.2f of memory), %6.1f GFLOP/s\n", int(rows),
                    seconds * 1e3, layer / seconds / 1e9, layer / seconds / speed, sums / seconds / 1e9);
    }
    return 0;
}
