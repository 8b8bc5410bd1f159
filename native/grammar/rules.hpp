// A grammar's rules, as llama.cpp numbers their elements, and the vocabulary that they are matched with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hd {

enum class ElementType : int32_t {
    end = 0,
    alternative = 1,
    rule = 2,       // value: its number
    character = 3,  // value: a code point; what follows may widen it
    not_character = 4,
    upper = 5,  // the character before it begins a range
    or_character = 6,
    any = 7,
    token = 8,  // value: a token id
    not_token = 9,
};

struct Element {
    ElementType type;
    uint32_t value;
};

class Rules {
  public:
    // Elements of all rules, one rule after the other, each ended by `end`; rule `root` is where a text begins. Throws
    // std::invalid_argument for what is no grammar: every number is checked here, and nowhere else.
    Rules(std::vector<Element> elements, uint32_t root);

    const Element& at(uint32_t position) const { return elements_[position]; }
    uint32_t start(uint32_t rule) const { return starts_[rule]; }
    uint32_t root() const { return root_; }
    uint32_t size() const { return static_cast<uint32_t>(elements_.size()); }
    // True where an alternative ends.
    bool ends(uint32_t position) const {
        return elements_[position].type == ElementType::end || elements_[position].type == ElementType::alternative;
    }
    // Behind the characters that begin at a position.
    uint32_t behind(uint32_t position) const;
    // Does the element at a position match a code point?
    bool matches(uint32_t position, uint32_t code_point) const;
    // Does it match any of the code points from `low` to `high`?
    bool matches_any(uint32_t position, uint32_t low, uint32_t high) const;

  private:
    std::vector<Element> elements_;
    std::vector<uint32_t> starts_;
    uint32_t root_;
};

// Bytes of all tokens, in the order of their bytes, so that what begins alike is walked once.
class Pieces {
  public:
    // One string for each token; `ends[i]` is not 0 where token i ends an answer.
    Pieces(std::vector<std::string> pieces, std::vector<uint8_t> ends);

    int32_t n_tokens() const { return static_cast<int32_t>(pieces_.size()); }
    const std::string& piece(int32_t token) const { return pieces_[static_cast<size_t>(token)]; }
    // True where a token begins with a whole character: only such tokens can stand for a token of the grammar.
    bool whole(int32_t token) const { return whole_[static_cast<size_t>(token)] != 0; }
    bool ends(int32_t token) const { return ends_[static_cast<size_t>(token)] != 0; }
    // Tokens that may be text: no end, not empty.
    const std::vector<int32_t>& sorted() const { return sorted_; }
    // Bytes that a token of `sorted()` shares with the one before it.
    const std::vector<uint32_t>& shared() const { return shared_; }

  private:
    std::vector<std::string> pieces_;
    std::vector<uint8_t> ends_;
    std::vector<uint8_t> whole_;
    std::vector<int32_t> sorted_;
    std::vector<uint32_t> shared_;
};

}  // namespace hd
