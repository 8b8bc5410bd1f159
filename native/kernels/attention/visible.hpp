// Which cells a row sees. Everything that could tell two rows apart goes by the RANK of a cell among those that the row
// sees, never by the cell's number: a node of a draft tree then has the sums of its path decoded alone, wherever the
// other branches' cells lie.
#pragma once

#include "problem.hpp"

namespace hd::kernels {

constexpr int kChunk = 256;  // ranks whose sums are added up before they join the others

// Per mask row: where each chunk of ranks begins, and how many cells are seen.
class Visible {
  public:
    // The table lies in `memory`, of bytes(problem) bytes.
    Visible(const Problem& problem, void* memory);
    static size_t bytes(const Problem& problem);
    static int64_t chunks(const Problem& problem) { return (problem.cells + kChunk - 1) / kChunk; }

    // Fills the rows of thread `thread` of `threads`; needed once before anything is asked, none without a mask.
    void fill(int thread, int threads);

    int64_t count(int64_t stream, int64_t row) const {
        return problem_.mask ? head(stream, row)[kCount] : problem_.cells;
    }
    int64_t most() const;  // cells that any row sees
    // Cells of this row in the chunk: 0 .. kChunk.
    int in_chunk(int64_t stream, int64_t row, int64_t chunk) const {
        const int64_t left = count(stream, row) - chunk * kChunk;
        return static_cast<int>(left < 0 ? 0 : left > kChunk ? kChunk : left);
    }
    // The first cell of the chunk, which must not be empty.
    int32_t first(int64_t stream, int64_t row, int64_t chunk) const {
        return problem_.mask ? head(stream, row)[kHead + chunk] : static_cast<int32_t>(chunk * kChunk);
    }
    // Are the chunk's cells neighbours, in order, and the mask zero there?
    bool plain(int64_t stream, int64_t row, int64_t chunk) const;
    // Are all mask values of the cells that the row sees zero?
    bool zero(int64_t stream, int64_t row) const { return !problem_.mask || head(stream, row)[kZero]; }
    // Ranks up to which a row sees the same cells as the row before it, with the same mask values; may be fewer.
    int64_t common(int64_t stream, int64_t row) const {
        return problem_.mask ? head(stream, row)[kCommon] : problem_.cells;
    }
    // Do this row and the one before it share at least half of the chunk? Rows of a prompt do, and most nodes of a
    // draft tree; conversations with the same short beginning do not. Where masks have values, nothing is known: yes.
    bool akin(int64_t stream, int64_t row, int64_t chunk) const;
    // The cells of the chunk in order, and slope-free mask values unless all are zero; returns their number.
    int list(int64_t stream, int64_t row, int64_t chunk, int32_t* cells, float* values) const;

  private:
    // A row's head: how many cells it sees, whether all values are zero, common(), then the first cell of each chunk
    // and one behind the last cell seen.
    enum Entry { kCount, kZero, kCommon, kHead };
    struct Begin {
        int64_t cell = 0;
        int32_t count = 0, end = 0;
    };

    void scan(int64_t stream, int64_t row, Begin begin);
    int32_t ranks(int64_t stream, int64_t row, int64_t cell) const;  // cells that the row sees before this one
    int32_t* head(int64_t stream, int64_t row) const {
        return table_ + (stream % streams_ * problem_.rows + row) * step_;
    }

    const Problem& problem_;
    int32_t* table_;
    int64_t step_, streams_;
};

}  // namespace hd::kernels
