#include "chunk.hpp"

#include <algorithm>
#include <cstring>

namespace hd::kernels {
namespace {

// Cells whose heads are visited one after the other, so that memory is read in order; as many cells ahead are asked
// for.
constexpr int kStream = 16;
constexpr int64_t kCopyFrom = 9;  // queries from which on they are copied to lie side by side
constexpr int kFewGaps = 8;       // cells of a tile for each gap between them, up to which they are read as neighbours
constexpr int64_t kDirect = 16;   // queries up to which cells are converted anew for each block of them

size_t rounded(size_t bytes) { return (bytes + 63) & ~size_t{63}; }

// Cuts memory into arrays that begin at cache lines.
struct Memory {
    char* at;
    template <class T>
    T* take(int64_t n) {
        auto* p = reinterpret_cast<T*>(at);
        at += rounded(static_cast<size_t>(n) * sizeof(T));
        return p;
    }
};

int64_t widest(const Problem& p) { return std::max(p.k.size, p.v.size); }

}  // namespace

size_t ChunkWorker::bytes(const Problem& p, const Limits& limits) {
    const auto n = [](int64_t count, size_t size) { return rounded(static_cast<size_t>(count) * size); };
    return n(limits.pairs, sizeof(float*)) + n(limits.pairs, 4) + n(limits.pairs, sizeof(Block)) +
           n(limits.rows, sizeof(Row)) + 2 * n(limits.rows * kChunk, 4) + n(limits.pairs * kChunk, 4) +
           n(kChunk * widest(p), 4) + n(limits.pairs * p.k.size, 4);
}

ChunkWorker::ChunkWorker(const Problem& problem, const AttentionSet& set, const Visible& visible, const Limits& limits,
                         void* memory)
    : problem_(problem), set_(set), visible_(visible) {
    Memory m{static_cast<char*>(memory)};
    query_ = m.take<const float*>(limits.pairs);
    rows_of_ = m.take<int32_t>(limits.pairs);
    block_ = m.take<Block>(limits.pairs);
    row_ = m.take<Row>(limits.rows);
    cells_ = m.take<int32_t>(limits.rows * kChunk);
    values_ = m.take<float>(limits.rows * kChunk);
    dots_ = m.take<float>(limits.pairs * kChunk);
    converted_ = m.take<float>(kChunk * widest(problem));
    copies_ = m.take<float>(limits.pairs * problem.k.size);
    for (int i = 0; i < kChunk; i++) ranks_[i] = i;
}

void ChunkWorker::begin(const Unit& unit) {
    queries_ = unit.rows * problem_.group();
    for (int64_t i = 0; i < queries_; i++) rows_of_[i] = static_cast<int32_t>(i / problem_.group());
    for (int64_t h = 0; h < unit.heads; h++)
        for (int64_t i = 0; i < queries_; i++) {
            const float* q = problem_.query(unit.stream, unit.first_head + h, unit.first_row * problem_.group() + i);
            const int64_t at = h * queries_ + i;
            if (queries_ >= kCopyFrom) {
                std::memcpy(copies_ + at * problem_.k.size, q, static_cast<size_t>(problem_.k.size) * sizeof(float));
                q = copies_ + at * problem_.k.size;
            }
            query_[at] = q;
        }
}

// The next rows that see something of the chunk; none where no row is left.
ChunkWorker::Run ChunkWorker::next_run(const Unit& u, int64_t first_row) const {
    const auto seen = [&](int64_t r) { return visible_.in_chunk(u.stream, u.first_row + r, u.chunk) > 0; };
    const auto first_cell = [&](int64_t r) { return visible_.first(u.stream, u.first_row + r, u.chunk); };
    while (first_row < u.rows && !seen(first_row)) first_row++;
    const auto goes_on = [&](int64_t r) {
        return seen(r) && first_cell(r) == first_cell(first_row) && visible_.akin(u.stream, u.first_row + r, u.chunk);
    };
    int64_t end = std::min(first_row + 1, u.rows);
    while (end < u.rows && goes_on(end)) end++;
    const int64_t group = problem_.group(), queries = (end - first_row) * group;
    return {first_row, end - first_row, first_row * group, queries, queries > kDirect};
}

void ChunkWorker::find_cells(const Unit& u, const Run& run) {
    int64_t most = run.first_row;
    for (int64_t r = run.first_row; r < run.first_row + run.rows; r++) {
        row_[r].seen = visible_.in_chunk(u.stream, u.first_row + r, u.chunk);
        if (row_[r].seen > row_[most].seen) most = r;
    }
    tile_ = row_[most].seen;
    visible_.list(u.stream, u.first_row + most, u.chunk, tile_cells_, values_ + most * kChunk);
    int gaps = 0;
    for (int i = 1; i < tile_; i++) gaps += tile_cells_[i] != tile_cells_[i - 1] + 1;
    scattered_ = gaps * kFewGaps > tile_;
    const auto compare = [&](int64_t r, int64_t common) {
        Row& row = row_[r];
        row.bias = visible_.zero(u.stream, u.first_row + r) ? nullptr : values_ + r * kChunk;
        row.agrees = row.seen;
        if (r == most || (!row.bias && common >= u.chunk * kChunk + row.seen)) return;
        int32_t* cells = cells_ + r * kChunk;
        visible_.list(u.stream, u.first_row + r, u.chunk, cells, values_ + r * kChunk);
        row.agrees = 0;
        while (row.agrees < row.seen && cells[row.agrees] == tile_cells_[row.agrees]) row.agrees++;
    };
    int64_t common = problem_.cells;
    compare(most, common);
    for (int64_t r = most - 1; r >= run.first_row; r--)
        compare(r, common = std::min(common, visible_.common(u.stream, u.first_row + r + 1)));
    common = problem_.cells;
    for (int64_t r = most + 1; r < run.first_row + run.rows; r++)
        compare(r, common = std::min(common, visible_.common(u.stream, u.first_row + r)));
}

void ChunkWorker::find_blocks(const Run& run) {
    // Converted cells come from the first-level cache, where four queries keep the arithmetic busy. Others are worth
    // as many queries as registers hold.
    blocks_ = 0;
    for (int64_t begin = run.first; begin < run.first + run.queries;) {
        const int64_t left = run.first + run.queries - begin;
        int64_t n = std::min<int64_t>(4, left);
        if (!run.convert && set_.most_queries == 8) n = left >= 8 ? 8 : left >= 6 ? 6 : n;
        Block& block = block_[blocks_++];
        block = {static_cast<int>(begin), static_cast<int>(n), kChunk, 0};
        for (int i = block.begin; i < block.begin + block.queries; i++) {
            const int agrees = row_[row_of(i)].agrees;
            block.shared = std::min(block.shared, agrees);
            block.most = std::max(block.most, agrees);
        }
        begin += n;
    }
}

// Ranks [from, from + count) of the tile, block by block: visit(first query, queries, first rank, ranks).
template <class Visit>
void ChunkWorker::each_block(int from, int count, const Visit& visit) const {
    for (int64_t b = 0; b < blocks_; b++) {
        const Block& block = block_[b];
        const int shared = std::min(block.shared, from + count), rest = std::max(shared, from);
        if (shared > from) visit(block.begin, block.queries, from, shared - from);
        if (block.most <= rest) continue;
        for (int i = block.begin; i < block.begin + block.queries; i++) {
            const int last = std::min(row_[row_of(i)].agrees, from + count);
            if (last > rest) visit(i, 1, rest, last - rest);
        }
    }
}

CellList ChunkWorker::list_of(const Cells& cells, const Unit& u, int64_t head, const int32_t* list, int n) const {
    return {cells.of(u.first_head + head, problem_.kv_stream(u.stream)), cells.inner, list, n, nullptr, 0};
}

// The cells from rank `from` on are asked for while those of `list` are read. Where the unit's heads lie side by side
// that goes through memory in order: each head asks for an equal share of all heads' vectors. Scattered cells are asked
// for at once, each where it lies.
void ChunkWorker::ask(const Cells& cells, const Unit& u, int64_t head, int from, CellList& list) const {
    const int64_t width = vector_bytes(cells.type, cells.size);
    if (scattered_) {
        const char* base = cells.of(u.first_head + head, problem_.kv_stream(u.stream));
        for (int i = from; i < std::min(from + list.n, tile_); i++)
            for (int64_t b = 0; b < width; b += 64) __builtin_prefetch(base + tile_cells_[i] * cells.inner + b, 0, 3);
        return;
    }
    const bool joined = cells.head == width && cells.inner == width * u.heads;
    list.ahead = cells.of(u.first_head + (joined ? 0 : head), problem_.kv_stream(u.stream)) +
                 (from < tile_ ? tile_cells_[from] : tile_cells_[tile_ - 1] + from - tile_ + 1) * cells.inner +
                 (joined ? head * list.n * width : 0);
    list.ahead_step = joined ? width : cells.inner;
}

// Every cell that a query sees: visit(kernels, KV head, first query, queries, cells, rank of the first of them). Ranks
// come in order, `stream` at a time; rows that do not agree with the tile have the rest of theirs alone.
template <class Visit>
void ChunkWorker::each_cell(const Cells& cells, const Unit& u, const Run& run, int stream, const Visit& visit) {
    const CellKernels& kernels = set_.of(run.convert ? CellType::f32 : cells.type);
    for (int from = 0; from < tile_; from += stream) {
        const int n = std::min(stream, tile_ - from);
        for (int64_t h = 0; h < u.heads; h++) {
            CellList list = list_of(cells, u, h, tile_cells_ + from, n);
            ask(cells, u, h, from + stream, list);
            if (run.convert) {
                set_.of(cells.type).convert(list, cells.size, converted_);
                list = {reinterpret_cast<const char*>(converted_), cells.size * 4, ranks_, n, nullptr, 0};
            }
            each_block(from, n, [&](int64_t i, int queries, int rank, int count) {
                visit(kernels, h, i, queries, list.from(rank - from, count, i == run.first), rank);
            });
        }
    }
    for (int64_t i = run.first; i < run.first + run.queries; i++) {
        const int64_t r = row_of(i);
        const Row& row = row_[r];
        if (row.seen > row.agrees)
            for (int64_t h = 0; h < u.heads; h++) {
                const CellList list = list_of(cells, u, h, cells_ + r * kChunk + row.agrees, row.seen - row.agrees);
                visit(set_.of(cells.type), h, i, 1, list, row.agrees);
            }
    }
}

void ChunkWorker::all_scores(const Unit& u, const Run& run) {
    const int stream = u.heads == 1 && !scattered_ ? 2 * kStream : kStream;
    const auto visit = [&](const CellKernels& kernels, int64_t h, int64_t i, int queries, const CellList& list,
                           int rank) {
        kernels.scores[queries](query_ + h * queries_ + i, list, problem_.k.size, dots(h, i) + rank);
    };
    each_cell(problem_.k, u, run, stream, visit);
}

void ChunkWorker::all_values(const Unit& u, const Run& run, const Parts& parts) {
    const int stream = u.heads == 1 && !scattered_ ? kChunk : kStream;
    const auto visit = [&](const CellKernels& kernels, int64_t h, int64_t i, int queries, const CellList& list,
                           int rank) {
        kernels.values[queries](dots(h, i) + rank, list, problem_.v.size, part(parts, h, i) + kPartHead,
                                part_step(problem_.v.size), rank == 0);
    };
    each_cell(problem_.v, u, run, stream, visit);
}

void ChunkWorker::compute(const Unit& u, const Parts& parts) {
    const int64_t group = problem_.group();
    for (Run run = next_run(u, 0); run.rows; run = next_run(u, run.first_row + run.rows)) {
        find_cells(u, run);
        find_blocks(run);
        all_scores(u, run);
        for (int64_t h = 0; h < u.heads; h++)
            for (int64_t i = run.first; i < run.first + run.queries; i++) {
                const Row& row = row_[row_of(i)];
                const SoftmaxShape shape{problem_.scale, problem_.softcap,
                                         row.bias ? problem_.slope((u.first_head + h) * group + i % group) : 1.0f};
                set_.softmax(dots(h, i), row.seen, row.bias, shape, part(parts, h, i));
            }
        all_values(u, run, parts);
    }
}

}  // namespace hd::kernels
