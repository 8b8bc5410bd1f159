// What the drafter, a small model beside the target, says of the tokens behind the conversation.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace hd {

// How a token of the target follows from what the drafter said; each kind is calibrated for itself.
enum class Said : uint8_t {
    first = 0,    // its likeliest piece is this token
    opening = 1,  // its likeliest piece begins with this token
    inside = 2,   // the piece goes on with this token
    other = 3,    // a piece that is not its likeliest
    odd = 4       // the target would spell what stands before it in another way
};
constexpr int kSaidKinds = 5;

// A trie of the target's tokens; node 0 is the conversation's end. A chance is that of the token after its parent.
class Forecast {
  public:
    struct Word {
        int32_t token;
        float chance;
        Said kind;
        int next = -1;   // the parent's child added before it
        int child = -1;  // its own child added last
    };

    Forecast() { clear(); }
    void clear() { words_.assign(1, Word{-1, 1.0F, Said::first}); }

    bool known(int node) const { return node >= 0 && words_[static_cast<size_t>(node)].child >= 0; }
    const Word& at(int node) const { return words_[static_cast<size_t>(node)]; }

    int child(int node, int32_t token) const {
        if (node < 0) return -1;
        int at = words_[static_cast<size_t>(node)].child;
        while (at >= 0 && words_[static_cast<size_t>(at)].token != token) at = words_[static_cast<size_t>(at)].next;
        return at;
    }

    // The token follows `path`, whose tokens it adds where they are missing (as certain). A token said twice, because
    // two pieces begin with it, has both chances.
    void add(const int32_t* path, int n, int32_t token, float chance, Said kind) {
        int node = 0;
        for (int i = 0; i < n; i++) {
            const int below = child(node, path[i]);
            node = below >= 0 ? below : append(node, path[i], 1.0F, Said::inside);
        }
        const int same = child(node, token);
        if (same < 0) {
            append(node, token, chance, kind);
        } else {
            Word& word = words_[static_cast<size_t>(same)];
            word.chance = std::min(word.chance + chance, 1.0F);
        }
    }

  private:
    int append(int parent, int32_t token, float chance, Said kind) {
        const auto at = static_cast<int>(words_.size());
        words_.push_back({token, chance, kind, words_[static_cast<size_t>(parent)].child});
        words_[static_cast<size_t>(parent)].child = at;
        return at;
    }

    std::vector<Word> words_;
};

}  // namespace hd
