// Attention against a reference in double precision, and bit for bit against itself: a row alone, in any company, on
// any number of threads; a node of a tree and its path alone.
#include <algorithm>
#include <random>

#include "../attention/visible.hpp"
#include "../vector_set.hpp"
#include "attention_scene.hpp"
#include "each_set.hpp"

using namespace hd::kernels;

namespace {

// One row, in a cache where the cells that it sees lie side by side.
std::vector<float> alone(const AttentionSet& set, const Shape& shape, int number, const Row& row, int threads = 1) {
    Row contents = row;
    contents.resize(static_cast<size_t>(shape.cells), 9999);
    return Scene(set, shape, contents).run(number, {first_cells(static_cast<int64_t>(row.size()))}, threads)[0];
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && !std::memcmp(a.data(), b.data(), a.size() * sizeof(float));
}

// Rows of a prompt: each sees its own cell and all before.
void check_company(const AttentionSet& set, const Shape& shape, const std::vector<int>& counts) {
    const Scene scene(set, shape);
    const int most = *std::max_element(counts.begin(), counts.end());
    std::vector<Row> rows;
    std::vector<std::vector<float>> each;
    for (int i = 0; i < most; i++) {
        rows.push_back(first_cells(shape.cells - most - 3 + i));
        each.push_back(scene.run(i, {rows.back()}, 1, i % 8 == 0)[0]);
    }
    for (const int count : counts)
        for (int threads = 1; threads <= 3; threads++) {
            const int from = most - count;
            const auto got = scene.run(from, {rows.begin() + from, rows.end()}, threads, threads == 2);
            const bool same = std::equal(got.begin(), got.end(), each.begin() + from, same_bits);
            if (!same)
                std::fprintf(stderr, "%s %s/%s size %d: %d rows, %d threads\n", set.isa, layout(shape.k).name,
                             layout(shape.v).name, int(shape.size), count, threads);
            CHECK(same);
        }
}

// Nodes of random trees behind a trunk with holes. Each path alone, in a cache where its cells lie side by side, must
// have the same bits.
void check_trees(const AttentionSet& set, const Shape& shape, uint32_t seed) {
    std::mt19937 random(seed);
    const Scene scene(set, shape);
    Row trunk;
    for (int64_t c = 0; c < shape.cells - 70; c++)
        if (random() % 40) trunk.push_back(c);
    std::vector<Row> rows;
    const int nodes = 1 + static_cast<int>(random() % 63);
    for (int i = 0; i < nodes; i++) {
        Row row = i == 0 ? trunk : rows[random() % rows.size()];
        row.push_back(shape.cells - 66 + i);
        rows.push_back(row);
    }
    const auto tree = scene.run(0, rows, 2, true);
    for (size_t i = 0; i < rows.size(); i++) {
        const int number = static_cast<int>(i);
        CHECK(same_bits(alone(set, shape, number, rows[i], 1 + number % 3), tree[i]));
    }
}

// Rows of several conversations whose cells lie in turns, prompts and trees of drafts, some of them sharing a
// beginning. Each row alone, in a cache where its cells lie side by side, must have the same bits.
void check_turns(const AttentionSet& set, const Shape& shape, uint32_t seed) {
    std::mt19937 random(seed);
    const Scene scene(set, shape);
    const size_t company = 2 + random() % 6;
    const int64_t common = random() % 2 ? static_cast<int64_t>(random() % 90) : 0;
    std::vector<Row> trunks(company, first_cells(common));
    for (int64_t c = common; c < shape.cells - 120;) {
        const size_t owner = random() % (company + 1);  // the last one is nobody: cells of rejected drafts
        for (auto turn = static_cast<int64_t>(1 + random() % (seed % 2 ? 3 : 40)); turn > 0 && c < shape.cells - 120;
             turn--, c++)
            if (owner < company) trunks[owner].push_back(c);
    }
    std::vector<Row> rows;
    int64_t cell = shape.cells - 120;
    const size_t answers = seed % 3 ? 0 : random() % company;  // rows of one token, and then a long piece of a prompt
    for (size_t owner = 0; owner < company; owner++) {
        const Row& trunk = trunks[owner];
        const size_t first = rows.size();
        const bool prompt = random() % 3 == 0 || (answers && owner == answers);
        const auto most = static_cast<int64_t>(owner < answers ? 1 : 1 + random() % 15);
        for (int64_t n = answers && owner == answers ? 40 : most; n > 0; n--) {
            Row row = rows.size() == first ? trunk
                      : prompt             ? rows.back()
                                           : rows[first + random() % (rows.size() - first)];
            row.push_back(cell++);
            rows.push_back(std::move(row));
        }
    }
    for (int threads = 1; threads <= 3; threads++) {
        const auto together = scene.run(0, rows, threads, threads == 2);
        for (size_t i = static_cast<size_t>(threads) - 1; i < rows.size(); i += 3) {
            CHECK(same_bits(alone(set, shape, static_cast<int>(i), rows[i]), together[i]));
        }
    }
}

// Runs of hidden cells of any length, as other conversations leave them, and of seen ones: no cell is missed.
void check_runs(uint32_t seed) {
    std::mt19937 random(seed);
    const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint32_t>(n)); };
    Problem problem{};
    problem.rows = problem.streams = problem.mask_streams = 1;
    problem.cells = 1 + below(3000);
    std::vector<uint16_t> mask(static_cast<size_t>(problem.cells));
    bool hidden = seed % 2;
    for (int64_t c = 0, end = 0; c < problem.cells; c++) {
        if (c == end) {
            hidden = !hidden;
            end += 1 + below(seed % 3 ? 500 : 20);
        }
        mask[static_cast<size_t>(c)] = hidden ? kHidden : seed % 4 && below(50) == 0 ? 0x3c00 : 0;
    }
    problem.mask = reinterpret_cast<const char*>(mask.data());
    std::vector<int32_t> table(Visible::bytes(problem) / sizeof(int32_t)), want;
    Visible visible(problem, table.data());
    visible.fill(0, 1);
    for (int64_t c = 0; c < problem.cells; c++) {
        if (mask[static_cast<size_t>(c)] != kHidden) want.push_back(static_cast<int32_t>(c));
    }
    CHECK(visible.count(0, 0) == static_cast<int64_t>(want.size()));
    std::vector<int32_t> cells(kChunk), got;
    std::vector<float> values(kChunk);
    for (int64_t chunk = 0; chunk < Visible::chunks(problem); chunk++) {
        const int n = visible.list(0, 0, chunk, cells.data(), values.data());
        got.insert(got.end(), cells.begin(), cells.begin() + n);
    }
    CHECK(got == want);
}

