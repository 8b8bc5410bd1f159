#include "problem.hpp"

#include <cmath>
#include <initializer_list>

namespace hd::kernels {

float Problem::slope(int64_t head) const {
    if (!(max_bias > 0.0f)) return 1.0f;
    const auto power = static_cast<int64_t>(1) << static_cast<int>(std::floor(std::log2(static_cast<double>(heads))));
    const auto base = [&](float bias) { return std::pow(2.0f, -bias / static_cast<float>(power)); };
    return head < power ? std::pow(base(max_bias), static_cast<float>(head + 1))
                        : std::pow(base(max_bias / 2.0f), static_cast<float>(2 * (head - power) + 1));
}

int cell_type(int ggml_type) {
    for (int i = 0; i < kCellTypes; i++)
        if (kCellLayouts[i].ggml_type == ggml_type) return i;
    return -1;
}

bool takes_cells(int ggml_type, int64_t size) {
    const int type = cell_type(ggml_type);
    return type >= 0 && size % kCellLayouts[type].columns == 0;
}

bool takes_sizes(int64_t key_size, int64_t value_size) {
    if (key_size == 576 && value_size == 512) return true;  // latent attention: the values are part of the keys
    if (key_size != value_size) return false;
    for (const int64_t size : {64, 80, 96, 112, 128, 192, 256, 512})
        if (key_size == size) return true;
    return false;
}

}  // namespace hd::kernels
