// What one instruction set offers for attention. Plain sizes: this header is for code of any instruction set.
//
// Every function has ONE order of summation per result, whatever is computed beside it: a score is the sum of products
// in lanes (lane j: columns j, j + lanes, ...) and then of the lanes in a fixed tree; a value column is a chain over
// cells in order of their ranks.
#pragma once

#include "problem.hpp"

namespace hd::kernels {

constexpr int kMaxQueries = 8;  // that share a load of K or V

// `cells` are the numbers of `n` cells, `step` bytes apart in `data`. While cell i is read, as many bytes are asked for
// at ahead + i * ahead_step, unless that is nullptr.
struct CellList {
    const char* data;
    int64_t step;
    const int32_t* cells;
    int n;
    const char* ahead;
    int64_t ahead_step;

    CellList from(int first, int count, bool fetch) const {
        return {data, step, cells + first, count, fetch && ahead ? ahead + first * ahead_step : nullptr, ahead_step};
    }
};

// scores[i * kChunk + c] = <q[i], cell c> for the queries of one call.
using Scores = void (*)(const float* const* q, const CellList& keys, int64_t columns, float* scores);
// out[i * out_step + d] += weights[i * kChunk + c] x cell c [d], cell after cell; `fresh`: from zero instead of out.
using Values = void (*)(const float* weights, const CellList& values, int64_t columns, float* out, int64_t out_step,
                        bool fresh);
// to[c * columns + d] = cell c [d].
using Convert = void (*)(const CellList& from, int64_t columns, float* to);

struct SoftmaxShape {
    float scale, softcap, slope;  // softcap 0: none
};

struct CellKernels {
    Scores scores[kMaxQueries + 1];  // by number of queries; nullptr: these kernels have none
    Values values[kMaxQueries + 1];
    Convert convert;
};

struct AttentionSet {
    const char* isa;
    int most_queries;  // the largest number of queries that has kernels; so have 1 to 4
    CellKernels types[kCellTypes];
    // Dots of n cells (room for a multiple of 16) to weights exp(score - max); writes max and sum to part[0], part[1].
    // `bias`: mask values, or nullptr for zeros.
    void (*softmax)(float* dots, int n, const float* bias, const SoftmaxShape& shape, float* part);
    // Adds a chunk's part (max, sum, values from [kPartHead] on) to a running one.
    void (*fold)(float* run, const float* part, int64_t columns);
    // The row's result; `sink`: a score without value, or nullptr.
    void (*finish)(const float* run, const float* sink, int64_t columns, float* out);

    const CellKernels& of(CellType type) const { return types[static_cast<int>(type)]; }
};

constexpr int kPartHead = 16;  // floats before the values of a part: its maximum, its sum, and room that aligns values
constexpr int64_t part_step(int64_t value_size) { return kPartHead + value_size; }
constexpr float kNothing = -3.0e38f;  // the maximum of a running sum that is empty: finite, so that no NaN can arise

}  // namespace hd::kernels
