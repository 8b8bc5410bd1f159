// Every n-th allocation fails, for all n that a scenario reaches: nothing but bad_alloc comes out, nothing leaks or is
// read after it was freed (the sanitizers see that), and what is begun anew afterwards is right.
#include <cstdlib>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include "check.hpp"
#include "draft/drafter.hpp"
#include "grammar/matcher.hpp"
#include "records/answer_counter.hpp"
#include "records/tier_cache.hpp"

namespace {

long allocations = 0, fails_at = 0;

void* allocate(size_t size) {
    if (fails_at > 0 && ++allocations == fails_at) return nullptr;
    return std::malloc(size == 0 ? 1 : size);
}

void* must_allocate(size_t size) {
    if (void* memory = allocate(size)) return memory;
    throw std::bad_alloc();
}

// Runs `scenario` with its n-th allocation failing, n from 1 on, until it gets through; returns how often it failed.
template <typename Scenario, typename After>
int fail_each(Scenario scenario, After after) {
    for (long n = 1;; n++) {
        bool failed = false;
        allocations = 0, fails_at = n;
        try {
            scenario();
        } catch (const std::bad_alloc&) {
            failed = true;
        }
        fails_at = 0;
        after();
        if (!failed && allocations < n) return static_cast<int>(n - 1);
    }
}

std::vector<int32_t> text_of(size_t size) {
    std::mt19937 random(7);
    std::vector<int32_t> text(size);
    for (int32_t& token : text) token = static_cast<int32_t>(random() % 12);
    return text;
}

void draft(hd::Drafter& drafter, const std::vector<int32_t>& text, size_t from) {
    drafter.begin(text.data(), static_cast<int>(from));
    for (size_t at = from; at < text.size();) {
        const hd::DraftTree tree = drafter.grow(16, 8);
        CHECK(tree.check(20).empty());
        const std::vector<int32_t> path = tree.follow(text.data() + at, text.size() - at - 1);
        drafter.learn(tree, text.data() + at, static_cast<int>(path.size()));
        drafter.append(text.data() + at, static_cast<int>(path.size()));
        at += path.size();
    }
}

// One drafter fails again and again, and is used again.
void a_drafter_goes_on() {
    const std::vector<int32_t> text = text_of(110);
    const std::vector<int32_t> rows = {1, 2, 4, 8, 16};
    const std::vector<float> cost = {1, 1.1F, 1.2F, 1.4F, 1.8F};
    std::unique_ptr<hd::Drafter> drafter;
    const auto make = [&] {
        drafter = std::make_unique<hd::Drafter>(hd::DrafterLimits{20});
        drafter->set_cost(rows.data(), cost.data(), 5);
    };
    const int failed = fail_each(
        [&] {
            make();
            draft(*drafter, text, 30);
        },
        [&] {
            if (!drafter) make();
            drafter->set_cost(rows.data(), cost.data(), 5);
            const std::vector<int32_t> other(40, 3);  // shares nothing: what was half learned is forgotten
            drafter->begin(other.data(), 40);
            CHECK(drafter->index().check_integrity().empty());
            draft(*drafter, text, 60);
            CHECK(drafter->index().check_integrity().empty());
        });
    CHECK(failed > 50);
}

void records_are_whole_or_absent() {
    const std::vector<int32_t> text = text_of(120);
    hd::AnswerCounter counter(20);
    const auto whole = counter.records(text.data(), 120, 0);
    hd::TierCache cache(20, 1 << 20);
    std::vector<std::vector<uint8_t>> bytes;
    for (const auto& record : whole) bytes.push_back(hd::encode_record(record.lists));
    const auto put = [&](size_t i) { return cache.put(whole[i].key, bytes[i].data(), bytes[i].size()); };
    const int failed = fail_each(
        [&] {
            hd::AnswerCounter other(20);
            CHECK(other.records(text.data(), 120, 0).size() == whole.size());
            for (size_t i = 0; i < whole.size(); i++) CHECK(put(i).empty());
        },
        [&] {
            for (size_t i = 0; i < whole.size(); i++) CHECK(put(i).empty());
            CHECK(cache.records() == whole.size());
        });
    CHECK(failed > 50);
}

void a_grammar_goes_on() {
    using hd::ElementType;
    const auto pieces = std::make_shared<const hd::Pieces>(std::vector<std::string>{"a", "b", "ab", "\xc3\xa4", ""},
                                                           std::vector<uint8_t>{0, 0, 0, 0, 1});
    const std::vector<hd::Element> elements = {{ElementType::character, 'a'}, {ElementType::or_character, 0xE4},
                                               {ElementType::rule, 0},        {ElementType::alternative, 0},
                                               {ElementType::character, 'b'}, {ElementType::end, 0}};
    const auto rules = std::make_shared<const hd::Rules>(elements, 0);
    const int failed = fail_each(
        [&] {
            hd::Matcher matcher(rules, pieces);
            for (int step = 0; step < 20; step++) {
                CHECK(matcher.mask()[0] == 1 && matcher.mask()[4] == 0);
                CHECK(matcher.accept(step % 2 ? 0 : 3));
            }
            CHECK(matcher.accept(2) && matcher.allows(4));
        },
        [] {});
    CHECK(failed > 10);
}

}  // namespace

void* operator new(size_t size) { return must_allocate(size); }
void* operator new[](size_t size) { return must_allocate(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

int main() {
    a_drafter_goes_on();
    records_are_whole_or_absent();
    a_grammar_goes_on();
    return failures() == 0 ? 0 : 1;
}
