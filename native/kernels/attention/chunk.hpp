// The parts of one chunk of ranks: for the queries of some rows and KV heads, the largest score, the sum of the weights
// and the weighted sum of the values over the chunk's cells. One thread works on it.
#pragma once

#include "kernel_set.hpp"
#include "visible.hpp"

namespace hd::kernels {

struct Unit {
    int64_t stream, first_head, heads, first_row, rows, chunk;
};

// How many queries (rows x heads) one unit may have.
struct Limits {
    int64_t rows, pairs;
};

// Where parts go: query i of KV head h (both counted within the unit) to data + h * head_step + i * part_step.
struct Parts {
    float* data;
    int64_t head_step;
};

class ChunkWorker {
  public:
    ChunkWorker(const Problem& problem, const AttentionSet& set, const Visible& visible, const Limits& limits,
                void* memory);
    static size_t bytes(const Problem& problem, const Limits& limits);

    // Queries of this unit's rows and heads are computed from now on, in any of its chunks.
    void begin(const Unit& unit);
    // Writes the parts; queries that see nothing of the chunk are left out.
    void compute(const Unit& unit, const Parts& parts);

  private:
    struct Row {
        int seen, agrees;   // cells of the chunk that it sees, and how many of them are the tile's, rank by rank
        const float* bias;  // mask values of its cells, nullptr: all zero
    };

    // Rows side by side that see the same cell first, such as those of one conversation, and their queries.
    struct Run {
        int64_t first_row, rows, first, queries;
        bool convert;  // cells are converted once for all its blocks
    };

    // Queries that share loads, and the ranks up to which all of them and any of them agree with the tile.
    struct Block {
        int begin, queries, shared, most;
    };

    Run next_run(const Unit& unit, int64_t first_row) const;
    void find_cells(const Unit& unit, const Run& run);
    void find_blocks(const Run& run);
    int64_t row_of(int64_t query) const { return rows_of_[query]; }
    template <class Visit>
    void each_block(int from, int count, const Visit& visit) const;
    template <class Visit>
    void each_cell(const Cells& cells, const Unit& unit, const Run& run, int stream, const Visit& visit);
    void all_scores(const Unit& unit, const Run& run);
    void all_values(const Unit& unit, const Run& run, const Parts& parts);
    float* part(const Parts& parts, int64_t head, int64_t query) const {
        return parts.data + head * parts.head_step + query * part_step(problem_.v.size);
    }
    void ask(const Cells& cells, const Unit& unit, int64_t head, int from, CellList& list) const;
    CellList list_of(const Cells& cells, const Unit& unit, int64_t head, const int32_t* list, int n) const;
    float* dots(int64_t head, int64_t query) const { return dots_ + (head * queries_ + query) * kChunk; }

    const Problem& problem_;
    const AttentionSet& set_;
    const Visible& visible_;
    int64_t queries_ = 0, blocks_ = 0;  // of a KV head of the unit; blocks of a run's queries that share loads
    int32_t tile_cells_[kChunk], ranks_[kChunk];
    bool scattered_ = false;  // the tile's cells are no neighbours
    int tile_ = 0;            // cells of the tile: those of the row of a run that sees most
    const float** query_;
    int32_t* rows_of_;
    Block* block_;
    Row* row_;
    int32_t* cells_;
    float *values_, *dots_, *converted_, *copies_;
};

}  // namespace hd::kernels
