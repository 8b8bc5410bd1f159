#include "grammar/matcher.hpp"

#include <algorithm>
#include <utility>

namespace hd {

Matcher::Matcher(std::shared_ptr<const Rules> rules, std::shared_ptr<const Pieces> pieces)
    : rules_(std::move(rules)), pieces_(std::move(pieces)) {
    clear();
    std::vector<uint32_t> tops;
    uint32_t position = rules_->start(rules_->root());
    ++expansion_;
    for (;; ++position) {  // each alternative of the root
        expand(rest(position, kEmpty), tops);
        while (!rules_->ends(position)) ++position;
        if (rules_->at(position).type == ElementType::end) break;
    }
    now_ = State{intern(std::move(tops))};
}

void Matcher::clear() {
    nodes_.assign(1, Node{0, 0});
    seen_.assign(1, 0);
    expansion_ = 0;
    node_of_.clear();
    sets_.clear();
    token_tops_.clear();
    set_of_.clear();
    ascii_.clear();
    wide_.clear();
    masks_.clear();
    intern({});
}

void Matcher::spend(size_t steps) {
    steps_ += steps;
    if (steps_ > kMostSteps) throw TooManyWays();
}

uint32_t Matcher::push(uint32_t position, uint32_t below) {
    const uint64_t key = (static_cast<uint64_t>(position) << 32) | below;
    const auto [found, fresh] = node_of_.try_emplace(key, static_cast<uint32_t>(nodes_.size()));
    if (fresh) {
        if (nodes_.size() > 2 * kMostNodes) throw TooManyWays();
        nodes_.push_back(Node{position, below});
        seen_.push_back(0);
    }
    return found->second;
}

// Adds the stacks that begin with characters or a token, or are empty; those that this expansion has met are left out.
void Matcher::expand(uint32_t stack, std::vector<uint32_t>& tops) {
    std::vector<uint32_t> open{stack};
    while (!open.empty()) {
        const uint32_t top = open.back();
        open.pop_back();
        if (seen_[top] == expansion_) continue;
        seen_[top] = expansion_;
        spend(1);
        const Node node = nodes_[top];
        if (top == kEmpty || rules_->at(node.position).type != ElementType::rule) {
            tops.push_back(top);
            if (tops.size() > kMostStacks) throw TooManyWays();
            continue;
        }
        const uint32_t below = rest(node.position + 1, node.below);
        uint32_t position = rules_->start(rules_->at(node.position).value);
        for (;; ++position) {
            open.push_back(rest(position, below));
            while (!rules_->ends(position)) ++position;
            if (rules_->at(position).type == ElementType::end) break;
        }
        spend(position - rules_->start(rules_->at(node.position).value));
    }
}

uint32_t Matcher::intern(std::vector<uint32_t> tops) {
    std::sort(tops.begin(), tops.end());
    uint64_t hash = 1469598103934665603ULL;
    for (const uint32_t top : tops) hash = (hash ^ top) * 1099511628211ULL;
    for (const uint32_t set : set_of_[hash]) {
        if (sets_[set] == tops) return set;
    }
    const auto set = static_cast<uint32_t>(sets_.size());
    set_of_[hash].push_back(set);
    token_tops_.emplace_back();
    for (const uint32_t top : tops) {
        if (top != kEmpty && rules_->at(nodes_[top].position).type >= ElementType::token)
            token_tops_[set].push_back(top);
    }
    sets_.push_back(std::move(tops));
    ascii_.emplace_back();
    return set;
}

uint32_t Matcher::step(uint32_t set, uint32_t code_point) {
    uint32_t* known = nullptr;
    if (code_point < kAscii) {
        if (ascii_[set].empty()) ascii_[set].assign(kAscii, kUnknown);
        known = &ascii_[set][code_point];
    } else {
        known = &wide_.try_emplace((static_cast<uint64_t>(set) << 32) | code_point, kUnknown).first->second;
    }
    if (*known != kUnknown) return *known;
    std::vector<uint32_t> tops;
    ++expansion_;
    spend(sets_[set].size());
    for (const uint32_t top : sets_[set]) {
        const Node node = nodes_[top];
        if (top == kEmpty || rules_->at(node.position).type >= ElementType::token) continue;
        if (rules_->matches(node.position, code_point)) expand(rest(rules_->behind(node.position), node.below), tops);
    }
    const uint32_t next = intern(std::move(tops));  // may move ascii_
    if (code_point < kAscii) {
        ascii_[set][code_point] = next;
    } else {
        wide_[(static_cast<uint64_t>(set) << 32) | code_point] = next;
    }
    return next;
}

bool Matcher::feed(State& state, uint8_t byte) {
    if (state.missing > 0) {
        if ((byte >> 6) != 2) return false;
        state.value = (state.value << 6) | (byte & 0x3FU);
        if (--state.missing > 0) return true;
    } else if (byte == 0 || (byte >> 6) == 2) {
        return false;
    } else if (byte < 0x80) {
        state.value = byte;
    } else {
        state.missing = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
        state.value = byte & ((1U << (7 - state.missing)) - 1);  // as llama.cpp, also above U+10FFFF
        return true;
    }
    state.set = step(state.set, state.value);
    return state.set != kDead;
}

bool Matcher::feed(State& state, const std::string& bytes) {
    for (const char byte : bytes) {
        if (!feed(state, static_cast<uint8_t>(byte))) return false;
    }
    return partial(state);
}

// May the character that has begun still be one that is allowed? True where none has begun.
bool Matcher::partial(const State& state) const {
    if (state.missing == 0) return true;
    if (state.missing == 1 && state.value < 2) return false;  // a longer form of an ASCII character
    const uint32_t bits = 6 * state.missing;
    uint32_t low = state.value << bits;
    const uint32_t high = low | ((1U << bits) - 1);
    if (low == 0) low = state.missing == 2 ? 1U << 11 : 1U << 16;
    for (const uint32_t top : sets_[state.set]) {
        if (top == kEmpty) continue;
        const uint32_t position = nodes_[top].position;
        const ElementType type = rules_->at(position).type;
        if (type >= ElementType::token) continue;
        if (rules_->matches_any(position, low, high) != (type == ElementType::not_character)) return true;
    }
    return false;
}

bool Matcher::token_allowed(uint32_t position, int32_t token) const {
    const Element& element = rules_->at(position);
    if (!pieces_->whole(token)) return false;
    return (element.value == static_cast<uint32_t>(token)) == (element.type == ElementType::token);
}

bool Matcher::allows(int32_t token) {
    if (token < 0 || token >= pieces_->n_tokens()) throw std::out_of_range("a token outside the vocabulary");
    steps_ = 0;
    if (pieces_->ends(token)) return may_end(now_);
    const std::string& piece = pieces_->piece(token);
    if (piece.empty()) return false;
    for (const uint32_t top : token_tops_[now_.set]) {
        if (token_allowed(nodes_[top].position, token)) return true;
    }
    State state = now_;
    return feed(state, piece);
}

bool Matcher::accept(int32_t token) {
    if (!allows(token)) return false;
    if (pieces_->ends(token)) return true;
    if (nodes_.size() > kMostNodes || wide_.size() > kMostNodes || sets_.size() > kMostNodes / 16) forget();
    steps_ = 0;
    State state = now_;
    const bool text = feed(state, pieces_->piece(token));
    if (!has_tokens(now_.set)) {
        now_ = state;
        return true;
    }
    std::vector<uint32_t> tops;
    ++expansion_;
    for (const uint32_t top : token_tops_[now_.set]) {
        const Node node = nodes_[top];
        if (token_allowed(node.position, token)) expand(rest(node.position + 1, node.below), tops);
    }
    if (text) {
        for (const uint32_t top : sets_[state.set]) {
            const bool old = state.set == now_.set && state.missing > 0;  // no character is whole yet: as before
            if (old && (top == kEmpty || rules_->at(nodes_[top].position).type >= ElementType::token)) continue;
            if (std::find(tops.begin(), tops.end(), top) == tops.end()) tops.push_back(top);
        }
    }
    now_ = State{intern(std::move(tops)), text ? state.value : 0, text ? state.missing : 0};
    return true;
}

const std::vector<uint8_t>& Matcher::mask() {
    steps_ = 0;
    const bool whole = now_.missing == 0;
    if (whole) {
        if (const auto found = masks_.find(now_.set); found != masks_.end()) return found->second;
    }
    mask_.assign(static_cast<size_t>(pieces_->n_tokens()), 0);
    fill(mask_);
    if (!whole) return mask_;
    if (masks_.size() >= kMostMasks) masks_.clear();
    return masks_[now_.set] = mask_;
}

void Matcher::fill(std::vector<uint8_t>& mask) {
    const bool end = may_end(now_);
    for (int32_t token = 0; token < pieces_->n_tokens(); ++token) {
        if (pieces_->ends(token)) mask[static_cast<size_t>(token)] = end;
    }
    std::vector<State> path{now_};  // behind each byte of the token before
    const std::vector<int32_t>& sorted = pieces_->sorted();
    for (size_t i = 0; i < sorted.size(); ++i) {
        const size_t shared = pieces_->shared()[i];
        if (shared >= path.size()) continue;  // it begins like one that failed
        path.resize(shared + 1);
        const std::string& piece = pieces_->piece(sorted[i]);
        bool fits = true;
        for (size_t at = shared; at < piece.size() && fits; ++at) {
            State state = path.back();
            fits = feed(state, static_cast<uint8_t>(piece[at]));
            if (fits) path.push_back(state);
        }
        if (fits) mask[static_cast<size_t>(sorted[i])] = partial(path.back());
    }
    for (const uint32_t top : token_tops_[now_.set]) {
        for (const int32_t token : sorted) {
            if (token_allowed(nodes_[top].position, token)) mask[static_cast<size_t>(token)] = 1;
        }
    }
}

// Keeps the stacks that the text goes on with, and nothing else.
void Matcher::forget() {
    const std::vector<Node> nodes = std::move(nodes_);
    const std::vector<uint32_t> tops = sets_[now_.set];
    std::vector<uint32_t> renamed(nodes.size(), kUnknown);
    renamed[kEmpty] = kEmpty;
    clear();
    std::vector<uint32_t> kept;
    for (const uint32_t top : tops) {
        std::vector<uint32_t> path;
        for (uint32_t stack = top; renamed[stack] == kUnknown; stack = nodes[stack].below) path.push_back(stack);
        for (; !path.empty(); path.pop_back()) {
            const Node& node = nodes[path.back()];
            renamed[path.back()] = push(node.position, renamed[node.below]);
        }
        kept.push_back(renamed[top]);
    }
    now_.set = intern(std::move(kept));
}

size_t Matcher::memory_bytes() const {
    size_t bytes = nodes_.size() * 64 + wide_.size() * 48 + masks_.size() * static_cast<size_t>(pieces_->n_tokens());
    for (const auto& set : sets_) bytes += 128 + set.size() * sizeof(uint32_t);
    for (const auto& row : ascii_) bytes += row.size() * sizeof(uint32_t);
    return bytes;
}

}  // namespace hd
