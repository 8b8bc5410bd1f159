// Formats with blocks of 256 columns: several tiles, each with one or two scales of its own beside the block's.
#pragma once

#include "formats.hpp"

namespace hd::kernels {

// The four bytes of each word, times a factor.
template <class Isa>
HD_INLINE void four_scales(typename Isa::I x, typename Isa::F factor, typename Isa::F* out) {
    const auto byte = Isa::words(0xff);
    out[0] = Isa::mul(Isa::to_float(Isa::and_(x, byte)), factor);
    out[1] = Isa::mul(Isa::to_float(Isa::and_(Isa::template shift<-8>(x), byte)), factor);
    out[2] = Isa::mul(Isa::to_float(Isa::and_(Isa::template shift<-16>(x), byte)), factor);
    out[3] = Isa::mul(Isa::to_float(Isa::template shift<-24>(x)), factor);
}

// Q4_K and Q5_K: eight scales and minima of 6 bits, packed into three words per weight row as in the file.
template <class Isa>
struct SixBitScales {
    static constexpr int kHalves = 1, kOffset = 0;
    static constexpr bool kMin = true;
    struct Scales {
        typename Isa::F scale[8], min;
        typename Isa::I mins[4];  // in pairs of 16 bits, tiles as in the rows' words

        HD_INLINE explicit Scales(const uint8_t* meta) {
            constexpr int L = Isa::kLanes;
            const auto d = Isa::load_half(meta);
            min = Isa::negate(Isa::load_half(meta + 2 * L));
            const auto a = Isa::load(meta + 4 * L), b = Isa::load(meta + 8 * L), c = Isa::load(meta + 12 * L);
            const auto low6 = Isa::bytes(0x3f), low4 = Isa::bytes(0x0f), top2 = Isa::bytes(0x30);
            const auto packed = [&](auto nibbles, auto top) {
                return Isa::or_(Isa::and_(nibbles, low4), Isa::and_(Isa::template shift<-2>(top), top2));
            };
            four_scales<Isa>(Isa::and_(a, low6), d, scale);
            four_scales<Isa>(packed(c, a), d, scale + 4);
            pair(Isa::and_(b, low6), mins);
            pair(packed(Isa::template shift<-4>(c), b), mins + 2);
        }

      private:
        HD_INLINE static void pair(typename Isa::I x, typename Isa::I* out) {
            const auto even = Isa::words(0x00ff00ff);
            out[0] = Isa::and_(x, even);
            out[1] = Isa::and_(Isa::template shift<-8>(x), even);
        }
    };
};

template <class Isa>
struct Q4K : SixBitScales<Isa> {
    static constexpr WeightType kType = WeightType::q4_k;
    static constexpr int kLargest = 15;
    HD_INLINE static void unpack(const uint8_t* tile, typename Isa::I* w) { unpack_nibbles<Isa>(tile, w); }
};

template <class Isa>
struct Q5K : SixBitScales<Isa> {
    static constexpr WeightType kType = WeightType::q5_k;
    static constexpr int kLargest = 31;
    HD_INLINE static void unpack(const uint8_t* tile, typename Isa::I* w) { unpack_five_bits<Isa>(tile, w); }
};

// Eight scales of 6 bits: lower four bits in one word per weight row, upper two in two bytes.
template <class Isa>
struct Iq4Xs {
    static constexpr WeightType kType = WeightType::iq4_xs;
    static constexpr int kHalves = 1, kOffset = Isa::kSignedOffset, kLargest = 128;
    static constexpr bool kMin = false;
    struct Scales {
        typename Isa::F scale[8];
        HD_INLINE explicit Scales(const uint8_t* meta) {
            constexpr int L = Isa::kLanes;
            const auto d = Isa::load_half(meta);
            const auto high0 = Isa::widen(meta + 2 * L), high1 = Isa::widen(meta + 3 * L);
            set(Isa::load(meta + 4 * L), high0, high1, d);
        }

