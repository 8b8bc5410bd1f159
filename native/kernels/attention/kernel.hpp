// Attention for any instruction set. `V` offers vectors F of kLanes floats: loads of every cell type, arithmetic,
// sums() of kLanes vectors into one, exp2 steps. What the results depend on is written here once.
#pragma once

#include <cstring>
#include <initializer_list>

#include "kernel_set.hpp"
#include "visible.hpp"

namespace hd::kernels {
namespace {

// Asks for vectors v and v + 1 of the cell that begins there.
template <class V, CellType T>
HD_INLINE void fetch(const char* ahead, int64_t v) {
    constexpr CellLayout kLayout = layout(T);
    constexpr int kBytes = 2 * V::kLanes * kLayout.block_bytes / kLayout.columns;
    if (kBytes < 32 && v * kBytes / 2 % 64 >= kBytes) return;  // another pair of this line has asked
    __builtin_prefetch(ahead + v * kBytes / 2, 0, 3);
    if constexpr (kBytes > 64) __builtin_prefetch(ahead + v * kBytes / 2 + 64, 0, 3);
}

// ---- scores ----------------------------------------------------------------------------------------------------

// V::kScores sums are in flight: N queries times kScores / N cells. All sums are independent of each other.
template <class V, CellType T, int N>
HD_INLINE void scores_of(const float* const* q, const CellList& keys, int64_t columns, float* scores) {
    using F = typename V::F;
    constexpr int L = V::kLanes, J = V::kScores / (N == 3 ? 4 : N > 4 ? 8 : N), kSums = (N * J + L - 1) / L * L;
    const int64_t vectors = columns / L;
    for (int c = 0; c < keys.n; c += J) {
        const char* cell[J];
#pragma GCC unroll 16
        for (int j = 0; j < J; j++) cell[j] = keys.data + keys.step * keys.cells[c + j < keys.n ? c + j : keys.n - 1];
        F a[kSums];
#pragma GCC unroll 32
        for (int i = 0; i < kSums; i++) a[i] = V::zero();
        int64_t v = 0;
        for (; v + 2 <= vectors; v += 2) {  // two vectors of a cell at a time: whole cache lines
            F x[N], y[N];
            const char* ahead = keys.ahead + c * keys.ahead_step;
#pragma GCC unroll 8
            for (int i = 0; i < N; i++) x[i] = V::load(q[i] + v * L), y[i] = V::load(q[i] + v * L + L);
#pragma GCC unroll 16
            for (int j = 0; j < J; j++) {
                F s, t;
                V::template pair<T>(cell[j], v, s, t);
                if (T != CellType::f32 && keys.ahead) fetch<V, T>(ahead, v), ahead += keys.ahead_step;
#pragma GCC unroll 8
                for (int i = 0; i < N; i++) a[i * J + j] = V::fma(t, y[i], V::fma(s, x[i], a[i * J + j]));
            }
        }
        if (v < vectors) {
#pragma GCC unroll 16
            for (int j = 0; j < J; j++) {
                const F s = V::template single<T>(cell[j], v);
#pragma GCC unroll 8
                for (int i = 0; i < N; i++) a[i * J + j] = V::fma(s, V::load(q[i] + v * L), a[i * J + j]);
            }
        }
        alignas(64) float sum[kSums];
#pragma GCC unroll 4
        for (int i = 0; i < kSums; i += L) V::store(sum + i, V::sums(a + i));
        if (c + J <= keys.n) {
#pragma GCC unroll 8
            for (int i = 0; i < N; i++) std::memcpy(scores + i * kChunk + c, sum + i * J, sizeof(float) * J);
        } else {
            for (int i = 0; i < N; i++)
                for (int j = 0; c + j < keys.n; j++) scores[i * kChunk + c + j] = sum[i * J + j];
        }
    }
}

// ---- values ----------------------------------------------------------------------------------------------------

template <class V, CellType T, int N, int W>
HD_INLINE void values_block(const float* weights, const CellList& values, int64_t at, float* out, int64_t out_step,
                            bool fresh) {
    using F = typename V::F;
    constexpr int L = V::kLanes;
    F a[N][W];
#pragma GCC unroll 8
    for (int i = 0; i < N; i++)
#pragma GCC unroll 8
        for (int w = 0; w < W; w++) a[i][w] = fresh ? V::zero() : V::load(out + i * out_step + (at + w) * L);
    for (int c = 0; c < values.n; c++) {
        const char* cell = values.data + values.step * values.cells[c];
        F weight[N];
#pragma GCC unroll 8
        for (int i = 0; i < N; i++) weight[i] = V::set(weights[i * kChunk + c]);
        if constexpr (W % 2 == 0) {
#pragma GCC unroll 4
            for (int w = 0; w < W; w += 2) {
                F x, y;
                V::template pair<T>(cell, at + w, x, y);
                if (T != CellType::f32 && values.ahead) fetch<V, T>(values.ahead + c * values.ahead_step, at + w);
#pragma GCC unroll 8
                for (int i = 0; i < N; i++) {
                    a[i][w] = V::fma(x, weight[i], a[i][w]);
                    a[i][w + 1] = V::fma(y, weight[i], a[i][w + 1]);
                }
            }
        } else {
            static_assert(W == 1);
            const F x = V::template single<T>(cell, at);
#pragma GCC unroll 8
            for (int i = 0; i < N; i++) a[i][0] = V::fma(x, weight[i], a[i][0]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < N; i++)
#pragma GCC unroll 8
        for (int w = 0; w < W; w++) V::store(out + i * out_step + (at + w) * L, a[i][w]);
}

template <class V, CellType T, int N>
HD_INLINE void values_of(const float* weights, const CellList& values, int64_t columns, float* out, int64_t out_step,
                         bool fresh) {
    constexpr int W = V::values_together(N);
    const int64_t vectors = columns / V::kLanes;
    int64_t at = 0;
    for (; at + W <= vectors; at += W) values_block<V, T, N, W>(weights, values, at, out, out_step, fresh);
    if constexpr (W > 4)
        for (; at + 4 <= vectors; at += 4) values_block<V, T, N, 4>(weights, values, at, out, out_step, fresh);
    if constexpr (W > 2)
        for (; at + 2 <= vectors; at += 2) values_block<V, T, N, 2>(weights, values, at, out, out_step, fresh);
    for (; at < vectors; at++) values_block<V, T, N, 1>(weights, values, at, out, out_step, fresh);
}

template <class V, CellType T>
HD_INLINE void convert_cells(const CellList& from, int64_t columns, float* to) {
    const int64_t vectors = columns / V::kLanes;
    for (int c = 0; c < from.n; c++, to += columns) {
        const char* cell = from.data + from.step * from.cells[c];
        int64_t v = 0;
        for (; v + 2 <= vectors; v += 2) {
            typename V::F x, y;
            V::template pair<T>(cell, v, x, y);
            if (from.ahead) fetch<V, T>(from.ahead + c * from.ahead_step, v);
            V::store(to + v * V::kLanes, x);
            V::store(to + (v + 1) * V::kLanes, y);
        }
        if (v < vectors) V::store(to + v * V::kLanes, V::template single<T>(cell, v));
    }
}

// ---- softmax ---------------------------------------------------------------------------------------------------

// exp(x) for x <= 0, within 2 ulp (Cephes' polynomial on [-ln 2 / 2, ln 2 / 2]); 0 below -87.
template <class V>
HD_INLINE typename V::F exp_of(typename V::F x) {
    using F = typename V::F;
    const F low = V::set(-87.0f), y = V::max(x, low), n = V::round(V::mul(y, V::set(1.44269504f)));
    F r = V::fma(n, V::set(-0.693145752f), y);
    r = V::fma(n, V::set(-1.42860677e-6f), r);
    F p = V::set(1.9875691500e-4f);
    p = V::fma(p, r, V::set(1.3981999507e-3f));
    p = V::fma(p, r, V::set(8.3334519073e-3f));
    p = V::fma(p, r, V::set(4.1665795894e-2f));
    p = V::fma(p, r, V::set(1.6666665459e-1f));
    p = V::fma(p, r, V::set(5.0000001201e-1f));
    p = V::fma(p, V::mul(r, r), V::add(r, V::set(1.0f)));
    return V::zero_below(x, low, V::scale(p, n));
}

// tanh(x), within 4 ulp: the rational function of Eigen's fast tanh.
template <class V>
HD_INLINE typename V::F tanh_of(typename V::F x) {
    using F = typename V::F;
    const F y = V::max(V::min(x, V::set(7.90531110f)), V::set(-7.90531110f)), z = V::mul(y, y);
    F p = V::set(-2.76076847742355e-16f);
    for (const float c : {2.00018790482477e-13f, -8.60467152213735e-11f, 5.12229709037114e-08f, 1.48572235717979e-05f,
                          6.37261928875436e-04f, 4.89352455891786e-03f})
        p = V::fma(p, z, V::set(c));
    F q = V::set(1.19825839466702e-06f);
    for (const float c : {1.18534705686654e-04f, 2.26843463243900e-03f, 4.89352518554385e-03f})
        q = V::fma(q, z, V::set(c));
    return V::div(V::mul(y, p), q);
}

// Scores of n cells from their dots, in place, and the largest in every lane.
template <class V, bool Plain>
HD_INLINE typename V::F scale_dots(float* dots, int n, const float* bias, const SoftmaxShape& shape) {
    using F = typename V::F;
    constexpr int L = V::kLanes;
    const F lowest = V::set(kNothing), scale = V::set(shape.scale);
    F top = lowest;
    for (int i = 0; i < n; i += L) {
        F s = V::mul(V::load(dots + i), scale);
        if constexpr (!Plain) {
            if (shape.softcap != 0.0f) s = V::mul(V::set(shape.softcap), tanh_of<V>(s));
            if (bias) s = V::fma(V::set(shape.slope), V::load(bias + i), s);
        }
        if (i + L > n) s = V::first(n - i, s, lowest);
        V::store(dots + i, s);
        top = V::max(top, s);
    }
    return top;
}

template <class V>
HD_INLINE void softmax_of(float* dots, int n, const float* bias, const SoftmaxShape& shape, float* part) {
    using F = typename V::F;
    constexpr int L = V::kLanes;
    for (int i = n; i % L; i++) dots[i] = 0;
    const bool plain = !bias && shape.softcap == 0.0f;
    const float most =
        V::most(plain ? scale_dots<V, true>(dots, n, bias, shape) : scale_dots<V, false>(dots, n, bias, shape));
    const F shift = V::set(most);
    F sum = V::zero();
#pragma GCC unroll 2
    for (int i = 0; i < n; i += L) {
        const F e = exp_of<V>(V::sub(V::load(dots + i), shift));
        V::store(dots + i, e);
        sum = V::add(sum, e);
    }
    part[0] = most;
    part[1] = V::sum(sum);
}

template <class V>
HD_INLINE float exp_one(float x) {
    return V::lane(exp_of<V>(V::set(x)));
}

template <class V>
HD_INLINE void fold_part(float* run, const float* part, int64_t columns) {
    const float most = run[0] > part[0] ? run[0] : part[0];
    const float a = exp_one<V>(run[0] - most), b = exp_one<V>(part[0] - most);
    run[0] = most;
    run[1] = run[1] * a + part[1] * b;
    const auto x = V::set(a), y = V::set(b);
    for (int64_t d = kPartHead; d < kPartHead + columns; d += V::kLanes)
        V::store(run + d, V::fma(V::load(part + d), y, V::mul(V::load(run + d), x)));
}

template <class V>
HD_INLINE void finish_row(const float* run, const float* sink, int64_t columns, float* out) {
    float sum = run[1], share = 1;
    if (sink) {
        const float most = run[0] > *sink ? run[0] : *sink;
        share = exp_one<V>(run[0] - most);
        sum = sum * share + exp_one<V>(*sink - most);
    }
    const auto factor = V::set(sum == 0 ? 0 : share / sum);
    for (int64_t d = 0; d < columns; d += V::kLanes) V::store(out + d, V::mul(V::load(run + kPartHead + d), factor));
}

// ---- the set ---------------------------------------------------------------------------------------------------

template <class V, CellType T>
constexpr CellKernels cell_kernels() {
    CellKernels k{{nullptr, scores_of<V, T, 1>, scores_of<V, T, 2>, scores_of<V, T, 3>, scores_of<V, T, 4>},
                  {nullptr, values_of<V, T, 1>, values_of<V, T, 2>, values_of<V, T, 3>, values_of<V, T, 4>},
                  convert_cells<V, T>};
    if constexpr (V::kMostQueries == 8) {
        k.scores[6] = scores_of<V, T, 6>, k.scores[8] = scores_of<V, T, 8>;
        k.values[6] = values_of<V, T, 6>, k.values[8] = values_of<V, T, 8>;
    }
    return k;
}

template <class V>
constexpr AttentionSet attention_kernels(const char* isa) {
    return {isa,
            V::kMostQueries,
            {cell_kernels<V, CellType::f16>(), cell_kernels<V, CellType::bf16>(), cell_kernels<V, CellType::f32>(),
             cell_kernels<V, CellType::q8_0>()},
            softmax_of<V>,
            fold_part<V>,
            finish_row<V>};
}

}  // namespace
}  // namespace hd::kernels
