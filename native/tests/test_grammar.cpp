// Grammars: what the mask says, what allows() says, and what accept() does are one thing; and no numbers of a grammar,
// however wrong, do more than be refused.
#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"
#include "grammar/matcher.hpp"

using hd::Element;
using hd::ElementType;
using hd::Matcher;
using hd::Pieces;
using hd::Rules;

namespace {

std::shared_ptr<const Pieces> pieces_of(std::vector<std::string> pieces) {
    std::vector<uint8_t> ends(pieces.size(), 0);
    pieces.push_back("");
    ends.push_back(1);
    return std::make_shared<const Pieces>(std::move(pieces), std::move(ends));
}

std::shared_ptr<const Pieces> some_pieces() {
    return pieces_of({"a", "b", "ab", "ba", "aab", "\xc3", "\xa4", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x8e\x89",
                      "\xff", "c", "", "a\xc3"});
}

// root ::= ("a" | "b" root)
void one_rule_of_two_ways() {
    const std::vector<Element> elements = {{ElementType::character, 'a'},
                                           {ElementType::alternative, 0},
                                           {ElementType::character, 'b'},
                                           {ElementType::rule, 0},
                                           {ElementType::end, 0}};
    const auto pieces = some_pieces();
    Matcher matcher(std::make_shared<const Rules>(elements, 0), pieces);
    const auto token = [&](const std::string& text) {
        for (int32_t i = 0; i < pieces->n_tokens(); i++) {
            if (pieces->piece(i) == text && !pieces->ends(i)) return i;
        }
        return -1;
    };
    CHECK(matcher.allows(token("a")) && matcher.allows(token("b")) && matcher.allows(token("ba")));
    CHECK(!matcher.allows(token("ab")) && !matcher.allows(token("c")) && !matcher.allows(pieces->n_tokens() - 1));
    CHECK(matcher.accept(token("b")) && !matcher.accept(token("ab")) && matcher.accept(token("ba")));
    CHECK(matcher.alive() && matcher.allows(pieces->n_tokens() - 1) && !matcher.allows(token("a")));
}

std::vector<Element> random_elements(std::mt19937& random, bool sound) {
    const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    static const uint32_t characters[] = {'a', 'b', 'c', 0xE4, 0x20AC, 0x1F389, 0, 0x10FFFF, 0xFFFFFFFF};
    std::vector<Element> elements;
    const uint32_t rules = 1 + below(4);
    for (uint32_t rule = 0; rule < rules; rule++) {
        for (uint32_t part = below(6); part > 0; part--) {
            if (!sound) {
                elements.push_back({static_cast<ElementType>(static_cast<int32_t>(below(13)) - 1),
                                    below(2) ? below(6) : static_cast<uint32_t>(random())});
                continue;
            }
            switch (below(6)) {
                case 0:
                    elements.push_back({ElementType::rule, below(rules)});
                    break;
                case 1:
                    elements.push_back({ElementType::alternative, 0});
                    break;
                case 2:
                    elements.push_back({below(2) ? ElementType::token : ElementType::not_token, below(18)});
                    break;
                default:
                    elements.push_back(
                        {below(3) ? ElementType::character : ElementType::not_character, characters[below(9)]});
                    if (below(3) == 0) elements.push_back({ElementType::upper, characters[below(9)]});
                    if (below(3) == 0) elements.push_back({ElementType::or_character, characters[below(9)]});
            }
        }
        elements.push_back({ElementType::end, 0});
    }
    return elements;
}

// The mask, each token alone, and what a copy of the matcher accepts; along random texts.
void agrees_with_itself(uint32_t seed, int& walked) {
    std::mt19937 random(seed);
    const auto pieces = some_pieces();
    try {
        const auto rules = std::make_shared<const Rules>(random_elements(random, seed % 3 != 0), random() % 4);
        Matcher matcher(rules, pieces);
        for (int step = 0; step < 12; step++) {
            const std::vector<uint8_t> mask = matcher.mask();
            CHECK(mask.size() == static_cast<size_t>(pieces->n_tokens()));
            std::vector<int32_t> allowed;
            for (int32_t token = 0; token < pieces->n_tokens(); token++) {
                const bool allows = matcher.allows(token);
                CHECK(allows == (mask[static_cast<size_t>(token)] != 0));
                Matcher copy(matcher);
                CHECK(pieces->ends(token) || copy.accept(token) == allows);
                if (allows && !pieces->ends(token)) allowed.push_back(token);
            }
            matcher.follow(4, [&](const std::vector<uint8_t>& bytes, bool) {
                CHECK(std::is_sorted(bytes.begin(), bytes.end()));
                return bytes.empty() ? -1 : static_cast<int>(bytes[random() % bytes.size()]);
            });
            if (allowed.empty()) return;
            CHECK(matcher.accept(allowed[random() % allowed.size()]));
            walked++;
        }
        for (const int32_t token : {-1, pieces->n_tokens(), INT32_MAX}) {
            CHECK(throws<std::out_of_range>([&] { (void)matcher.allows(token); }));
        }
    } catch (const std::invalid_argument&) {  // no grammar
    } catch (const hd::TooManyWays&) {        // left recursion, for one
    }
}

}  // namespace

int main() {
    one_rule_of_two_ways();
    int walked = 0;
    for (uint32_t seed = 1; seed <= 300; seed++) agrees_with_itself(seed, walked);
    CHECK(walked > 100);
    return failures() == 0 ? 0 : 1;
}
