// The kernel: one panel of weights times 1 to 16 activation rows, for any format and instruction set.
// Each output is summed in one fixed order, column block by column block, whatever the number of rows: a row's result
// is bitwise the same alone and in any company.
#pragma once

#include <utility>

#include "k_formats.hpp"

namespace hd::kernels {

template <class T>
HD_INLINE T read(const uint8_t* p) {
    T x;
    __builtin_memcpy(&x, p, sizeof x);
    return x;
}

// Fetches weights ahead, as measured on Zen 4: several rows want them in the second-level cache, because they would
// push them out of the first; one or two rows of the large blocks want them in the first; one row of 8-bit weights does
// best with the hardware's own fetching.
template <class Isa, class Format, int N>
HD_INLINE void prefetch(const uint8_t* tile) {
    constexpr Layout kLayout = layout(Format::kType);
    if constexpr (N == 1 && kLayout.tile_bytes == 32) return;
    for (int i = 0; i < kLayout.tile_bytes * Isa::kLanes; i += 64) {
        if constexpr (N <= 2 && kLayout.tiles() > 1)
            __builtin_prefetch(tile + 4096 + i, 0, 3);
        else
            __builtin_prefetch(tile + 8192 + i, 0, 2);
    }
}

// How many rows from `First` on have their dot products interleaved. One row's eight steps wait for each other, and a
// processor does not look far enough ahead to find the next row's.
template <class Isa, int N, int First>
constexpr int together() {
    return N - First < Isa::together(N) ? N - First : Isa::together(N);
}

// One tile times rows `First` to N - 1, for blocks of 32 columns.
template <class Isa, class Format, int N, int First = 0>
HD_INLINE void add_small_tile(const typename Isa::I* w, const typename Format::Scales& s, const uint8_t* pass,
                              typename Isa::F* sum) {
    constexpr int kRows = together<Isa, N, First>();
    const uint8_t *scales = pass + 32 * N + 4 * First, *words = scales + 4 * N;
    typename Isa::I dot[kRows];
#pragma GCC unroll 16
    for (int i = 0; i < kRows; i++) dot[i] = Isa::words(Format::kOffset ? read<int32_t>(words + 4 * i) : 0);
    Isa::template add_dots<Format::kLargest, 0, 8, kRows>(w, pass + 32 * First, dot);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; i++) {
        auto& out = sum[First + i];
        out = Isa::fma(Isa::to_float(dot[i]), Isa::mul(s.scale, Isa::set(read<float>(scales + 4 * i))), out);
        if constexpr (Format::kMin) out = Isa::fma(s.min, Isa::set(read<float>(words + 4 * i)), out);
    }
    if constexpr (First + kRows < N) add_small_tile<Isa, Format, N, First + kRows>(w, s, pass, sum);
}

// Blocks of 32 columns: one tile, one scale.
template <class Isa, class Format, int N>
HD_INLINE void add_small_block(const uint8_t* tile, const uint8_t* meta, const uint8_t* pass, typename Isa::F* sum) {
    const typename Format::Scales s(meta);
    prefetch<Isa, Format, N>(tile);
    typename Isa::I w[8];
    Format::unpack(tile, w);
    add_small_tile<Isa, Format, N>(w, s, pass, sum);
}

// Columns 4 * From to 4 * To - 1 of one tile, which have one scale, times rows `First` to N - 1. `words` are the starts
// of the dot products where weights have an offset.
template <class Isa, class Format, int From, int To, int N, int First = 0>
HD_INLINE void add_part(const typename Isa::I* w, typename Isa::F scale, const uint8_t* x, const uint8_t* words,
                        typename Isa::F* block) {
    constexpr int kRows = together<Isa, N, First>();
    typename Isa::I dot[kRows];
#pragma GCC unroll 16
    for (int i = 0; i < kRows; i++) dot[i] = Isa::words(Format::kOffset ? read<int32_t>(words + 4 * (First + i)) : 0);
    Isa::template add_dots<Format::kLargest, From, To, kRows>(w, x + 32 * First, dot);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; i++) block[First + i] = Isa::fma(Isa::to_float(dot[i]), scale, block[First + i]);
    if constexpr (First + kRows < N) add_part<Isa, Format, From, To, N, First + kRows>(w, scale, x, words, block);
}

// Blocks of 256 columns: eight tiles with one or two scales each, one scale per activation row.
template <class Isa, class Format, int N>
HD_INLINE void add_large_block(const uint8_t* tile, const uint8_t* meta, const uint8_t* pass, typename Isa::F* sum) {
    using I = typename Isa::I;
    constexpr int kTileBytes = layout(Format::kType).tile_bytes * Isa::kLanes;
    const typename Format::Scales s(meta);
    const uint8_t* words = pass + 260 * N;
    typename Isa::F block[N];
#pragma GCC unroll 16
    for (int i = 0; i < N; i++) {
        if constexpr (Format::kMin) {
            I all = Isa::words(0);
            for (int k = 0; k < 4 * Format::kHalves; k++)
                all = Isa::add_pairs(all, s.mins[k], read<int32_t>(words + 4 * (k * N + i)));
            block[i] = Isa::mul(Isa::to_float(all), s.min);
        } else {
            block[i] = Isa::zero();
        }
    }
#pragma GCC unroll 1
    for (int t = 0; t < 8; t++) {
        prefetch<Isa, Format, N>(tile);
        I w[8];
        Format::unpack(tile, w);
        const uint8_t* x = pass + 32 * t * N;
        if constexpr (Format::kHalves == 2) {
            const uint8_t* word = words + 8 * t * N;
            add_part<Isa, Format, 0, 4, N>(w, s.scale[2 * t], x, word, block);
            add_part<Isa, Format, 4, 8, N>(w, s.scale[2 * t + 1], x, word + 4 * N, block);
        } else {
            add_part<Isa, Format, 0, 8, N>(w, s.scale[t], x, words + 4 * t * N, block);
        }
        tile += kTileBytes;
    }
#pragma GCC unroll 16
    for (int i = 0; i < N; i++) sum[i] = Isa::fma(block[i], Isa::set(read<float>(pass + 256 * N + 4 * i)), sum[i]);
}

