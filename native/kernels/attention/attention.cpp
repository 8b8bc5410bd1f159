#include "attention.hpp"

#include <algorithm>

namespace hd::kernels {
namespace {

constexpr int64_t kPairs = 128;            // queries of a unit, unless one row has more in a group
constexpr int64_t kUnitsPerThread = 4;     // a thread that is held up leaves its units to the others
constexpr int64_t kChunkBytes = 1 << 20;   // parts of one chunk up to which chunks may be spread over threads
constexpr int64_t kRoundBytes = 16 << 20;  // parts that are kept at a time
constexpr int64_t kOwnShare = 6;           // eighths of the chunks that threads begin with, instead of claiming them
constexpr int64_t kStreamed = 32;          // queries of a KV head up to which reading memory takes longest

size_t rounded(size_t bytes) { return (bytes + 63) & ~size_t{63}; }
int64_t parts_of(int64_t n, int64_t size) { return (n + size - 1) / size; }

}  // namespace

Attention::Attention(const Problem& problem, const AttentionSet& set) : problem_(problem), set_(set) {
    limits_.pairs = std::max(kPairs, problem.group());
    limits_.rows = std::min(problem.rows, kPairs);
    const int64_t bytes = all_queries() * step() * 4;
    round_ = bytes > kChunkBytes ? 0 : std::min(Visible::chunks(problem), kRoundBytes / bytes);
}

// Visible's table, the parts of a round and the running sums, then for each thread a worker and the parts of a walk.
size_t Attention::work_bytes(int threads) const {
    const auto part = static_cast<size_t>(step()) * sizeof(float);
    const size_t shared = round_ ? static_cast<size_t>((round_ + 1) * all_queries()) * part : 0;
    const size_t own = ChunkWorker::bytes(problem_, limits_) + rounded(static_cast<size_t>(2 * limits_.pairs) * part);
    return 64 + rounded(Visible::bytes(problem_)) + rounded(shared) + static_cast<size_t>(threads) * own;
}

// Results do not depend on it, so it may follow the number of threads.
Attention::Plan Attention::plan(const Visible& visible, int threads) const {
    const int64_t chunks = std::max<int64_t>(1, parts_of(visible.most(), kChunk));
    const int64_t wanted = threads == 1 ? 1 : kUnitsPerThread * threads;
    Plan p{};
    p.chunks = chunks;
    p.singles = singles(visible);
    p.single_heads = std::max<int64_t>(1, std::min(problem_.kv_heads, kPairs / problem_.group()));
    p.single_rows = std::max<int64_t>(1, kPairs / (problem_.group() * p.single_heads));
    p.single_shares = parts_of(problem_.kv_heads, p.single_heads);
    const int64_t rows = problem_.rows - p.singles;
    p.rows = std::max<int64_t>(1, std::min(rows, kPairs / problem_.group()));
    p.tiles = parts_of(rows, p.rows);
    p.rows = parts_of(rows, p.tiles);
    const int64_t whole = problem_.streams * problem_.kv_heads * p.tiles;  // units of one head that walk
    const bool streamed = problem_.queries() <= kStreamed;
    p.walk = !round_ || chunks <= 1 || (!streamed && whole >= wanted);
    const int64_t outer = problem_.streams * (p.walk ? 1 : chunks);
    while (p.walk && p.rows > 1 && outer * problem_.kv_heads * p.tiles < wanted) {
        p.rows = (p.rows + 1) / 2;
        p.tiles = parts_of(rows, p.rows);
    }
    const int64_t queries = p.rows * problem_.group();
    p.heads = p.walk && chunks > 1 ? 1 : std::max<int64_t>(1, std::min(problem_.kv_heads, kPairs / queries));
    while (p.heads > 1 && outer * p.tiles * parts_of(problem_.kv_heads, p.heads) < wanted) p.heads = (p.heads + 1) / 2;
    p.head_shares = parts_of(problem_.kv_heads, p.heads);
    p.units = outer * (p.tiles * p.head_shares + parts_of(p.singles, p.single_rows) * p.single_shares);
    return p;
}

// The first rows, as long as each has little in common with the next: those of conversations that go on by a token,
// before the rows of a prompt. What they read nobody else does, so all heads read it at once.
int64_t Attention::singles(const Visible& visible) const {
    if (problem_.streams > 1 || problem_.queries() <= kStreamed) return 0;
    int64_t n = 0;
    while (n + 1 < problem_.rows &&
           2 * visible.common(0, n + 1) < std::min(visible.count(0, n), visible.count(0, n + 1)))
        n++;
    return n;
}

Unit Attention::unit(const Plan& p, int64_t number) const {
    Unit u{};
    const auto digit = [&](int64_t base) {
        const int64_t d = number % base;
        number /= base;
        return d;
    };
    const int64_t apart = parts_of(p.singles, p.single_rows) * p.single_shares;
    if (apart) {  // one stream
        const int64_t i = digit(apart + p.tiles * p.head_shares);
        if (i < apart) {
            u.chunk = number;
            u.first_row = i / p.single_shares * p.single_rows;
            u.rows = std::min(p.single_rows, p.singles - u.first_row);
            u.first_head = i % p.single_shares * p.single_heads;
            u.heads = std::min(p.single_heads, problem_.kv_heads - u.first_head);
            return u;
        }
        number = number * p.tiles * p.head_shares + i - apart;
    }
    const int64_t tile = p.tiles - 1 - digit(p.tiles), share = digit(p.head_shares);  // later rows see more: first
    u.stream = digit(problem_.streams);
    u.chunk = number;
    u.first_row = p.singles + tile * p.rows;
    u.rows = std::min(p.rows, problem_.rows - u.first_row);
    u.first_head = share * p.heads;
    u.heads = std::min(p.heads, problem_.kv_heads - u.first_head);
    return u;
}

void Attention::run(Team& team, void* memory) const {
    auto* at = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(memory) + 63) & ~uintptr_t{63});
    Visible visible(problem_, at);
    at += rounded(Visible::bytes(problem_));
    auto* const shared = reinterpret_cast<float*>(at);
    if (round_) at += rounded(static_cast<size_t>((round_ + 1) * all_queries() * step()) * sizeof(float));
    const size_t parts = rounded(static_cast<size_t>(2 * limits_.pairs * step()) * sizeof(float));
    at += static_cast<size_t>(team.thread) * (ChunkWorker::bytes(problem_, limits_) + parts);

    visible.fill(team.thread, team.threads);
    if (team.thread == 0) team.restart(team.threads);
    team.barrier();
    ChunkWorker worker(problem_, set_, visible, limits_, at + parts);
    const Plan p = plan(visible, team.threads);
    if (p.walk)
        walk(p, team, visible, worker, reinterpret_cast<float*>(at));
    else
        split(p, team, visible, worker, shared);
}

