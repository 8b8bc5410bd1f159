// Attention in double precision, cell by cell, and cells of every type from small numbers: what the kernels are
// compared with at load and in tests.
#pragma once

#include <cmath>
#include <cstring>
#include <vector>

#include "problem.hpp"

namespace hd::kernels::reference {

inline uint16_t to_half(float x) {  // for zero and normal numbers; the rest of the mantissa is cut off
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    if ((bits & 0x7fffffff) == 0) return static_cast<uint16_t>(bits >> 16);
    return static_cast<uint16_t>((bits >> 16 & 0x8000) | ((bits >> 23 & 255) - 112) << 10 | (bits >> 13 & 1023));
}

inline double from_half(uint16_t h) {
    const int exponent = h >> 10 & 31, mantissa = h & 1023;
    const double size = exponent == 31 ? INFINITY
                        : exponent     ? std::ldexp(1.0 + mantissa / 1024.0, exponent - 15)
                                       : std::ldexp(mantissa, -24);
    return h & 0x8000 ? -size : size;
}

constexpr float kUnit = 1.0f / 64;  // cells hold multiples of it from -127 to 127, which every type can represent

// One vector of numbers as the type stores it.
inline void encode(CellType type, const int8_t* numbers, int64_t columns, char* to) {
    for (int64_t i = 0; i < columns; i++) {
        const float x = static_cast<float>(numbers[i]) * kUnit;
        uint32_t bits;
        std::memcpy(&bits, &x, 4);
        const uint16_t half = to_half(type == CellType::q8_0 ? kUnit : x), high = static_cast<uint16_t>(bits >> 16);
        if (type == CellType::f16) std::memcpy(to + 2 * i, &half, 2);
        if (type == CellType::bf16) std::memcpy(to + 2 * i, &high, 2);
        if (type == CellType::f32) std::memcpy(to + 4 * i, &x, 4);
        if (type == CellType::q8_0) {
            if (i % 32 == 0) std::memcpy(to + i / 32 * 34, &half, 2);
            std::memcpy(to + i / 32 * 34 + 2 + i % 32, numbers + i, 1);
        }
    }
}

inline double decode(CellType type, const char* cell, int64_t column) {
    uint16_t half = 0;
    const char* at = cell + column * layout(type).block_bytes;
    if (type == CellType::q8_0) at = cell + column / 32 * 34;
    std::memcpy(&half, at, 2);
    const auto wide = static_cast<uint32_t>(half) << 16;
    float x;
    std::memcpy(&x, &wide, 4);
    if (type == CellType::f32) std::memcpy(&x, at, 4);
    if (type == CellType::f16) return from_half(half);
    if (type == CellType::q8_0) return from_half(half) * static_cast<int8_t>(at[2 + column % 32]);
    return static_cast<double>(x);
}

inline std::vector<double> attention(const Problem& p, int64_t stream, int64_t head, int64_t row) {
    const int64_t kv_head = head / p.group(), query = row * p.group() + head % p.group();
    const float* q = p.query(stream, kv_head, query);
    std::vector<double> score(static_cast<size_t>(p.cells), -INFINITY), out(static_cast<size_t>(p.v.size));
    double most = p.sinks ? static_cast<double>(p.sinks[head]) : -INFINITY;
    for (int64_t c = 0; c < p.cells; c++) {
        const double mask = p.mask ? from_half(p.mask_of(stream, row)[c]) : 0;
        if (std::isinf(mask)) continue;
        const char* cell = p.k.of(kv_head, p.kv_stream(stream)) + c * p.k.inner;
        double s = 0;
        for (int64_t d = 0; d < p.k.size; d++) s += static_cast<double>(q[d]) * decode(p.k.type, cell, d);
        s *= static_cast<double>(p.scale);
        if (p.softcap != 0.0f) s = static_cast<double>(p.softcap) * std::tanh(s);
        score[static_cast<size_t>(c)] = s + static_cast<double>(p.slope(head)) * mask;
        most = std::fmax(most, score[static_cast<size_t>(c)]);
    }
    double sum = p.sinks ? std::exp(static_cast<double>(p.sinks[head]) - most) : 0;
    for (int64_t c = 0; c < p.cells; c++) {
        const double weight = std::exp(score[static_cast<size_t>(c)] - most);
        if (!(weight > 0)) continue;
        sum += weight;
        const char* cell = p.v.of(kv_head, p.kv_stream(stream)) + c * p.v.inner;
        for (int64_t d = 0; d < p.v.size; d++) out[static_cast<size_t>(d)] += weight * decode(p.v.type, cell, d);
    }
    for (double& x : out) x = sum > 0 ? x / sum : 0;
    return out;
}

// How far a result is from that, as a share of its length.
inline double error_of(const Problem& p, int64_t stream, int64_t head, int64_t row) {
    const auto right = attention(p, stream, head, row);
    const float* mine = p.result(stream, head / p.group(), row * p.group() + head % p.group());
    double difference = 0, size = 1e-30;
    for (size_t d = 0; d < right.size(); d++)
        difference += std::pow(static_cast<double>(mine[d]) - right[d], 2), size += std::pow(right[d], 2);
    return std::sqrt(difference / size);
}

}  // namespace hd::kernels::reference
