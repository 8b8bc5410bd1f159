// The last tokens of a text: all that a tier is asked with.
#pragma once

#include <algorithm>
#include <cstdint>

#include "slots.hpp"

namespace hd {

struct Tail {
    int32_t token[max_key_length] = {};  // flush right
    int known = 0;

    const int32_t* end() const { return token + max_key_length; }

    // The text with one token more.
    Tail extended(int32_t next) const {
        Tail out;
        std::copy(token + 1, token + max_key_length, out.token);
        out.token[max_key_length - 1] = next;
        out.known = std::min(known + 1, max_key_length);
        return out;
    }
};

}  // namespace hd
