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

struct Case {
    const FloatSet& set;
    FloatMatrix matrix;
    std::vector<char> data;
    std::vector<double> weights;
    std::vector<float> in;

    // `gap` bytes lie between two weight rows.
    Case(const FloatSet& kernels, CellType type, int64_t rows, int64_t columns, int64_t inputs, int64_t gap)
        : set(kernels), matrix{type, rows, columns, nullptr, columns * layout(type).block_bytes + gap} {
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
                const double term = c.weights[static_cast<size_t>(r * columns + k)] *
                                    static_cast<double>(c.in[static_cast<size_t>(i * columns + k)]);
                sum += term, size += std::fabs(term);
            }
            worst = std::fmax(worst, std::fabs(static_cast<double>(y[static_cast<size_t>(i * rows + r)]) - sum) / size);
        }
    if (!(worst < 4e-7)) std::fprintf(stderr, "%s %s: error %g\n", c.set.isa, layout(c.matrix.type).name, worst);
    CHECK(worst < 4e-7);
}

}  // namespace

int main(int argc, char** argv) {
    return each_set(argc, argv, {"AVX-512 VNNI", "AVX2", "NEON dotprod"}, [](const KernelSet& kernels) {
        const FloatSet& set = vector_set(kernels.lanes)->floats;
        for (int t = 0; t < kFloatTypes; t++) {
            const auto type = static_cast<CellType>(t);
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
