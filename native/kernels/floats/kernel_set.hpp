// What one instruction set offers for products with float weights. Plain sizes: this header is for code of any
// instruction set.
//
// Weights lie as in the file, one row after the other, and are not rounded; neither are activations, but where a
// processor multiplies pairs of BF16 numbers: there they are rounded to BF16 beside BF16 weights. A product of a weight
// row and an input has ONE order of summation, whatever is computed beside it: lane j adds columns (or pairs of
// columns) j, j + lanes, ... with fused multiply-adds, then the lanes are added in a fixed tree. Missing columns of the
// last vector are zeros.
#pragma once

#include "../attention/problem.hpp"

namespace hd::kernels {

constexpr int kFloatTypes = 3;  // the first of the cell types: F16, BF16, F32
constexpr int kMaxInputs = 6;   // that share a load of weights
constexpr int kGroupRows = 8;   // weight rows that one chunk has at least; a multiple of those visited side by side

// Makes what kernels read from an input's floats.
using Round = void (*)(const float* x, int64_t columns, char* to);

// out[i][r] = <row r, x[i]> for `rows` rows of `columns` weights, `step` bytes apart, and the inputs of one call.
using Dots = void (*)(const char* weights, int64_t step, int64_t rows, int64_t columns, const char* const* x,
                      float* const* out);

// Where the weights are before a call: those of all passes but the first are in a cache.
enum class From { memory, cache };

// Kernels for weights of one type.
struct FloatKernels {
    Round round;                   // nullptr: they read floats
    int input_bytes;               // of one column of what they read
    Dots dots[2][kMaxInputs + 1];  // by where the weights are and number of inputs; [0] is unused
};

struct FloatSet {
    const char* isa;
    int most_inputs;  // the largest number of inputs that has a kernel; so have all smaller ones
    const FloatKernels* types[kFloatTypes];
};

// The type with kernels that ggml gives this number, or -1.
inline int float_type(int ggml_type) {
    const int type = cell_type(ggml_type);
    return type < kFloatTypes ? type : -1;
}

}  // namespace hd::kernels
