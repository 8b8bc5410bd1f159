// External sort and merge of a corpus against counting in memory; damaged runs.
#include <cstdlib>
#include <random>
#include <stdexcept>

#include "check.hpp"
#include "corpus/corpus_runs.hpp"
#include "records/tier_cache.hpp"
#include "slow_counts.hpp"

namespace {

constexpr int32_t kVocab = 40;

std::string scratch(const std::string& name) {
    const char* folder = std::getenv("TMPDIR");
    return std::string(folder == nullptr ? "/tmp" : folder) + "/hd_edge_test_corpus_" + name;
}

void read_all(const std::string& path, int32_t vocab) {
    hd::RunReader reader(path, vocab, 1);
    hd::CountedWindow item;
    while (reader.next(item)) continue;
}

void check_corpus(uint32_t seed, int n_runs, int32_t vocab) {
    std::mt19937 random(seed);
    std::uniform_int_distribution<int32_t> token(0, vocab - 1);
    std::uniform_int_distribution<int> length(0, 60);
    Counts expected;
    std::vector<std::string> runs;
    for (int run = 0; run < n_runs; run++) {
        hd::CorpusBuffer buffer(kVocab);
        for (int i = 0; i < 20; i++) {
            Text text(static_cast<size_t>(length(random)));
            for (int32_t& t : text) t = token(random);
            buffer.add(text.data(), text.size());
            count_slowly(text, {1, 2, 3, 4, 6, 8}, 1, expected);
        }
        runs.push_back(scratch(std::to_string(run)));
        buffer.spill(runs.back());
        CHECK(buffer.tokens() == 0);
    }
    if (n_runs > 2) {  // merging in two rounds must not change anything
        const std::vector<std::string> first = {runs[0], runs[1]};
        hd::RunMerger(first, kVocab, 1).write(scratch("merged"));
        runs.erase(runs.begin(), runs.begin() + 2);
        runs.push_back(scratch("merged"));
    }
    hd::CorpusRecords records(runs, kVocab, 2, 1);
    hd::TierCache cache(kVocab, 64 << 20);
    int64_t last = -1;
    size_t lists = 0;
    for (auto some = records.next(7); !some.empty(); some = records.next(7)) {
        for (const auto& record : some) {
            CHECK(record.key > last || !hd::is_pair_key(record.key));
            last = record.key;
            lists += record.lists.size();
            const auto blob = hd::encode_record(record.lists);
            CHECK(!cache.known(record.key));
            CHECK(cache.put(record.key, blob.data(), blob.size()).empty());
        }
    }
    size_t kept = 0;
    for (const auto& [context, followers] : expected) {
        const uint32_t total = total_of(followers);
        const int size = static_cast<int>(context.size());
        hd::FollowerList found;
        const auto result = cache.find(context.data() + size, size, size, found);
        const bool keep = size <= 2 || total >= 2;
        CHECK((result == hd::Lookup::present) == keep);
        if (!keep || result != hd::Lookup::present) continue;
        kept++;
        CHECK(found.total == total);
        for (int i = 0; i < found.size; i++) CHECK(followers.at(found.data[i].token) == found.data[i].count);
    }
    CHECK(kept == lists);
    for (int run = 0; run < n_runs; run++) std::remove(scratch(std::to_string(run)).c_str());
    std::remove(scratch("merged").c_str());
}

void check_failures() {
    hd::CorpusBuffer buffer(kVocab);
    const int32_t outside[] = {1, kVocab};
    CHECK(throws<std::exception>([&] { buffer.add(outside, 2); }));
    CHECK(buffer.tokens() == 0);
    CHECK(throws<std::exception>([&] { buffer.spill("/dev/null/run"); }));
    CHECK(throws<std::exception>([] { hd::RunReader("/dev/null/run", kVocab, 1); }));
    const int32_t text[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    buffer.add(text, 10);
    const std::string path = scratch("damaged");
    buffer.spill(path);
    CHECK(throws<std::exception>([&] { read_all(path, 5); }));  // ids of another vocabulary
    std::FILE* file = std::fopen(path.c_str(), "ab");
    std::fputc(1, file);
    std::fclose(file);
    CHECK(throws<std::exception>([&] { read_all(path, kVocab); }));
    std::remove(path.c_str());
}

}  // namespace

int main() {
    check_corpus(1, 1, kVocab);
    check_corpus(2, 1, 2);
    check_corpus(3, 5, 4);
    check_corpus(4, 3, kVocab);
    hd::CorpusRecords none({}, kVocab, 2, 1);
    CHECK(none.next(10).empty());
    check_failures();
    return failures() != 0;
}
