// N-grams of a corpus of any size: sorted runs on disk, then one merge that yields records in key order.
#pragma once

#include <cstdint>
#include <cstdio>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "records/record_builder.hpp"

namespace hd {

// Collects texts in memory and writes their sorted windows as one run.
class CorpusBuffer {
  public:
    explicit CorpusBuffer(int32_t n_vocab) : n_vocab_(n_vocab) {}

    // One text; n-grams do not reach over its ends. Throws std::invalid_argument for a token outside the vocabulary.
    void add(const int32_t* tokens, size_t size);
    size_t tokens() const { return tokens_.size(); }
    // What spill() takes in memory for each token held.
    static constexpr size_t kBytesPerToken = sizeof(int32_t) + 16;
    // Writes the run, synced, and forgets the texts. Throws std::runtime_error that names the file and what failed.
    void spill(const std::string& path);

  private:
    int32_t n_vocab_;
    std::vector<int32_t> tokens_;  // texts, each followed by -1
};

struct CountedWindow {
    Window window{};
    uint32_t count = 0;
};

struct FileCloser {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

class RunWriter {
  public:
    explicit RunWriter(const std::string& path);
    void add(const CountedWindow& item);
    void close();  // flushes and syncs; without it the file is unfinished

  private:
    void check(bool ok);
    std::string path_;
    File file_;
    std::vector<uint8_t> bytes_;
    Window last_{};
};

class RunReader {
  public:
    RunReader(const std::string& path, int32_t n_vocab, size_t buffer_bytes);
    // False at the end. Throws std::runtime_error if the file is damaged.
    bool next(CountedWindow& item);

  private:
    int byte();
    uint32_t number();
    std::string path_;
    int32_t n_vocab_;
    File file_;
    std::vector<uint8_t> buffer_;
    size_t at_ = 0;
    size_t filled_ = 0;
    Window last_{};
};

// Merges runs; equal windows are added up.
class RunMerger {
  public:
    RunMerger(const std::vector<std::string>& paths, int32_t n_vocab, size_t buffer_bytes);
    bool next(CountedWindow& item);
    // Writes everything as one run; throws as RunWriter does.
    void write(const std::string& path);

  private:
    struct Head {
        CountedWindow item;
        RunReader* from;
        bool operator<(const Head& other) const { return other.item.window < item.window; }  // heaps give the largest
    };
    std::vector<std::unique_ptr<RunReader>> readers_;
    std::vector<Head> heap_;
};

// Records of a statistics tier, in key order but for the records of single tokens, which come last.
class CorpusRecords {
  public:
    CorpusRecords(const std::vector<std::string>& paths, int32_t n_vocab, uint32_t min_count, size_t buffer_bytes);
    CorpusRecords(const CorpusRecords&) = delete;  // builder_ points back here
    CorpusRecords& operator=(const CorpusRecords&) = delete;
    // At most `most` records and a few more; empty at the end.
    std::vector<KeyedRecord> next(size_t most);
    uint64_t occurrences() const { return occurrences_; }  // positions read so far

  private:
    RunMerger merger_;
    std::vector<KeyedRecord> records_;
    RecordBuilder builder_;
    uint64_t occurrences_ = 0;
    bool finished_ = false;
};

}  // namespace hd