// Rows that mostly see what the row before them sees, as those of prompts and trees do, and rows that see something
// else. Whoever fills the table, each row has in it what it has alone, and what it shares with the row before is not
// overrated.
void check_neighbours(uint32_t seed) {
    std::mt19937 random(seed);
    const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint32_t>(n)); };
    Problem problem{};
    problem.rows = 1 + below(30), problem.streams = problem.mask_streams = 1 + below(2);
    problem.cells = 1 + below(seed % 2 ? 3000 : 700);
    problem.mask_row = problem.cells * 2, problem.mask_stream = problem.rows * problem.cells * 2;
    const int64_t all = problem.rows * problem.streams;
    std::vector<uint16_t> mask(static_cast<size_t>(all * problem.cells), kHidden);
    for (int64_t i = 0; i < all; i++) {
        uint16_t* const row = mask.data() + i * problem.cells;
        const bool as_before = i && below(4);
        if (as_before) std::copy_n(row - problem.cells, problem.cells, row);
        const uint16_t value = below(12) ? 0 : 0x3c00;
        const int64_t changes = as_before ? below(4) : problem.cells;
        const int64_t from = as_before ? below(problem.cells) : 0;
        for (int64_t c = 0; c < changes; c++)
            row[as_before ? from + below(problem.cells - from) : c] = below(5) ? value : kHidden;
    }
    problem.mask = reinterpret_cast<const char*>(mask.data());
    for (int threads = 1; threads <= 3; threads++) {
        std::vector<int32_t> table(Visible::bytes(problem) / sizeof(int32_t));
        Visible visible(problem, table.data());
        for (int thread = threads; thread-- > 0;) visible.fill(thread, threads);
        for (int64_t i = 0; i < all; i++) {
            Problem one = problem;
            one.rows = one.streams = one.mask_streams = 1;
            one.mask = reinterpret_cast<const char*>(mask.data() + i * problem.cells);
            std::vector<int32_t> own(Visible::bytes(one) / sizeof(int32_t));
            Visible alone(one, own.data());
            alone.fill(0, 1);
            const int64_t stream = i / problem.rows, row = i % problem.rows, count = alone.count(0, 0);
            bool same = visible.count(stream, row) == count && visible.zero(stream, row) == alone.zero(0, 0);
            for (int64_t chunk = 0; same && chunk * kChunk < count; chunk++)
                same = visible.first(stream, row, chunk) == alone.first(0, 0, chunk) &&
                       visible.plain(stream, row, chunk) == alone.plain(0, 0, chunk);
            CHECK(same);
            int64_t shared = 0, differs = 0;
            const uint16_t* const values = mask.data() + i * problem.cells;
            while (row && differs < problem.cells && values[differs] == values[differs - problem.cells])
                shared += values[differs++] != kHidden;
            CHECK(visible.common(stream, row) == shared);
        }
    }
}

