#include "repack.hpp"

#include <algorithm>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

namespace hd::kernels {
namespace {

uint32_t word(const uint8_t* p) {
    uint32_t x;
    std::memcpy(&x, p, 4);
    return x;
}

constexpr uint32_t kLow = 0x0f0f0f0f, kHigh = 0xf0f0f0f0;

// Where one weight row's part of a tile and of a block's scales goes: words lie `4 * lanes` bytes apart.
struct Lane {
    uint8_t* tile;
    uint8_t* meta;
    int lane, lanes;

    void put(int index, uint32_t x) const { std::memcpy(tile + 4 * (index * lanes + lane), &x, 4); }
    void next_tile(int tile_bytes) { tile += tile_bytes * lanes; }
    void put_half(int offset, const uint8_t* half) const { std::memcpy(meta + offset * lanes + 2 * lane, half, 2); }
    void put_scales(int offset, const uint8_t* p) const { std::memcpy(meta + offset * lanes + 4 * lane, p, 4); }
};

// Blocks of 32 with nibbles already in our order, behind one or two half-precision numbers.
template <int Halves>
void repack_nibbles(const uint8_t* block, Lane out) {
    for (int h = 0; h < Halves; h++) out.put_half(2 * h, block + 2 * h);
    for (int k = 0; k < 4; k++) out.put(k, word(block + 2 * Halves + 4 * k));
}

void repack_q8_0(const uint8_t* block, Lane out) {
    out.put_half(0, block);
    for (int k = 0; k < 8; k++) out.put(k, word(block + 2 + 4 * k));
}

// Blocks of 32 with nibbles in our order and their fifth bits in one word, column after column.
template <int Halves>
void repack_five_bits(const uint8_t* block, Lane out) {
    for (int h = 0; h < Halves; h++) out.put_half(2 * h, block + 2 * h);
    const uint32_t high = word(block + 2 * Halves);
    uint32_t bits = 0;
    for (int k = 0; k < 8; k++) bits |= ((high >> 4 * k & 15) * 0x00204081 & 0x01010101) << k;
    for (int k = 0; k < 4; k++) out.put(k, word(block + 2 * Halves + 4 + 4 * k));
    out.put(4, bits);
}

void repack_mxfp4(const uint8_t* block, Lane out) {
    out.meta[out.lane] = block[0];
    for (int k = 0; k < 4; k++) out.put(k, word(block + 1 + 4 * k));
}

void repack_iq4_xs(const uint8_t* block, Lane out) {
    out.put_half(0, block);
    for (int i = 0; i < 2; i++) out.meta[(2 + i) * out.lanes + out.lane] = block[2 + i];
    out.put_scales(4, block + 4);
    for (int tile = 0; tile < 8; tile++) {
        for (int k = 0; k < 4; k++) out.put(k, word(block + 8 + 16 * tile + 4 * k));
        out.next_tile(16);
    }
}

// K-quants keep columns c and c + 32 in one byte, we keep c and c + 16: `low` says which nibbles of 32 bytes to take.
void put_nibbles(const uint8_t* q, bool low, const Lane& out) {
    for (int k = 0; k < 4; k++) {
        const uint32_t a = word(q + 4 * k), b = word(q + 16 + 4 * k);
        out.put(k, low ? (a & kLow) | (b & kLow) << 4 : (a & kHigh) >> 4 | (b & kHigh));
    }
}

// Two bits of each of 32 columns, `shift` bits up in the bytes of `q`, as words `first` and the next.
void put_two_bits(const uint8_t* q, int shift, int first, const Lane& out) {
    for (int side = 0; side < 2; side++) {
        uint32_t bits = 0;
        for (int k = 0; k < 4; k++) bits |= (word(q + 16 * side + 4 * k) >> shift & 0x03030303) << 2 * k;
        out.put(first + side, bits);
    }
}

// One bit of each of 32 columns, `shift` bits up in the bytes of `q`.
uint32_t one_bits(const uint8_t* q, int shift) {
    uint32_t bits = 0;
    for (int k = 0; k < 8; k++) bits |= (word(q + 4 * k) >> shift & 0x01010101) << k;
    return bits;
}

template <bool Fifth>
void repack_q4_or_q5_k(const uint8_t* block, Lane out) {
    out.put_half(0, block);
    out.put_half(2, block + 2);
    for (int i = 0; i < 3; i++) out.put_scales(4 + 4 * i, block + 4 + 4 * i);
    const uint8_t* high = block + 16;
    const uint8_t* nibbles = block + (Fifth ? 48 : 16);
    for (int tile = 0; tile < 8; tile++) {
        put_nibbles(nibbles + 32 * (tile / 2), tile % 2 == 0, out);
        if (Fifth) out.put(4, one_bits(high, tile));
        out.next_tile(Fifth ? 20 : 16);
    }
}

void repack_q6_k(const uint8_t* block, Lane out) {
    const uint8_t* scales = block + 192;
    for (int i = 0; i < 16; i++) out.meta[i * out.lanes + out.lane] = scales[i];
    out.put_half(16, block + 208);
    for (int tile = 0; tile < 8; tile++) {
        const int half = tile / 4, quarter = tile % 4;
        put_nibbles(block + 64 * half + 32 * (quarter % 2), quarter < 2, out);
        put_two_bits(block + 128 + 32 * half, 2 * quarter, 4, out);
        out.next_tile(24);
    }
}

void repack_q3_k(const uint8_t* block, Lane out) {
    out.put_half(0, block + 108);
    for (int i = 0; i < 3; i++) out.put_scales(2 + 4 * i, block + 96 + 4 * i);
    for (int tile = 0; tile < 8; tile++) {
        put_two_bits(block + 32 + 32 * (tile / 4), 2 * (tile % 4), 0, out);
        out.put(2, one_bits(block, tile));
        out.next_tile(12);
    }
}

void repack_q2_k(const uint8_t* block, Lane out) {
    out.put_half(0, block + 80);
    out.put_half(2, block + 82);
    for (int i = 0; i < 4; i++) out.put_scales(4 + 4 * i, block + 4 * i);
    for (int tile = 0; tile < 8; tile++) {
        put_two_bits(block + 16 + 32 * (tile / 4), 2 * (tile % 4), 0, out);
        out.next_tile(8);
    }
}

using RepackBlock = void (*)(const uint8_t*, Lane);
constexpr RepackBlock kRepack[kWeightTypes] = {
    repack_nibbles<1>,       repack_nibbles<2>, repack_q8_0,         repack_nibbles<1>,   repack_q4_or_q5_k<false>,
    repack_q4_or_q5_k<true>, repack_q6_k,       repack_five_bits<1>, repack_five_bits<2>, repack_mxfp4,
    repack_iq4_xs,           repack_q3_k,       repack_q2_k};

template <RepackBlock Block>
void repack_panel(const Matrix& m, const uint8_t* blocks, int64_t panel) {
    const Layout& shape = layout(m.type);
    const int64_t row_bytes = m.blocks() * shape.block_bytes;
    const uint8_t* source = blocks + panel * m.lanes * row_bytes;
    const int tiles = shape.columns / kTileColumns;
    uint8_t* tile = m.panel_tiles(panel);
    uint8_t* meta = m.panel_meta(panel);
    for (int64_t b = 0; b < m.blocks(); b++) {
        for (int lane = 0; lane < m.lanes; lane++)
            Block(source + lane * row_bytes + b * shape.block_bytes, {tile, meta, lane, m.lanes});
        tile += tiles * shape.tile_bytes * m.lanes;
        meta += shape.meta_bytes * m.lanes;
    }
}

using RepackPanel = void (*)(const Matrix&, const uint8_t*, int64_t);
constexpr RepackPanel kRepackPanel[kWeightTypes] = {
    repack_panel<kRepack[0]>, repack_panel<kRepack[1]>, repack_panel<kRepack[2]>,  repack_panel<kRepack[3]>,
    repack_panel<kRepack[4]>, repack_panel<kRepack[5]>, repack_panel<kRepack[6]>,  repack_panel<kRepack[7]>,
    repack_panel<kRepack[8]>, repack_panel<kRepack[9]>, repack_panel<kRepack[10]>, repack_panel<kRepack[11]>,
    repack_panel<kRepack[12]>};

}  // namespace

void repack(const Matrix& m, const void* blocks, int threads) {
    const auto* source = static_cast<const uint8_t*>(blocks);
    const auto part = [&](int64_t first, int64_t last) {
        for (int64_t panel = first; panel < last; panel++) kRepackPanel[static_cast<int>(m.type)](m, source, panel);
    };
    // A thread pays from about a megabyte on.
    const int64_t bytes = m.panels() * (m.panel_tile_bytes() + m.panel_meta_bytes());
    const int64_t parts = std::max<int64_t>(1, std::min<int64_t>({threads, m.panels(), bytes >> 20}));
    std::vector<std::thread> workers;
    int64_t done = 0;
    try {
        for (int64_t i = 1; i < parts; i++) {
            const int64_t last = m.panels() * i / parts;
            workers.emplace_back(part, done, last);
            done = last;
        }
    } catch (const std::system_error&) {
        // No more threads to be had: this one does the rest.
    }
    part(done, m.panels());
    for (auto& worker : workers) worker.join();
}

}  // namespace hd::kernels
