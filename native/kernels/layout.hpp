// How weights and activation rows lie in memory. Plain sizes: this header is for code of any instruction set.
//
// Weights. `lanes` weight rows (one vector register of 32-bit lanes) form a panel. A panel's columns are cut into tiles
// of 32, a tile holds 4 columns of one weight row in each 32-bit lane, so one load feeds one dot-product instruction
// for all rows of the panel. A tensor is all tiles of all panels, panel by panel, then all scales in the same order:
// tiles stay aligned, and the tensor takes exactly the bytes it takes in the file.
//
// Activations. `n` rows that share one pass over the weights are quantised to 8 bits with one scale per block (32 or
// 256 columns, as the weight type has it) and interleaved: per block its tiles of n x 32 int8, n scales, then
// `row_words` times n words that depend on the weight type. One pointer walks through all rows of a pass. The words:
//   Q4_0, Q5_0, Q8_0, IQ4_NL, MXFP4   -(weight offset) x (sum of the 32 columns): dot products start from it, so that
//                        weights may be stored unsigned
//   IQ4_XS               the same for each of its 8 tiles
//   Q4_1, Q5_1           scale x sum of the 32 columns, a float, to be multiplied with the minimum
//   Q4_K, Q5_K           the sums of the 8 tiles in 16 bits: tiles (0, 2), (1, 3), (4, 6), (5, 7)
//   Q6_K, Q3_K           -(weight offset) x (sum of 16 columns), 16 times
//   Q2_K                 the sums of 16 columns in 16 bits: of each four (0, 2), (1, 3)
#pragma once

#include <cstddef>
#include <cstdint>

namespace hd::kernels {

enum class WeightType : int { q4_0, q4_1, q8_0, iq4_nl, q4_k, q5_k, q6_k, q5_0, q5_1, mxfp4, iq4_xs, q3_k, q2_k };
constexpr int kWeightTypes = 13;

constexpr int kTileColumns = 32;
constexpr int kMaxRows = 16;  // rows that one pass over the weights serves

struct Layout {
    const char* name;
    int ggml_type;    // its number in enum ggml_type
    int columns;      // of one block in the file: 32 or 256
    int block_bytes;  // of one block in the file
    int tile_bytes;   // of one weight row in one tile
    int meta_bytes;   // scales of one weight row and block
    int row_words;    // of one activation row and block
    int halves_at;    // where the half-precision numbers of a block in the file begin
    int halves;       // how many there are

    constexpr int tiles() const { return columns / kTileColumns; }
    constexpr int row_bytes() const { return columns + 4 + 4 * row_words; }  // of one activation row and block
};

constexpr Layout kLayouts[kWeightTypes] = {
    {"Q4_0", 2, 32, 18, 16, 2, 1, 0, 1},        {"Q4_1", 3, 32, 20, 16, 4, 1, 0, 2},
    {"Q8_0", 8, 32, 34, 32, 2, 1, 0, 1},        {"IQ4_NL", 20, 32, 18, 16, 2, 1, 0, 1},
    {"Q4_K", 12, 256, 144, 16, 16, 4, 0, 2},    {"Q5_K", 13, 256, 176, 20, 16, 4, 0, 2},
    {"Q6_K", 14, 256, 210, 24, 18, 16, 208, 1}, {"Q5_0", 6, 32, 22, 20, 2, 1, 0, 1},
    {"Q5_1", 7, 32, 24, 20, 4, 1, 0, 2},        {"MXFP4", 39, 32, 17, 16, 1, 1, 0, 0},
    {"IQ4_XS", 23, 256, 136, 16, 8, 8, 0, 1},   {"Q3_K", 11, 256, 110, 12, 14, 16, 108, 1},
    {"Q2_K", 10, 256, 84, 8, 20, 8, 80, 2},
};

constexpr const Layout& layout(WeightType type) { return kLayouts[static_cast<int>(type)]; }

// Of scratch memory for so many quantised activation rows.
constexpr size_t work_bytes(WeightType type, int64_t rows, int64_t columns) {
    return static_cast<size_t>(rows * (columns / layout(type).columns) * layout(type).row_bytes());
}

// One weight matrix in our layout: `rows` output rows of `columns` inputs.
struct Matrix {
    WeightType type;
    int lanes;
    int64_t rows;
    int64_t columns;
    uint8_t* data;

    int64_t panels() const { return rows / lanes; }
    int64_t tiles() const { return columns / kTileColumns; }           // per panel
    int64_t blocks() const { return columns / layout(type).columns; }  // per panel
    int64_t panel_tile_bytes() const { return tiles() * lanes * layout(type).tile_bytes; }
    int64_t panel_meta_bytes() const { return blocks() * lanes * layout(type).meta_bytes; }
    uint8_t* panel_tiles(int64_t panel) const { return data + panel * panel_tile_bytes(); }
    uint8_t* panel_meta(int64_t panel) const {
        return data + panels() * panel_tile_bytes() + panel * panel_meta_bytes();
    }
};

// Does a matrix of this shape divide into panels and blocks?
constexpr bool fits(WeightType type, int lanes, int64_t rows, int64_t columns) {
    return rows > 0 && columns > 0 && rows % lanes == 0 && columns % layout(type).columns == 0;
}

// Quantises blocks [first, last) of row `row` into a pass of `rows` rows.
using Quantize = void (*)(const float* x, int64_t first, int64_t last, uint8_t* pass, int rows, int row);
// One panel times the rows of one pass: out[i][0 .. lanes) for each row i.
using Kernel = void (*)(const uint8_t* tiles, const uint8_t* meta, int64_t blocks, const uint8_t* pass,
                        float* const* out);

struct TypeKernels {
    Quantize quantize;
    Kernel rows[kMaxRows + 1];  // by number of rows; [0] is unused
};

struct KernelSet {
    const char* isa;
    int lanes;
    TypeKernels types[kWeightTypes];

    const TypeKernels& of(WeightType type) const { return types[static_cast<int>(type)]; }
};

}  // namespace hd::kernels