      private:
        template <int Tile = 0>
        HD_INLINE void set(typename Isa::I low, typename Isa::I high0, typename Isa::I high1, typename Isa::F d) {
            const auto high = Tile < 4 ? high0 : high1;
            const auto four = Isa::and_(Isa::template shift<-4 * Tile>(low), Isa::words(15));
            const auto two = Isa::and_(Isa::template shift<-2 * (Tile % 4)>(high), Isa::words(3));
            const auto all = Isa::to_float(Isa::or_(four, Isa::template shift<4>(two)));
            scale[Tile] = Isa::mul(Isa::fma(all, Isa::set(1.0f), Isa::set(-32.0f)), d);
            if constexpr (Tile < 7) set<Tile + 1>(low, high0, high1, d);
        }
    };
    HD_INLINE static void unpack(const uint8_t* tile, typename Isa::I* w) { unpack_table<Isa>(tile, kIq4, w); }
};

template <class Isa>
struct Q6K {
    static constexpr WeightType kType = WeightType::q6_k;
    static constexpr int kHalves = 2, kOffset = 32, kLargest = 63;
    static constexpr bool kMin = false;
    // 16 scales of 8 bits, one per 16 columns, then the block's half-precision scale.
    struct Scales {
        typename Isa::F scale[16];
        HD_INLINE explicit Scales(const uint8_t* meta) {
            const auto d = Isa::load_half(meta + 16 * Isa::kLanes);
            for (int i = 0; i < 16; i++) scale[i] = Isa::mul(Isa::to_float(Isa::widen(meta + i * Isa::kLanes)), d);
        }
    };
    HD_INLINE static void unpack(const uint8_t* tile, typename Isa::I* w) {
        typename Isa::I upper[8];
        unpack_nibbles<Isa>(tile, w);
        unpack_two_bits<Isa, 4>(tile + 16 * Isa::kLanes, upper);
        for (int k = 0; k < 8; k++) w[k] = Isa::or_(w[k], upper[k]);
    }
};

// 16 scales of 6 bits, one per 16 columns: as in the file three words per weight row, in the first two the lower four
// bits of eight scales each, in the third the upper two of all.
template <class Isa>
struct Q3K {
    static constexpr WeightType kType = WeightType::q3_k;
    static constexpr int kHalves = 2, kOffset = 4, kLargest = 7;
    static constexpr bool kMin = false;
    struct Scales {
        typename Isa::F scale[16];
        HD_INLINE explicit Scales(const uint8_t* meta) {
            constexpr int L = Isa::kLanes;
            const auto d = Isa::load_half(meta);
            const auto a = Isa::load(meta + 2 * L), b = Isa::load(meta + 6 * L), c = Isa::load(meta + 10 * L);
            const auto low4 = Isa::bytes(0x0f), top2 = Isa::bytes(0x30);
            split(Isa::or_(Isa::and_(a, low4), Isa::and_(Isa::template shift<4>(c), top2)), d, scale);
            split(Isa::or_(Isa::and_(b, low4), Isa::and_(Isa::template shift<2>(c), top2)), d, scale + 4);
            split(Isa::or_(Isa::and_(Isa::template shift<-4>(a), low4), Isa::and_(c, top2)), d, scale + 8);
            split(Isa::or_(Isa::and_(Isa::template shift<-4>(b), low4), Isa::and_(Isa::template shift<-2>(c), top2)), d,
                  scale + 12);
        }

      private:
        HD_INLINE static void split(typename Isa::I x, typename Isa::F d, typename Isa::F* out) {
            set<0>(x, d, out), set<8>(x, d, out + 1), set<16>(x, d, out + 2), set<24>(x, d, out + 3);
        }
        template <int Shift>
        HD_INLINE static void set(typename Isa::I x, typename Isa::F d, typename Isa::F* out) {
            const auto six = Isa::to_float(Isa::and_(Isa::template shift<-Shift>(x), Isa::words(0x3f)));
            *out = Isa::mul(Isa::fma(six, Isa::set(1.0f), Isa::set(-32.0f)), d);
        }
    };
    // After the two bits comes the word of the third.
    HD_INLINE static void unpack(const uint8_t* tile, typename Isa::I* w) {
        unpack_two_bits<Isa>(tile, w);
        add_one_bit<Isa, 2>(Isa::load(tile + 8 * Isa::kLanes), w);
    }
};

// 16 scales and minima of 4 bits in a byte, one per 16 columns.
template <class Isa>
struct Q2K {
    static constexpr WeightType kType = WeightType::q2_k;
    static constexpr int kHalves = 2, kOffset = 0, kLargest = 3;
    static constexpr bool kMin = true;
    struct Scales {
        typename Isa::F scale[16], min;
        typename Isa::I mins[8];  // in pairs of 16 bits, as in the rows' words

        HD_INLINE explicit Scales(const uint8_t* meta) {
            constexpr int L = Isa::kLanes;
            const auto d = Isa::load_half(meta);
            const auto low4 = Isa::bytes(0x0f), even = Isa::words(0x00ff00ff);
            min = Isa::negate(Isa::load_half(meta + 2 * L));
            for (int i = 0; i < 4; i++) {
                const auto x = Isa::load(meta + (4 + 4 * i) * L), s = Isa::and_(x, low4);
                const auto m = Isa::and_(Isa::template shift<-4>(x), low4);
                mins[2 * i] = Isa::and_(m, even);
                mins[2 * i + 1] = Isa::and_(Isa::template shift<-8>(m), even);
                four_scales<Isa>(s, d, scale + 4 * i);
            }
        }
    };
    HD_INLINE static void unpack(const uint8_t* tile, typename Isa::I* w) { unpack_two_bits<Isa>(tile, w); }
};

}  // namespace hd::kernels
