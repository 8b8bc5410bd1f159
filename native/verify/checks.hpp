// What both verifiers refuse, with std::invalid_argument.
#pragma once

#include <stdexcept>
#include <string>

#include "draft/draft_tree.hpp"

namespace hd {

[[noreturn]] inline void refuse(const std::string& what) { throw std::invalid_argument(what); }

inline void check_limit(const char* what, int64_t is, const char* limit, int64_t most) {
    if (is > most) {
        refuse(std::string(what) + " " + std::to_string(is) + " exceeds " + limit + " " + std::to_string(most));
    }
}

// Pending tokens end with the root of a tree that makes sense; all are of the vocabulary.
inline void check_tokens(const int32_t* pending, int32_t n_pending, const DraftTree& tree, int32_t n_vocab) {
    const std::string wrong = tree.check(n_vocab);
    if (!wrong.empty()) refuse(wrong);
    if (n_pending < 1 || pending[n_pending - 1] != tree.token[0]) {
        refuse("the tree's root must be the last pending token");
    }
    for (int32_t i = 0; i < n_pending; i++) {
        if (pending[i] < 0 || pending[i] >= n_vocab) {
            refuse("pending token " + std::to_string(pending[i]) + " is outside [0, " + std::to_string(n_vocab) + ")");
        }
    }
}

}  // namespace hd
