// Every kernel for float weights that this processor can run against sums in double precision, and bit by bit against
// itself: any number of inputs and threads, any split.
#include <random>

#include "../attention/reference.hpp"
#include "../floats/float_product.hpp"
#include "../vector_set.hpp"
#include "each_set.hpp"
#include "thread_team.hpp"

using namespace hd::kernels;

namespace {

// The nearest number below that the type can store.
void put(CellType type, float x, char* to) {
    if (std::fabs(x) < 1e-3f) x = 0;
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    const uint16_t half = type == CellType::f16 ? reference::to_half(x) : static_cast<uint16_t>(bits >> 16);
    if (type == CellType::f32)
        std::memcpy(to, &x, 4);
    else
        std::memcpy(to, &half, 2);
}

// The nearest BF16 number, of two equally near the even one.
float rounded(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    std::memcpy(&x, &bits, 4);
    return x;
}

void check_rounding(Round round) {
    for (const size_t n : {1, 15, 16, 33}) {
        std::vector<float> x(n);
        for (size_t i = 0; i < n; i++) x[i] = (i % 2 ? -1.0f : 1.0f) + static_cast<float>(i) / 512;  // with ties
        std::vector<uint16_t> y(n + 1, 0x1234);
        round(x.data(), static_cast<int64_t>(n), reinterpret_cast<char*>(y.data()));
        for (size_t i = 0; i < n; i++) {
            const uint32_t bits = uint32_t{y[i]} << 16;
            const float expected = rounded(x[i]);
            CHECK(!std::memcmp(&bits, &expected, 4));
        }
        CHECK(y[n] == 0x1234);
    }
}

struct Case {
    const FloatSet& set;
    const bool rounds;
    FloatMatrix matrix;
    std::vector<char> data;
    std::vector<double> weights;
    std::vector<float> in;

    // `gap` bytes lie between two weight rows.
    Case(const FloatSet& kernels, CellType type, int64_t rows, int64_t columns, int64_t inputs, int64_t gap)
        : set(kernels),
          rounds(kernels.types[static_cast<int>(type)]->round),
          matrix{type, rows, columns, nullptr, columns * layout(type).block_bytes + gap} {
        std::mt19937 random(static_cast<uint32_t>(rows * 7 + columns));
        std::normal_distribution<float> normal;
        data.resize(static_cast<size_t>(rows * matrix.step - gap));  // nothing behind the last row may be read
        for (int64_t i = 0; i < rows * columns; i++) {
            char* to = data.data() + i / columns * matrix.step + i % columns * layout(type).block_bytes;
            put(type, normal(random), to);
            weights.push_back(reference::decode(type, to, 0));
        }
        matrix.data = data.data();
        in.resize(static_cast<size_t>(inputs * columns));
        for (auto& x : in) x = normal(random);
    }

    // What a kernel sees of a number.
    double input(int64_t at) const {
        const float x = in[static_cast<size_t>(at)];
        return static_cast<double>(rounds ? rounded(x) : x);
    }

    // Inputs [first, first + count); `spread` floats from column to column.
    std::vector<float> product(int64_t first, int64_t count, int threads, int64_t spread = 1) const {
        const auto columns = static_cast<size_t>(matrix.columns), s = static_cast<size_t>(spread);
        const auto n = static_cast<size_t>(count);
        std::vector<float> x((n * columns - 1) * s + 1, 9.0f), y(n * static_cast<size_t>(matrix.rows), NAN);
        for (size_t i = 0; i < n * columns; i++) x[i * s] = in[static_cast<size_t>(first) * columns + i];
        const size_t x_row = columns * s * 4, y_row = static_cast<size_t>(matrix.rows) * 4;
        const Rows from{reinterpret_cast<const char*>(x.data()), {count, 1, 1}, {x_row, x_row * n, x_row * n}, s * 4};
        const Rows to{reinterpret_cast<const char*>(y.data()), {count, 1, 1}, {y_row, y_row * n, y_row * n}, 4};
        const FloatProduct p(set, matrix, from, to);
        std::vector<uint8_t> work(p.work_bytes());
        with_team(threads, [&](Team& team) {
            p.prepare(work.data(), team.thread, threads);
            if (team.thread == 0) team.restart(threads);
            team.barrier();
            for (int64_t c = team.thread; c < p.chunks(threads); c = team.claim()) p.multiply(work.data(), c, threads);
        });
        return y;
    }
};

void check_values(const Case& c) {
    const int64_t rows = c.matrix.rows, columns = c.matrix.columns;
    const auto y = c.product(0, 2, 1);
    double worst = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < 2; i++) {
            double sum = 0, size = 1e-30;
            for (int64_t k = 0; k < columns; k++) {
                const double term = c.weights[static_cast<size_t>(r * columns + k)] * c.input(i * columns + k);
                sum += term, size += std::fabs(term);
            }
            worst = std::fmax(worst, std::fabs(static_cast<double>(y[static_cast<size_t>(i * rows + r)]) - sum) / size);
        }
    if (!(worst < 4e-7)) std::fprintf(stderr, "%s %s: error %g\n", c.set.isa, layout(c.matrix.type).name, worst);
    CHECK(worst < 4e-7);
}

}  // namespace

int main(int argc, char** argv) {
    return each_set(argc, argv, {"AVX-512 BF16", "AVX-512 VNNI", "AVX2", "NEON dotprod"}, [](const KernelSet& kernels) {
        const FloatSet& set = vector_set(kernels).floats;
        for (int t = 0; t < kFloatTypes; t++) {
            const auto type = static_cast<CellType>(t);
            if (set.types[t]->round) check_rounding(set.types[t]->round);
            for (const int64_t columns : {1, 3, 15, 16, 31, 33, 100, 576, 2500})
                for (const int64_t rows : {1, 7, 8, 30}) check_values({set, type, rows, columns, 2, 0});
            const std::vector<int64_t> counts = {1, 2, 3, 5, 8, 16, 33, 64, 200};
            check_same_bits(Case(set, type, 200, 130, 200, 0), 200, counts);
            check_same_bits(Case(set, type, 37, 2500, 33, 6), 33, counts);
            check_same_bits(Case(set, type, 5, 40, 64, 0), 64, counts);
            check_same_bits(Case(set, type, 64, 8, 16, 0), 16, counts);
        }
        std::printf("%s: %d float types\n", set.isa, kFloatTypes);
    });
}
