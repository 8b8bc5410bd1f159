// Records of the tiers' files: round trips, damaged bytes, the cache's budget, counts of an answer.
#include <algorithm>
#include <random>

#include "check.hpp"
#include "records/answer_counter.hpp"
#include "records/tier_cache.hpp"
#include "slow_counts.hpp"

namespace {

constexpr int32_t kVocab = 50;

std::vector<int32_t> random_tokens(std::mt19937& random, int size, int32_t vocab) {
    std::uniform_int_distribution<int32_t> token(0, vocab - 1);
    std::vector<int32_t> tokens(static_cast<size_t>(size));
    for (int32_t& t : tokens) t = token(random);
    return tokens;
}

void check_answers() {
    std::mt19937 random(1);
    hd::AnswerCounter counter(kVocab);
    for (int round = 0; round < 200; round++) {
        const int size = round % 40;
        const int start = round % 7;
        const auto tokens = random_tokens(random, size, round % 3 == 0 ? 3 : kVocab);
        Counts expected;
        count_slowly(tokens, {1, 2, 3, 4, 6}, static_cast<size_t>(start), expected);
        hd::TierCache cache(kVocab, 1 << 20);
        size_t lists = 0;
        for (const auto& record : counter.records(tokens.data(), size, start)) {
            const auto blob = hd::encode_record(record.lists);
            hd::NgramRecord again;
            CHECK(hd::decode_record(record.key, blob.data(), blob.size(), kVocab, again).empty());
            CHECK(again.size() == record.lists.size());
            lists += again.size();
            CHECK(!cache.known(record.key));
            CHECK(cache.put(record.key, blob.data(), blob.size()).empty());
        }
        CHECK(lists == expected.size());
        for (const auto& [context, followers] : expected) {
            const int length = static_cast<int>(context.size());
            hd::FollowerList found;
            CHECK(cache.find(context.data() + length, length, length, found) == hd::Lookup::present);
            CHECK(found.total == followers.size());
            CHECK(found.size == static_cast<int>(std::min<size_t>(followers.size(), 8)));
            for (int i = 0; i < found.size; i++) CHECK(followers.count(found.data[i].token) == 1);
        }
    }
}

hd::NgramRecord sample_record(std::mt19937& random) {
    hd::AnswerCounter counter(kVocab);
    std::vector<int32_t> tokens = {4, 7, 9, 1, 2, 3, 1, 2};
    for (int i = 0; i < 60; i++) {
        const auto more = random_tokens(random, 3, 5);
        tokens.insert(tokens.end(), more.begin(), more.end());
        tokens.insert(tokens.end(), {1, 2});
    }
    const int32_t pair[] = {1, 2};
    for (const auto& record : counter.records(tokens.data(), static_cast<int64_t>(tokens.size()), 0)) {
        if (record.key == hd::ngram_key(pair + 2, 2)) return record.lists;
    }
    return {};
}

void check_damaged_rows() {
    std::mt19937 random(2);
    const int32_t pair[] = {1, 2};
    const int64_t key = hd::ngram_key(pair + 2, 2);
    const hd::NgramRecord record = sample_record(random);
    CHECK(record.size() > 50);
    const auto blob = hd::encode_record(record);
    hd::NgramRecord out;
    for (size_t size = 0; size <= blob.size(); size++) {
        const std::string wrong = hd::decode_record(key, blob.data(), size, kVocab, out);
        CHECK(wrong.empty() == !out.empty());
        CHECK(out.size() <= record.size());
    }
    std::uniform_int_distribution<size_t> at(0, blob.size() - 1);
    std::uniform_int_distribution<int> byte(0, 255);
    for (int round = 0; round < 20000; round++) {
        auto broken = blob;
        for (int i = 0; i <= round % 3; i++) broken[at(random)] = static_cast<uint8_t>(byte(random));
        hd::decode_record(key, broken.data(), broken.size(), kVocab, out);
        for (const hd::NgramList& list : out) {
            CHECK(list.level >= 0 && list.level < hd::kLevels && list.size >= 1 && list.size <= hd::kMaxFollowers);
            for (int i = 0; i < list.size; i++) {
                const hd::Follower& follower = list.followers[static_cast<size_t>(i)];
                CHECK(follower.token >= 0 && follower.token < kVocab && follower.count > 0);
            }
        }
        hd::TierCache cache(kVocab, 1 << 16);
        cache.put(key, broken.data(), broken.size());
    }
    CHECK(!hd::decode_record(kVocab, blob.data(), blob.size(), kVocab, out).empty());
    CHECK(!hd::decode_record(-1, blob.data(), blob.size(), kVocab, out).empty());
    CHECK(
        !hd::decode_record(7, blob.data(), blob.size(), kVocab, out).empty());  // longer keys in a record of one token
    CHECK(!hd::decode_record(key, blob.data(), blob.size(), 9, out).empty());
}

void check_merge() {
    hd::NgramList a;
    a.total = 10;
    a.size = 2;
    a.followers[0] = {3, 6};
    a.followers[1] = {4, 2};
    hd::NgramList b = a;
    b.total = UINT32_MAX;
    b.followers[0] = {5, 6};
    b.followers[1] = {4, 5};
    const auto merged = hd::merge_records({a}, {b});
    CHECK(merged.size() == 1 && merged[0].total == UINT32_MAX && merged[0].size == 3);
    CHECK(merged[0].followers[0].token == 4 && merged[0].followers[0].count == 7);
    CHECK(merged[0].followers[1].token == 5);  // newer first among equals
    CHECK(hd::merge_records({}, {b}).size() == 1 && hd::merge_records({a}, {}).size() == 1);
}

void check_bounds() {
    // 20,000 keys of three tokens in one record: cut to the bound, the most frequent stay, what is written can be read.
    hd::NgramRecord record(1);
    record[0].total = 1 << 30;
    record[0].size = 1;
    record[0].followers[0] = {1, 1 << 30};
    for (int32_t i = 0; i < 20000; i++) {
        hd::NgramList list;
        list.level = 1;
        list.extra[0] = i;
        list.size = hd::kMaxFollowers;
        for (int j = 0; j < list.size; j++) {
            list.followers[static_cast<size_t>(j)] = {100000 + j, static_cast<uint32_t>(1 << 20 | i)};
        }
        list.total = static_cast<uint32_t>(8 * (1 << 20 | i));
        record.push_back(list);
    }
    hd::trim_record(record);
    const auto blob = hd::encode_record(record);
    CHECK(blob.size() <= hd::kMaxRecordBytes && record.size() <= hd::kMaxLists && record.size() > 1000);
    CHECK(record.back().extra[0] == 19999 && record[0].level == 0);
    hd::NgramRecord again;
    CHECK(hd::decode_record(int64_t{1} << 32 | 1, blob.data(), blob.size(), 200000, again).empty());
    CHECK(again.size() == record.size());
}

void check_budget() {
    hd::TierCache cache(kVocab, 100000);
    std::mt19937 random(3);
    const auto blob = hd::encode_record({sample_record(random).front()});
    for (int round = 0; round < 3; round++) {
        for (int32_t a = 0; a < kVocab; a++) {
            for (int32_t b = 0; b < kVocab; b++) {
                const int32_t pair[] = {a, b};
                const bool there = (a + b) % 2 == 0;
                CHECK(cache.put(hd::ngram_key(pair + 2, 2), blob.data(), there ? blob.size() : 0).empty());
                hd::FollowerList list;
                CHECK(cache.find(pair + 2, 2, 2, list) == (there ? hd::Lookup::present : hd::Lookup::absent));
                CHECK(cache.memory_bytes() <= 100000);
            }
        }
    }
    CHECK(cache.records() > 200 && cache.records() < 2500);
    const int32_t outside[] = {-1, kVocab, 1};
    hd::FollowerList list;
    CHECK(cache.find(outside + 3, 3, 3, list) == hd::Lookup::absent);
    CHECK(cache.find(outside + 3, 3, 6, list) == hd::Lookup::absent);
    CHECK(!cache.put(kVocab, nullptr, 0).empty());
    cache.clear();
    const int32_t never[] = {1, 2};
    CHECK(cache.find(never + 2, 2, 2, list) == hd::Lookup::unknown);
    cache.set_complete();
    CHECK(cache.find(never + 2, 2, 2, list) == hd::Lookup::absent && cache.known(hd::ngram_key(never + 2, 2)));
    for (int32_t token = 0; token < kVocab; token++) {  // more than the budget holds
        for (int32_t other = 0; other < kVocab; other++) {
            const int32_t pair[] = {token, other};
            cache.put(hd::ngram_key(pair + 2, 2), blob.data(), blob.size());
        }
    }
    CHECK(!cache.complete() && cache.find(never + 2, 2, 2, list) == hd::Lookup::unknown);
    cache.clear();
    CHECK(cache.memory_bytes() == 0 && cache.records() == 0);
}

}  // namespace

int main() {
    check_answers();
    check_damaged_rows();
    check_merge();
    check_bounds();
    check_budget();
    return failures() != 0;
}