void check_nothing_visible(const AttentionSet& set) {
    for (const bool sinks : {false, true}) {
        Shape shape;
        shape.sinks = sinks;
        const auto got = Scene(set, shape).run(1, {{}, first_cells(200), {}}, 2, true);
        for (const size_t r : {size_t{0}, size_t{2}})
            CHECK(std::all_of(got[r].begin(), got[r].end(), [](float x) { return x == 0; }));
        CHECK(std::any_of(got[1].begin(), got[1].end(), [](float x) { return x != 0; }));
    }
}

void check_set(const AttentionSet& set) {
    const std::vector<int> many = {1, 2, 3, 5, 8, 16, 33, 64, 200}, few = {1, 2, 5, 33};
    Shape shape;
    shape.cells = 640;
    check_company(set, shape, many);
    shape.group = 3, shape.kv_heads = 3;
    check_company(set, shape, many);
    shape.size = shape.value_size = 128, shape.group = 1, shape.kv_heads = 9, shape.cells = 400;
    check_company(set, shape, few);
    for (const int64_t size : {64, 80, 96, 112, 128, 192, 256, 512})
        for (int k = 0; k < kCellTypes; k++)
            for (int v = 0; v < kCellTypes; v++) {
                Shape s;
                s.k = static_cast<CellType>(k), s.v = static_cast<CellType>(v);
                s.size = s.value_size = size;
                s.cells = 180;
                if (size % layout(s.k).columns || size % layout(s.v).columns || (size > 64 && (k + v) % 3)) continue;
                s.group = 1 + (k + v + size / 16) % 5;
                check_company(set, s, few);
            }
    Shape latent;
    latent.size = 576, latent.value_size = 512, latent.kv_heads = 1, latent.group = 16, latent.cells = 150;
    check_company(set, latent, few);
    Shape odd;
    odd.softcap = 20, odd.sinks = true, odd.streams = 2, odd.group = 2;
    check_company(set, odd, few);
    odd.softcap = 0, odd.max_bias = 8, odd.kv_heads = 3;
    check_company(set, odd, few);
    Shape open;
    open.masked = false;
    check_company(set, open, {1, 5});
    for (uint32_t seed = 1; seed <= 12; seed++) {
        Shape s;
        s.cells = 200 + 37 * seed;
        s.group = 1 + seed % 4, s.kv_heads = 1 + seed % 3;
        s.k = seed % 2 ? CellType::f16 : CellType::q8_0;
        s.max_bias = seed % 5 ? 0.0f : 8.0f;
        check_trees(set, s, seed);
        s.cells = 500 + 300 * (seed % 4), s.max_bias = 0;
        check_turns(set, s, seed);
    }
    check_nothing_visible(set);
}

}  // namespace

int main(int argc, char** argv) {
    for (uint32_t seed = 1; seed <= 300; seed++) check_runs(seed), check_neighbours(seed);
    return each_set(argc, argv, {"AVX-512 VNNI", "AVX2", "NEON dotprod"}, [](const KernelSet& kernels) {
        const AttentionSet& set = vector_set(kernels).attention;
        check_set(set);
        std::printf("attention: %s\n", set.isa);
    });
}
