// What the kernels' tests share: every set that this processor can run, and bits that must not depend on company.
#pragma once

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include "../../tests/check.hpp"
#include "../kernel_sets.hpp"

namespace hd::kernels {

// Calls check(set) for each of these sets that can run; the exit status of main. A name on the command line: that one
// alone, which must run.
template <class Check>
int each_set(int argc, char** argv, std::initializer_list<const char*> names, const Check& check) {
    int sets = 0;
    for (const char* isa : names) {
        const KernelSet* set = kernels_named(isa);
        if (!set || (argc > 1 && std::string(argv[1]) != isa)) continue;
        check(*set);
        sets++;
    }
    if (argc > 1) CHECK(sets == 1);
    return failures() != 0;
}

// Each row of a product among others, on any number of threads, and with columns that lie apart, against it alone.
template <class Case>
void check_same_bits(const Case& c, int64_t inputs, const std::vector<int64_t>& counts) {
    const int64_t rows = c.matrix.rows;
    std::vector<std::vector<float>> alone;
    for (int64_t i = 0; i < inputs; i++) alone.push_back(c.product(i, 1, 1));
    const auto same = [&](int64_t count, int threads, int64_t spread) {
        const auto y = c.product(inputs - count, count, threads, spread);
        bool equal = true;
        for (int64_t i = 0; i < count; i++)
            equal &= !std::memcmp(y.data() + i * rows, alone[static_cast<size_t>(inputs - count + i)].data(),
                                  static_cast<size_t>(rows) * 4);
        if (!equal)
            std::fprintf(stderr, "%s %s %dx%d: %d rows, %d threads\n", c.set.isa, layout(c.matrix.type).name, int(rows),
                         int(c.matrix.columns), int(count), threads);
        CHECK(equal);
    };
    for (int threads = 1; threads <= 3; threads++)
        for (const int64_t count : counts)
            if (count <= inputs) same(count, threads, 1);
    same(std::min<int64_t>(inputs, 5), 2, 3);
}

}  // namespace hd::kernels
