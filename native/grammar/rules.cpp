#include "grammar/rules.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace hd {

namespace {

bool is_first(ElementType type) {
    return type == ElementType::character || type == ElementType::not_character || type == ElementType::any;
}

bool is_more(ElementType type) { return type == ElementType::upper || type == ElementType::or_character; }

// As llama.cpp decodes: a character has bytes by its first one, and only a first one can be wrong.
bool begins_whole(const std::string& piece) {
    size_t first = 0;
    for (size_t at = 0; at < piece.size();) {
        const auto byte = static_cast<uint8_t>(piece[at]);
        if ((byte >> 6) == 2 || piece[0] == 0) return false;
        at += byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
        if (first == 0) first = at;
    }
    return first > 0 && first <= piece.size();
}

}  // namespace

Rules::Rules(std::vector<Element> elements, uint32_t root) : elements_(std::move(elements)), root_(root) {
    bool begins = true;
    for (uint32_t i = 0; i < size(); ++i) {
        const ElementType type = elements_[i].type;
        if (type < ElementType::end || type > ElementType::not_token) throw std::invalid_argument("unknown element");
        if (begins) starts_.push_back(i);
        if (is_more(type) && (begins || !(is_first(elements_[i - 1].type) || is_more(elements_[i - 1].type)))) {
            throw std::invalid_argument("a character is widened that is not there");
        }
        begins = type == ElementType::end;
    }
    if (!begins || starts_.size() <= root_) throw std::invalid_argument("the last rule has no end, or no rule is root");
    for (const Element& element : elements_) {
        if (element.type == ElementType::rule && element.value >= starts_.size()) {
            throw std::invalid_argument("no such rule");
        }
    }
}

uint32_t Rules::behind(uint32_t position) const {
    do {
        ++position;
    } while (is_more(elements_[position].type));
    return position;
}

bool Rules::matches(uint32_t position, uint32_t code_point) const {
    return matches_any(position, code_point, code_point) != (at(position).type == ElementType::not_character);
}

bool Rules::matches_any(uint32_t position, uint32_t low, uint32_t high) const {
    const uint32_t stop = behind(position);
    if (elements_[position].type == ElementType::any) return true;
    for (uint32_t i = position; i < stop; ++i) {
        const uint32_t first = elements_[i].value;
        const bool range = i + 1 < stop && elements_[i + 1].type == ElementType::upper;
        const uint32_t last = range ? elements_[i + 1].value : first;
        if (first <= high && low <= last) return true;
        if (range) ++i;
    }
    return false;
}

Pieces::Pieces(std::vector<std::string> pieces, std::vector<uint8_t> ends)
    : pieces_(std::move(pieces)), ends_(std::move(ends)) {
    if (pieces_.size() != ends_.size()) throw std::invalid_argument("pieces and ends differ in number");
    for (const std::string& piece : pieces_) whole_.push_back(begins_whole(piece));
    for (int32_t token = 0; token < n_tokens(); ++token) {
        if (!this->ends(token) && !piece(token).empty()) sorted_.push_back(token);
    }
    std::sort(sorted_.begin(), sorted_.end(), [&](int32_t a, int32_t b) { return piece(a) < piece(b); });
    shared_.reserve(sorted_.size());
    for (size_t i = 0; i < sorted_.size(); ++i) {
        if (i == 0) {
            shared_.push_back(0);
            continue;
        }
        const std::string &before = piece(sorted_[i - 1]), &now = piece(sorted_[i]);
        const auto same = std::mismatch(before.begin(), before.end(), now.begin(), now.end());
        shared_.push_back(static_cast<uint32_t>(same.first - before.begin()));
    }
}

}  // namespace hd
