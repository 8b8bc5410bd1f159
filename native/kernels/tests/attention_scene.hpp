// A cache of cells and rows that attend to it: what attention is computed on in tests, beside the reference.
#pragma once

#include <random>
#include <vector>

#include "../../tests/check.hpp"
#include "../attention/reference.hpp"
#include "thread_team.hpp"

namespace hd::kernels {

struct Shape {
    CellType k = CellType::f16, v = CellType::f16;
    int64_t size = 64, value_size = 64, cells = 300, kv_heads = 2, group = 1, streams = 1;
    float softcap = 0, max_bias = 0;
    bool sinks = false, masked = true;
};

using Row = std::vector<int64_t>;  // the cells that a row sees, in order

// A cache of random cells, and rows of random queries by number; the same number is the same query.
class Scene {
  public:
    // Cell i of the cache holds what `contents` says, cell i of every other cache without it.
    Scene(const AttentionSet& set, const Shape& shape, const Row& contents = {}) : set_(set), s(shape) {
        for (auto* cache : {&k_, &v_}) {
            const bool keys = cache == &k_;
            const CellType type = keys ? s.k : s.v;
            const int64_t size = keys ? s.size : s.value_size, bytes = vector_bytes(type, size);
            std::vector<int8_t> numbers(static_cast<size_t>(size));
            cache->resize(static_cast<size_t>(s.streams * s.cells * s.kv_heads * bytes));
            for (int64_t i = 0; i < s.streams * s.cells * s.kv_heads; i++) {
                const int64_t cell = i / s.kv_heads % s.cells;
                const int64_t content = contents.empty() ? cell : contents[static_cast<size_t>(cell)];
                auto state =
                    static_cast<uint32_t>((content * 64 + i % s.kv_heads) * 8 + i / s.kv_heads / s.cells * 2 + keys);
                for (auto& x : numbers) {
                    state = state * 1664525U + 1013904223U;
                    x = static_cast<int8_t>((state >> 16) % 255 - 127);
                }
                reference::encode(type, numbers.data(), size, cache->data() + i * bytes);
            }
        }
        for (int64_t h = 0; h < heads(); h++) sinks_.push_back(static_cast<float>(h % 5) - 1);
    }

    int64_t heads() const { return s.kv_heads * s.group; }

    // Results of rows numbered from `first` on, which see these cells, [row][stream][head][column]; `check` compares
    // them with the reference.
    std::vector<std::vector<float>> run(int64_t first, const std::vector<Row>& rows, int threads,
                                        bool check = false) const {
        const auto n = static_cast<int64_t>(rows.size());
        const int64_t width = heads() * s.size, out_width = heads() * s.value_size;
        std::vector<float> q(static_cast<size_t>(s.streams * n * width)),
            out(static_cast<size_t>(s.streams * n * out_width), NAN);
        std::vector<uint16_t> mask(static_cast<size_t>(s.streams * n * s.cells), kHidden);
        for (int64_t stream = 0; stream < s.streams; stream++)
            for (int64_t r = 0; r < n; r++) {
                std::mt19937 random(static_cast<uint32_t>((first + r) * 3 + stream));
                std::normal_distribution<float> normal;
                for (int64_t i = 0; i < width; i++)
                    q[static_cast<size_t>((stream * n + r) * width + i)] = normal(random);
                const Row& row = rows[static_cast<size_t>(r)];
                for (size_t i = 0; i < row.size(); i++)
                    mask[static_cast<size_t>((stream * n + r) * s.cells + row[i])] = reference::to_half(
                        s.max_bias > 0 ? static_cast<float>(i) - static_cast<float>(row.size()) + 1 : 0);
            }
        Problem p{};
        p.q = {reinterpret_cast<const char*>(q.data()), width * 4, s.size * 4, n * width * 4};
        p.out = {reinterpret_cast<const char*>(out.data()), out_width * 4, s.value_size * 4, n * out_width * 4};
        p.k = cells(k_, s.k, s.size);
        p.v = cells(v_, s.v, s.value_size);
        p.mask = s.masked ? reinterpret_cast<const char*>(mask.data()) : nullptr;
        p.mask_row = s.cells * 2;
        p.mask_stream = n * s.cells * 2;
        p.mask_streams = p.streams = p.kv_streams = s.streams;
        p.sinks = s.sinks ? sinks_.data() : nullptr;
        p.rows = n;
        p.heads = heads();
        p.kv_heads = s.kv_heads;
        p.cells = s.cells;
        p.softcap = s.softcap;
        p.scale = 0.15f / (s.softcap > 0 ? s.softcap : 1);
        p.max_bias = s.max_bias;
        compute(p, threads);
        if (check)
            for (int64_t stream = 0; stream < s.streams; stream++)
                for (int64_t r = 0; r < n; r += std::max<int64_t>(1, n / 3))
                    for (int64_t h = 0; h < p.heads; h++) compare(p, stream, h, r);
        std::vector<std::vector<float>> results;
        for (int64_t r = 0; r < n; r++) {
            results.emplace_back();
            for (int64_t stream = 0; stream < s.streams; stream++) {
                const float* at = out.data() + (stream * n + r) * out_width;
                results.back().insert(results.back().end(), at, at + out_width);
            }
        }
        return results;
    }

  private:
    Cells cells(const std::vector<char>& cache, CellType type, int64_t size) const {
        const int64_t bytes = vector_bytes(type, size);
        return {{cache.data(), s.kv_heads * bytes, bytes, s.cells * s.kv_heads * bytes}, type, size};
    }

    void compute(const Problem& p, int threads) const {
        const Attention attention(p, set_);
        std::vector<char> work(attention.work_bytes(threads));
        with_team(threads, [&](Team& team) { attention.run(team, work.data()); });
    }

    void compare(const Problem& p, int64_t stream, int64_t h, int64_t r) const {
        const double error = reference::error_of(p, stream, h, r);
        if (!(error < 4e-6))
            std::fprintf(stderr, "%s %s/%s size %d row %d head %d: error %g\n", set_.isa, layout(s.k).name,
                         layout(s.v).name, int(s.size), int(r), int(h), error);
        CHECK(error < 4e-6);
    }

    const AttentionSet& set_;
    const Shape s;
    std::vector<char> k_, v_;
    std::vector<float> sinks_;
};

inline Row first_cells(int64_t n) {
    Row row;
    for (int64_t i = 0; i < n; i++) row.push_back(i);
    return row;
}

}  // namespace hd::kernels
