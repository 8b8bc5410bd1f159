// One attention operation in plain values: what ggml's FLASH_ATTN_EXT asks for, free of ggml.
//
// For each stream, head h and row r:  out = sum over cells c that the row sees of softmax(score)[c] x V[c], with
// score[c] = cap(scale x <q[r], K[c]>) + slope(h) x mask[r][c]. Heads share K and V in groups (grouped queries).
#pragma once

#include <cstddef>
#include <cstdint>

namespace hd::kernels {

// Types of the cells of K and V, and how ggml numbers them.
enum class CellType : int { f16, bf16, f32, q8_0 };
constexpr int kCellTypes = 4;

struct CellLayout {
    const char* name;
    int ggml_type;
    int columns;      // of one block
    int block_bytes;  // of one block
};

constexpr CellLayout kCellLayouts[kCellTypes] = {
    {"F16", 1, 1, 2}, {"BF16", 30, 1, 2}, {"F32", 0, 1, 4}, {"Q8_0", 8, 32, 34}};

constexpr const CellLayout& layout(CellType type) { return kCellLayouts[static_cast<int>(type)]; }
constexpr int64_t vector_bytes(CellType type, int64_t columns) {
    return columns / layout(type).columns * layout(type).block_bytes;
}

constexpr uint16_t kHidden = 0xfc00;  // a mask value (half precision) of minus infinity: the row does not see the cell

// A tensor of rows of floats, or of cells: the bytes from one to the next.
struct Strided {
    const char* data;
    int64_t inner, head, stream;  // from row to row (or cell to cell), head to head, stream to stream
};

struct Cells : Strided {
    CellType type;
    int64_t size;  // columns of one vector

    const char* of(int64_t head_index, int64_t stream_index) const {
        return data + head_index * head + stream_index * stream;
    }
};

struct Problem {
    Strided q, out;
    Cells k, v;
    const char* mask;  // half precision, nullptr: every row sees every cell
    int64_t mask_row, mask_stream, mask_streams;
    const float* sinks;  // one score per head that takes part in the softmax without a value, or nullptr
    int64_t rows, heads, kv_heads, cells, streams, kv_streams;
    float scale, softcap, max_bias;

    int64_t group() const { return heads / kv_heads; }
    int64_t queries() const { return rows * group(); }  // of one KV head and stream; query i is (row, head in group)
    const float* query(int64_t stream, int64_t kv_head, int64_t i) const {
        return reinterpret_cast<const float*>(q.data + (i / group()) * q.inner +
                                              (kv_head * group() + i % group()) * q.head + stream * q.stream);
    }
    float* result(int64_t stream, int64_t kv_head, int64_t i) const {
        return reinterpret_cast<float*>(const_cast<char*>(out.data) + (i / group()) * out.inner +
                                        (kv_head * group() + i % group()) * out.head + stream * out.stream);
    }
    int64_t kv_stream(int64_t stream) const { return stream / (streams / kv_streams); }
    const uint16_t* mask_of(int64_t stream, int64_t row) const {
        return reinterpret_cast<const uint16_t*>(mask + row * mask_row + stream % mask_streams * mask_stream);
    }
    // ALiBi: how steeply a head's mask falls (Press et al. 2022), as ggml computes it.
    float slope(int64_t head) const;
};

// The type of cells that ggml gives this number, or -1.
int cell_type(int ggml_type);
// Whether vectors of this type (ggml's number) and size can be read.
bool takes_cells(int ggml_type, int64_t size);
// Whether these kernels compute vectors of this size: the keys' and the values'.
bool takes_sizes(int64_t key_size, int64_t value_size);

}  // namespace hd::kernels