void Attention::walk(const Plan& p, Team& team, const Visible& visible, ChunkWorker& worker, float* parts) const {
    for (int64_t number = team.thread; number < p.units; number = team.claim()) {
        Unit u = unit(p, number);
        worker.begin(u);
        const int64_t group = problem_.group(), queries = u.rows * group, pairs = u.heads * queries;
        float* runs = parts + limits_.pairs * step();
        std::fill_n(runs, pairs * step(), 0.0f);
        for (int64_t i = 0; i < pairs; i++) runs[i * step()] = kNothing;
        int64_t most = 0;
        for (int64_t r = 0; r < u.rows; r++) most = std::max(most, visible.count(u.stream, u.first_row + r));
        const int64_t chunks = parts_of(most, kChunk);
        for (u.chunk = 0; u.chunk < chunks; u.chunk++) {
            worker.compute(u, {parts, queries * step()});
            for (int64_t i = 0; i < pairs; i++)
                if (visible.in_chunk(u.stream, u.first_row + i % queries / group, u.chunk))
                    set_.fold(runs + i * step(), parts + i * step(), problem_.v.size);
        }
        for (int64_t i = 0; i < pairs; i++) {
            const int64_t head = u.first_head + i / queries, query = u.first_row * group + i % queries;
            set_.finish(runs + i * step(), sink(head, query), problem_.v.size, problem_.result(u.stream, head, query));
        }
    }
}

void Attention::split(const Plan& p, Team& team, const Visible& visible, ChunkWorker& worker, float* shared) const {
    const int64_t per_chunk = p.units / p.chunks;
    int64_t claimed = team.claim() - team.threads, done = 0;  // units that are claimed, counted over all rounds
    for (int64_t first = 0; first < p.chunks; first += round_) {
        const int64_t last = std::min(p.chunks, first + round_);
        const auto compute = [&](int64_t chunk, int64_t i) {
            const Unit u = unit(p, chunk * per_chunk + i);
            worker.begin(u);
            float* to = shared + (((chunk - first) * problem_.streams + u.stream) * problem_.kv_heads + u.first_head) *
                                     problem_.queries() * step();
            worker.compute(u, {to + u.first_row * problem_.group() * step(), problem_.queries() * step()});
        };
        // A thread begins with chunks side by side, so that what it asks for ahead is what it needs next. The rest
        // goes unit by unit to whoever is free.
        const int64_t own = (last - first) * kOwnShare / 8 / team.threads, begin = first + own * team.thread;
        for (int64_t i = 0; i < per_chunk; i++)
            for (int64_t c = begin; c < begin + own; c++) compute(c, i);
        const int64_t free = first + own * team.threads, units = (last - free) * per_chunk;
        for (; claimed < done + units; claimed = team.claim() - team.threads)
            compute(free + (claimed - done) / per_chunk, (claimed - done) % per_chunk);
        done += units;
        team.barrier();
        fold(visible, team, shared, first, last, p.chunks);
        if (last < p.chunks) team.barrier();
    }
}

// Adds the parts of chunks [first, last) to each query's running sum, in order.
void Attention::fold(const Visible& visible, Team& team, float* shared, int64_t first, int64_t last,
                     int64_t chunks) const {
    const int64_t all = all_queries(), queries = problem_.queries();
    for (int64_t i = all * team.thread / team.threads; i < all * (team.thread + 1) / team.threads; i++) {
        const int64_t query = i % queries, head = i / queries % problem_.kv_heads;
        const int64_t stream = i / queries / problem_.kv_heads;
        float* run = shared + (round_ * all + i) * step();
        if (first == 0) std::fill_n(run, step(), 0.0f), run[0] = kNothing;
        const int64_t seen = parts_of(visible.count(stream, query / problem_.group()), kChunk);
        for (int64_t c = first; c < std::min(last, seen); c++)
            set_.fold(run, shared + ((c - first) * all + i) * step(), problem_.v.size);
        if (last == chunks) set_.finish(run, sink(head, query), problem_.v.size, problem_.result(stream, head, query));
    }
}

}  // namespace hd::kernels
