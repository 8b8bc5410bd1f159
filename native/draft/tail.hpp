// The last tokens of a text: all that a tier is asked with.
#pragma once

#include <algorithm>
#include <cstdint>

#include "slots.hpp"

namespace hd {

struct Tail {
    int32_t token[kMaxKeyLength] = {};  // flush right
    int known = 0;

    const int32_t* end() const { return token + kMaxKeyLength; }

    // The text with one token more.
    Tail extended(int32_t next) const {
        Tail out;
        std::copy(token + 1, token + kMaxKeyLength, out.token);
        out.token[kMaxKeyLength - 1] = next;
        out.known = std::min(known + 1, kMaxKeyLength);
        return out;
    }
};

}  // namespace hd
