// Candidates of a greedy choice behind penalties, written where llama.cpp's samplers read them.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstring>

#include "verify/greedy.hpp"

namespace hd {

using Few = nanobind::ndarray<const int32_t, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;
using Candidates =
    nanobind::ndarray<int32_t, nanobind::shape<-1, 3>, nanobind::c_contig, nanobind::device::cpu>;  // id, logit, p

// Returns how many there are.
inline int32_t fill_candidates(const float* row, int32_t n_vocab, const Few& few, const Candidates& out) {
    const auto tokens = shortlist(row, n_vocab, few.data(), static_cast<int32_t>(few.size()));
    if (tokens.size() > out.shape(0)) throw nanobind::value_error("there is no room for all candidates");
    int32_t* at = out.data();
    for (const int32_t token : tokens) {
        at[0] = token;
        std::memcpy(at + 1, row + token, sizeof(float));
        at[2] = 0;
        at += 3;
    }
    return static_cast<int32_t>(tokens.size());
}

}  // namespace hd
