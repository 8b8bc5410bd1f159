// Which tokens a grammar allows next. The same answers as llama.cpp's, at a bounded price.
//
// Stacks of positions are kept as in llama.cpp, but equal ones once: a stack is a number (hash consing), a set of
// stacks is a number, and what a character makes of a set is looked up. A grammar that still has too many ways to go on
// is told.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <unordered_map>
#include <vector>

#include "grammar/rules.hpp"

namespace hd {

// A grammar has more ways to go on than this engine follows.
struct TooManyWays : std::runtime_error {
    TooManyWays() : std::runtime_error("the grammar has too many ways to go on") {}
};

class Matcher {
  public:
    static constexpr size_t kMostStacks = 20'000;    // of one set
    static constexpr size_t kMostSteps = 4'000'000;  // of one call
    static constexpr size_t kMostNodes = 400'000;    // of all stacks; those of a long text are forgotten
    static constexpr size_t kMostMasks = 64;

    // Both are shared, never changed. Throws TooManyWays.
    Matcher(std::shared_ptr<const Rules> rules, std::shared_ptr<const Pieces> pieces);

    // One byte for each token: 1 where it is allowed next. Throws TooManyWays.
    const std::vector<uint8_t>& mask();
    // Is this token allowed next? Throws TooManyWays, and std::out_of_range for an id outside the vocabulary.
    bool allows(int32_t token);
    // The text goes on with a token. False, and nothing changes, where the grammar does not allow it.
    bool accept(int32_t token);
    // Bytes that may come next, one after the other up to `most`, while `choose` names one of 0 to 255 (or else ends).
    template <typename Choose>
    void follow(size_t most, Choose choose);
    // False where no text goes on, and none may end here.
    bool alive() const { return !sets_[now_.set].empty(); }
    size_t memory_bytes() const;

  private:
    // A set of stacks, and a character of which not all bytes are there.
    struct State {
        uint32_t set;
        uint32_t value = 0;
        uint32_t missing = 0;  // bytes
    };
    struct Node {
        uint32_t position;
        uint32_t below;  // the stack under it
    };
    static constexpr uint32_t kEmpty = 0;  // stack 0: nothing is left to match
    static constexpr uint32_t kDead = 0;   // set 0: no stack
    static constexpr uint32_t kUnknown = UINT32_MAX;
    static constexpr uint32_t kAscii = 128;

    void clear();
    void spend(size_t steps);
    uint32_t push(uint32_t position, uint32_t below);
    uint32_t rest(uint32_t position, uint32_t below) { return rules_->ends(position) ? below : push(position, below); }
    void expand(uint32_t stack, std::vector<uint32_t>& tops);
    uint32_t intern(std::vector<uint32_t> tops);
    uint32_t step(uint32_t set, uint32_t code_point);
    bool feed(State& state, uint8_t byte);
    bool feed(State& state, const std::string& bytes);
    bool partial(const State& state) const;
    bool may_end(const State& state) const {
        return state.missing == 0 && !sets_[state.set].empty() && sets_[state.set].front() == kEmpty;
    }
    bool has_tokens(uint32_t set) const { return !token_tops_[set].empty(); }
    bool token_allowed(uint32_t position, int32_t token) const;
    void fill(std::vector<uint8_t>& mask);
    void forget();

    std::shared_ptr<const Rules> rules_;
    std::shared_ptr<const Pieces> pieces_;
    std::vector<Node> nodes_;
    std::unordered_map<uint64_t, uint32_t> node_of_;
    std::vector<std::vector<uint32_t>> sets_;        // sorted stacks, each with characters or a token on top, or empty
    std::vector<std::vector<uint32_t>> token_tops_;  // of each set, the stacks with a token on top
    std::unordered_map<uint64_t, std::vector<uint32_t>> set_of_;  // by hash
    std::vector<std::vector<uint32_t>> ascii_;                    // of each set, the set behind each ASCII character
    std::unordered_map<uint64_t, uint32_t> wide_;                 // set and other character -> set
    std::unordered_map<uint32_t, std::vector<uint8_t>> masks_;
    std::vector<uint8_t> mask_;
    std::vector<uint32_t> seen_;  // by stack: the last expansion that met it
    uint32_t expansion_ = 0;
    size_t steps_ = 0;
    State now_{kDead};
};

template <typename Choose>
void Matcher::follow(size_t most, Choose choose) {
    steps_ = 0;
    State state = now_;
    for (size_t i = 0; i < most; ++i) {
        std::vector<uint8_t> bytes;
        State after[256];
        for (uint32_t byte = 1; byte < 256; ++byte) {
            State next = state;
            if (!feed(next, static_cast<uint8_t>(byte)) || !partial(next)) continue;
            after[byte] = next;
            bytes.push_back(static_cast<uint8_t>(byte));
        }
        const int chosen = choose(bytes, may_end(state));
        if (chosen < 0) return;
        state = after[chosen];
    }
}

}  // namespace hd
