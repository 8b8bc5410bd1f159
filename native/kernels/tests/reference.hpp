// ggml's block formats decoded plainly, one weight at a time: what the kernels are compared with.
#pragma once

#include <random>

#include "../attention/reference.hpp"
#include "../layout.hpp"

namespace hd::kernels::reference {

inline float from_half(const uint8_t* p) {
    uint16_t h;
    std::memcpy(&h, p, 2);
    return static_cast<float>(from_half(h));
}

// One block's weights in double precision.
inline void decode(WeightType type, const uint8_t* b, double* w) {
    static const int values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    const double d = from_half(b);
    switch (type) {
        case WeightType::q4_0:
        case WeightType::iq4_nl:
            for (int i = 0; i < 32; i++) {
                const int q = i < 16 ? b[2 + i] & 15 : b[2 + i - 16] >> 4;
                w[i] = d * (type == WeightType::q4_0 ? q - 8 : values[q]);
            }
            break;
        case WeightType::q4_1:
            for (int i = 0; i < 32; i++) w[i] = d * (i < 16 ? b[4 + i] & 15 : b[4 + i - 16] >> 4) + from_half(b + 2);
            break;
        case WeightType::q5_0:
        case WeightType::q5_1: {
            const int halves = type == WeightType::q5_0 ? 1 : 2;
            const uint8_t *high = b + 2 * halves, *q = high + 4;
            for (int i = 0; i < 32; i++) {
                const int v = (i < 16 ? q[i] & 15 : q[i - 16] >> 4) | (high[i / 8] >> i % 8 & 1) << 4;
                w[i] = halves == 1 ? d * (v - 16) : d * v + from_half(b + 2);
            }
            break;
        }
        case WeightType::mxfp4: {
            static const double fp4[16] = {0, .5, 1, 1.5, 2, 3, 4, 6, 0, -.5, -1, -1.5, -2, -3, -4, -6};
            for (int i = 0; i < 32; i++)
                w[i] = std::ldexp(fp4[i < 16 ? b[1 + i] & 15 : b[1 + i - 16] >> 4], b[0] - 127);
            break;
        }
        case WeightType::iq4_xs:
            for (int i = 0; i < 256; i++) {
                const int t = i / 32, l = i % 32, byte = b[8 + 16 * t + l % 16];
                const int high = (b[2] | b[3] << 8) >> 2 * t & 3;
                const int scale = (b[4 + t / 2] >> 4 * (t % 2) & 15) | high << 4;
                w[i] = d * (scale - 32) * values[l < 16 ? byte & 15 : byte >> 4];
            }
            break;
        case WeightType::q8_0:
            for (int i = 0; i < 32; i++) w[i] = d * static_cast<int8_t>(b[2 + i]);
            break;
        case WeightType::q4_k:
        case WeightType::q5_k: {
            const bool fifth = type == WeightType::q5_k;
            const uint8_t *s = b + 4, *high = b + 16, *q = b + (fifth ? 48 : 16);
            for (int j = 0; j < 8; j++) {
                const int scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
                const int min = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | (s[j] >> 6) << 4;
                for (int i = 0; i < 32; i++) {
                    const int byte = q[32 * (j / 2) + i];
                    int v = j % 2 ? byte >> 4 : byte & 15;
                    if (fifth) v |= (high[i] >> j & 1) << 4;
                    w[32 * j + i] = d * scale * v - double(from_half(b + 2)) * min;
                }
            }
            break;
        }
        case WeightType::q3_k:
            for (int i = 0; i < 256; i++) {
                const int l = i % 32, tile = i / 32, k = i / 16;
                const int q = (b[32 + 32 * (tile / 4) + l] >> 2 * (tile % 4) & 3) + 4 * (b[l] >> tile & 1) - 4;
                const int low = k < 8 ? b[96 + k] & 15 : b[96 + k - 8] >> 4, high = b[104 + k % 4] >> 2 * (k / 4) & 3;
                w[i] = double(from_half(b + 108)) * (low + 16 * high - 32) * q;
            }
            break;
        case WeightType::q2_k:
            for (int i = 0; i < 256; i++) {
                const int tile = i / 32, byte = b[i / 16], q = b[16 + 32 * (tile / 4) + i % 32] >> 2 * (tile % 4) & 3;
                w[i] = double(from_half(b + 80)) * (byte & 15) * q - double(from_half(b + 82)) * (byte >> 4);
            }
            break;
        case WeightType::q6_k:
            for (int i = 0; i < 256; i++) {
                const int half = i / 128, quarter = i % 128 / 32, l = i % 32;
                const int byte = b[64 * half + 32 * (quarter % 2) + l];
                const int v = (quarter < 2 ? byte & 15 : byte >> 4) | (b[128 + 32 * half + l] >> 2 * quarter & 3) << 4;
                w[i] = double(from_half(b + 208)) * static_cast<int8_t>(b[192 + i / 16]) * (v - 32);
            }
            break;
    }
}

// Random blocks of a type: any bits, scales between about 0.004 and 0.03 of either sign.
inline std::vector<uint8_t> random_blocks(WeightType type, int64_t blocks, uint32_t seed) {
    std::mt19937 random(seed);
    const Layout& shape = layout(type);
    std::vector<uint8_t> out(static_cast<size_t>(blocks * shape.block_bytes));
    for (auto& x : out) x = static_cast<uint8_t>(random());
    const auto half = [&](size_t at) {
        const uint16_t h =
            static_cast<uint16_t>(0x1c00 + (random() & 0xbff)) | static_cast<uint16_t>(random() & 0x8000);
        std::memcpy(out.data() + at, &h, 2);
    };
    for (int64_t i = 0; i < blocks; i++) {
        const size_t at = static_cast<size_t>(i * shape.block_bytes);
        if (type == WeightType::mxfp4) {
            out[at] = static_cast<uint8_t>(117 + random() % 6);
            continue;
        }
        for (int k = 0; k < shape.halves; k++) half(at + static_cast<size_t>(shape.halves_at + 2 * k));
    }
    return out;
}

// One row quantised to 8 bits with a single-precision scale per `block` columns, and back.
inline std::vector<double> quantised_row(const float* x, int64_t columns, int block) {
    std::vector<double> out(static_cast<size_t>(columns));
    for (int64_t b = 0; b < columns; b += block) {
        float largest = 0;
        for (int i = 0; i < block; i++) largest = std::fmax(largest, std::fabs(x[b + i]));
        const float inverse = largest > 0 ? 127.0f / largest : 0.0f, d = largest / 127.0f;
        for (int i = 0; i < block; i++)
            out[static_cast<size_t>(b + i)] = double(d) * std::nearbyint(x[b + i] * inverse);
    }
    return out;
}

}  // namespace hd::kernels::reference
