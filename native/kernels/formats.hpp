// Weight formats: how a tile becomes eight vectors of 8-bit weights, and a block's scales become vectors of floats.
// Block layouts are those of ggml's quantised types after repack.cpp. Included by the files of one instruction set
// each; everything depends on `Isa`, so no code of one set can be taken for another's.
#pragma once

#include "layout.hpp"

namespace hd::kernels {

// Adds a bit, `up` bits up, from one word per weight row: bit k of byte j is that of column 4k + j.
template <class Isa, int Up, int K = 0>
HD_INLINE void add_one_bit(typename Isa::I word, typename Isa::I* w) {
    w[K] = Isa::or_(w[K], Isa::and_(Isa::template shift<Up - K>(word), Isa::bytes(1 << Up)));
    if constexpr (K < 7) add_one_bit<Isa, Up, K + 1>(word, w);
}

// Eight vectors of 4-bit values: low nibbles are columns 0-15, high ones 16-31.
template <class Isa>
HD_INLINE void unpack_nibbles(const uint8_t* tile, typename Isa::I* w) {
    for (int k = 0; k < 4; k++) {
        const auto x = Isa::load(tile + 4 * Isa::kLanes * k);
        w[k] = Isa::and_(x, Isa::bytes(0x0f));
        w[k + 4] = Isa::and_(Isa::template shift<-4>(x), Isa::bytes(0x0f));
    }
}

// The same with a fifth bit, whose word comes after the nibbles.
template <class Isa>
HD_INLINE void unpack_five_bits(const uint8_t* tile, typename Isa::I* w) {
    unpack_nibbles<Isa>(tile, w);
    add_one_bit<Isa, 4>(Isa::load(tile + 16 * Isa::kLanes), w);
}

// Eight vectors of 2-bit values, `up` bits up, from two words per weight row: bits 2k, 2k + 1 of byte j are those of
// column 4k + j (first word) and 16 + 4k + j (second word).
template <class Isa, int Up = 0>
HD_INLINE void unpack_two_bits(const uint8_t* tile, typename Isa::I* w) {
    const auto bits = Isa::bytes(3 << Up);
    for (int half = 0; half < 2; half++) {
        const auto h = Isa::load(tile + 4 * half * Isa::kLanes);
        auto* v = w + 4 * half;
        v[0] = Isa::and_(Isa::template shift<Up>(h), bits);
        v[1] = Isa::and_(Isa::template shift<Up - 2>(h), bits);
        v[2] = Isa::and_(Isa::template shift<Up - 4>(h), bits);
        v[3] = Isa::and_(Isa::template shift<Up - 6>(h), bits);
    }
}

// Nibbles that are places in a table of 16 signed values.
template <class Isa>
HD_INLINE void unpack_table(const uint8_t* tile, const int8_t* values, typename Isa::I* w) {
    unpack_nibbles<Isa>(tile, w);
    const auto table = Isa::from_signed(Isa::table(values));
    for (int k = 0; k < 8; k++) w[k] = Isa::look_up(table, w[k]);
}
static constexpr int8_t kIq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
static constexpr int8_t kFp4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};  // twice the values

// Blocks of 32 columns with one half-precision scale.
template <class Isa>
struct OneScale {
    static constexpr bool kMin = false;
    struct Scales {
        typename Isa::F scale;
        HD_INLINE explicit Scales(const uint8_t* meta) : scale(Isa::load_half(meta)) {}
    };
};

template <class Isa>
struct Q4_0 : OneScale<Isa> {
    static constexpr WeightType kType = WeightType::q4_0;
    static constexpr int kOffset = 8, kLargest = 15;
    HD_INLINE static void unpack(const uint8_t* tile, typename Isa::I* w) { unpack_nibbles<Isa>(tile, w); }
};

template <class Isa>
struct Q8_0 : OneScale<Isa> {
    static constexpr WeightType kType = WeightType::q8_0;
    static constexpr int kOffset = Isa::kSignedOffset, kLargest = 128;
    HD_INLINE static void unpack(const uint8_t* tile, typename Isa::I* w) {
        for (int k = 0; k < 8; k++) w[k] = Isa::from_signed(Isa::load(tile + 4 * Isa::kLanes * k));
    }
};

template <class Isa>
struct Iq4Nl : OneScale<Isa> {
    static constexpr WeightType kType = WeightType::iq4_nl;
    static constexpr int kOffset = Isa::kSignedOffset, kLargest = 128;
    HD_INLINE static void unpack(const uint8_t* tile, typename Isa::I* w) { unpack_table<Isa>(tile, kIq4, w); }
};

template <class Isa>
struct Q5_0 : OneScale<Isa> {
    static constexpr WeightType kType = WeightType::q5_0;
    static constexpr int kOffset = 16, kLargest = 31;
    HD_INLINE static void unpack(const uint8_t* tile, typename Isa::I* w) { unpack_five_bits<Isa>(tile, w); }
};

// Blocks of 32 columns whose scale is a power of two, its exponent one byte as in a float.
template <class Isa>
struct Mxfp4 {
    static constexpr WeightType kType = WeightType::mxfp4;
    static constexpr int kOffset = Isa::kSignedOffset, kLargest = 128;
    static constexpr bool kMin = false;
    struct Scales {
        typename Isa::F scale;
        HD_INLINE explicit Scales(const uint8_t* meta) {
            const auto exponent = Isa::and_(Isa::widen(meta), Isa::words(0xff));
            scale = Isa::mul(Isa::as_float(Isa::template shift<23>(exponent)), Isa::set(0.5f));
        }
    };
    HD_INLINE static void unpack(const uint8_t* tile, typename Isa::I* w) { unpack_table<Isa>(tile, kFp4, w); }
};

// Blocks of 32 columns with a half-precision scale and minimum.
template <class Isa>
struct ScaleAndMin {
    static constexpr int kOffset = 0;
    static constexpr bool kMin = true;
    struct Scales {
        typename Isa::F scale, min;
        HD_INLINE explicit Scales(const uint8_t* meta)
            : scale(Isa::load_half(meta)), min(Isa::load_half(meta + 2 * Isa::kLanes)) {}
    };
};

template <class Isa>
struct Q5_1 : ScaleAndMin<Isa> {
    static constexpr WeightType kType = WeightType::q5_1;
    static constexpr int kLargest = 31;
    HD_INLINE static void unpack(const uint8_t* tile, typename Isa::I* w) { unpack_five_bits<Isa>(tile, w); }
};

template <class Isa>
struct Q4_1 : ScaleAndMin<Isa> {
    static constexpr WeightType kType = WeightType::q4_1;
    static constexpr int kLargest = 15;
    HD_INLINE static void unpack(const uint8_t* tile, typename Isa::I* w) { unpack_nibbles<Isa>(tile, w); }
};

}  // namespace hd::kernels
