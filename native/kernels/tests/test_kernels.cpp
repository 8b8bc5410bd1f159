// Every kernel of this processor against a plain reference: values, bitwise independence of the number of rows, of the
// split among threads and of the way the input is strided.
#include "../product.hpp"
#include "../repack.hpp"
#include "each_set.hpp"
#include "reference.hpp"

using namespace hd::kernels;

namespace {

struct Case {
    const KernelSet& set;
    Matrix matrix;
    std::vector<uint8_t> blocks, packed;
    std::vector<float> in;

    Case(const KernelSet& kernels, WeightType type, int64_t rows, int64_t columns, int64_t inputs, int threads)
        : set(kernels), matrix{type, kernels.lanes, rows, columns, nullptr} {
        blocks = reference::random_blocks(type, rows * columns / layout(type).columns, 7);
        packed.resize(blocks.size());
        matrix.data = packed.data();
        repack(matrix, blocks.data(), threads);
        std::mt19937 random(11);
        std::normal_distribution<float> normal;
        in.resize(static_cast<size_t>(inputs * columns));
        for (auto& x : in) x = normal(random);
        for (int i = 0; i < 32; i++) in[static_cast<size_t>(i)] = 0;  // a block of zeros has the scale zero
    }

    // Rows [first, first + count) of the input, with `threads` shares and chunks taken in reverse; `spread` lies
    // between columns of the input.
    std::vector<float> product(int64_t first, int64_t count, int threads, int64_t spread = 1) const {
        const auto columns = static_cast<size_t>(matrix.columns), s = static_cast<size_t>(spread);
        std::vector<float> x(static_cast<size_t>(count) * columns * s, 9.0f);
        for (size_t i = 0; i < static_cast<size_t>(count) * columns; i++)
            x[i * s] = in[static_cast<size_t>(first) * columns + i];
        std::vector<float> y(static_cast<size_t>(count * matrix.rows), NAN);
        const size_t x_row = columns * s * 4, y_row = static_cast<size_t>(matrix.rows) * 4;
        const auto n = static_cast<size_t>(count);
        const Rows from{reinterpret_cast<const char*>(x.data()), {count, 1, 1}, {x_row, x_row * n, x_row * n}, s * 4};
        const Rows to{reinterpret_cast<const char*>(y.data()), {count, 1, 1}, {y_row, y_row * n, y_row * n}, 4};
        const Product p(set, matrix, from, to);
        std::vector<uint8_t> work(work_bytes(matrix.type, count, matrix.columns));
        for (int t = 0; t < threads; t++) p.prepare(work.data(), t, threads);
        for (int64_t c = p.chunks(threads); c-- > 0;) p.multiply(work.data(), c, threads);
        return y;
    }
};

void check_values(const KernelSet& set, WeightType type, int64_t rows, int64_t columns) {
    const Case c(set, type, rows, columns, 2, 1);
    const auto y = c.product(0, 2, 1);
    const Layout& shape = layout(type);
    std::vector<double> w(static_cast<size_t>(columns));
    double worst = 0;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t b = 0; b < columns / shape.columns; b++)
            reference::decode(type, c.blocks.data() + (r * (columns / shape.columns) + b) * shape.block_bytes,
                              w.data() + b * shape.columns);
        for (int64_t i = 0; i < 2; i++) {
            const auto x = reference::quantised_row(c.in.data() + i * columns, columns, shape.columns);
            double sum = 0, size = 0;
            for (size_t k = 0; k < w.size(); k++) sum += w[k] * x[k], size += std::fabs(w[k] * x[k]);
            worst = std::fmax(worst, std::fabs(y[static_cast<size_t>(i * rows + r)] - sum) / size);
        }
    }
    if (!(worst < 1e-6)) std::fprintf(stderr, "%s %s: error %g\n", set.isa, shape.name, worst);
    CHECK(worst < 1e-6);
}

// Also the same stored bytes, however many threads store them.
void check_bits(const KernelSet& set, WeightType type) {
    const int64_t columns = 512, rows = 5 * set.lanes;
    const Case c(set, type, rows, columns, 40, 2), one_thread(set, type, rows, columns, 1, 1);
    CHECK(c.packed == one_thread.packed);
    check_same_bits(c, 40, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 40});
}

// Two sets of equally many lanes differ only in how they come to the same integers.
void check_same_as(const KernelSet& a, const KernelSet& b, WeightType type) {
    constexpr int64_t kInputs = 7;
    const Case one(a, type, 3 * a.lanes, 512, kInputs, 1), other(b, type, 3 * b.lanes, 512, kInputs, 1);
    const auto x = one.product(0, kInputs, 1), y = other.product(0, kInputs, 1);
    CHECK(!std::memcmp(x.data(), y.data(), x.size() * sizeof(float)));
}

}  // namespace

int main(int argc, char** argv) {
    const KernelSet* before = nullptr;
    const auto check = [&](const KernelSet& set) {
        for (int t = 0; before && before->lanes == set.lanes && t < kWeightTypes; t++)
            check_same_as(*before, set, static_cast<WeightType>(t));
        before = &set;
        for (int t = 0; t < kWeightTypes; t++) {
            const auto type = static_cast<WeightType>(t);
            check_values(set, type, 3 * set.lanes, 768);
            if (layout(type).columns == 32) check_values(set, type, 2 * set.lanes, 288);
            check_bits(set, type);
        }
        std::printf("%s: %d types\n", set.isa, kWeightTypes);
    };
    return each_set(argc, argv, {"AVX-512 VNNI", "AVX-VNNI", "AVX2", "NEON i8mm", "NEON dotprod"}, check);
}