template <class Isa, class Format, int N>
void multiply(const uint8_t* tiles, const uint8_t* meta, int64_t blocks, const uint8_t* pass, float* const* out) {
    constexpr Layout kLayout = layout(Format::kType);
    typename Isa::F sum[N];
#pragma GCC unroll 16
    for (int i = 0; i < N; i++) sum[i] = Isa::zero();
    for (int64_t block = 0; block < blocks; block++) {
        if constexpr (kLayout.tiles() == 1)
            add_small_block<Isa, Format, N>(tiles, meta, pass, sum);
        else
            add_large_block<Isa, Format, N>(tiles, meta, pass, sum);
        tiles += kLayout.tiles() * kLayout.tile_bytes * Isa::kLanes;
        meta += kLayout.meta_bytes * Isa::kLanes;
        pass += N * kLayout.row_bytes();
    }
#pragma GCC unroll 16
    for (int i = 0; i < N; i++) Isa::store(out[i], sum[i]);
}

// Activations: 8 bits with one scale per block, as ggml's Q8_0 and Q8_K (the scale in single precision).
template <class Isa, class Format>
void quantize(const float* x, int64_t first, int64_t last, uint8_t* pass, int rows, int row) {
    constexpr Layout kLayout = layout(Format::kType);
    constexpr int kTiles = kLayout.tiles();
    for (int64_t b = first; b < last; b++) {
        const float* from = x + b * kLayout.columns;
        uint8_t* block = pass + b * rows * kLayout.row_bytes();
        uint8_t* words = block + (kLayout.columns + 4) * rows + 4 * row;
        float largest = 0;
        for (int t = 0; t < kTiles; t++) {
            const float top = Isa::largest(from + 32 * t);
            largest = top > largest ? top : largest;
        }
        const float d = largest / 127.0f, inverse = largest > 0 ? 127.0f / largest : 0.0f;
        __builtin_memcpy(block + kLayout.columns * rows + 4 * row, &d, 4);
        int32_t sums[kTiles][2];
        for (int t = 0; t < kTiles; t++) Isa::quantize(from + 32 * t, inverse, block + 32 * (t * rows + row), sums[t]);
        const auto put = [&](int word, auto value) { __builtin_memcpy(words + 4 * word * rows, &value, 4); };
        if constexpr (kTiles == 1 && Format::kMin) {
            put(0, d * static_cast<float>(sums[0][0] + sums[0][1]));
        } else if constexpr (kTiles == 1) {
            put(0, -Format::kOffset * (sums[0][0] + sums[0][1]));
        } else if constexpr (Format::kMin && Format::kHalves == 2) {
            const auto pair = [&](int a, int c) { return (sums[a / 2][a % 2] & 0xffff) | sums[c / 2][c % 2] * 65536; };
            for (int i = 0; i < 4; i++) put(2 * i, pair(4 * i, 4 * i + 2)), put(2 * i + 1, pair(4 * i + 1, 4 * i + 3));
        } else if constexpr (Format::kMin) {
            const auto sum = [&](int t) { return sums[t][0] + sums[t][1]; };
            const auto pair = [&](int a, int c) { return (sum(a) & 0xffff) | sum(c) * 65536; };
            put(0, pair(0, 2));
            put(1, pair(1, 3));
            put(2, pair(4, 6));
            put(3, pair(5, 7));
        } else if constexpr (Format::kHalves == 1) {
            for (int t = 0; t < kTiles; t++) put(t, -Format::kOffset * (sums[t][0] + sums[t][1]));
        } else {
            for (int t = 0; t < kTiles; t++) {
                put(2 * t, -Format::kOffset * sums[t][0]);
                put(2 * t + 1, -Format::kOffset * sums[t][1]);
            }
        }
    }
}

template <class Isa, class Format, int... Rows>
constexpr TypeKernels type_kernels(std::integer_sequence<int, Rows...>) {
    return {quantize<Isa, Format>, {nullptr, multiply<Isa, Format, Rows + 1>...}};
}

template <class Isa, class... Formats>
constexpr KernelSet kernel_set_of(const char* isa) {
    return {isa, Isa::kLanes, {type_kernels<Isa, Formats>(std::make_integer_sequence<int, kMaxRows>())...}};
}

// In the order of WeightType.
template <class Isa>
constexpr KernelSet kernel_set(const char* isa) {
    return kernel_set_of<Isa, Q4_0<Isa>, Q4_1<Isa>, Q8_0<Isa>, Iq4Nl<Isa>, Q4K<Isa>, Q5K<Isa>, Q6K<Isa>, Q5_0<Isa>,
                         Q5_1<Isa>, Mxfp4<Isa>, Iq4Xs<Isa>, Q3K<Isa>, Q2K<Isa>>(isa);
}

}  // namespace hd::kernels
