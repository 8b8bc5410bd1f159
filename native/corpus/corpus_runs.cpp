// A run holds windows in ascending order. Each is written as the number of leading tokens it shares with the one before
// (a byte), its other tokens and its follower as LEB128 of id + 1 (0: none), and its count: about 15 bytes.
#include "corpus_runs.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>

#ifdef _WIN32
#include <io.h>
#else
#include <unistd.h>
#endif

namespace hd {

namespace {

constexpr size_t kWriteBuffer = 1 << 20;
constexpr size_t kLeastReadBuffer = 1 << 12, kMostReadBuffer = 1 << 26;  // more reads no faster

[[noreturn]] void fail(const std::string& path, const char* what) {
    throw std::runtime_error(path + ": " + what + (errno != 0 ? std::string(": ") + std::strerror(errno) : ""));
}

bool sync(std::FILE* file) {
#ifdef _WIN32
    return _commit(_fileno(file)) == 0;
#else
    return fsync(fileno(file)) == 0;
#endif
}

// A position of the buffer, named by the pair before it; where pairs tie, the tokens before them decide.
struct Position {
    uint64_t pair;
    uint32_t at;
};
static_assert(sizeof(Position) + sizeof(int32_t) == CorpusBuffer::kBytesPerToken);

}  // namespace

void CorpusBuffer::add(const int32_t* tokens, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (tokens[i] < 0 || tokens[i] >= n_vocab_) throw std::invalid_argument("token outside the vocabulary");
    }
    if (size < 2) return;
    if (tokens_.size() + size + 1 > std::numeric_limits<uint32_t>::max()) throw std::length_error("too many tokens");
    tokens_.insert(tokens_.end(), tokens, tokens + size);
    tokens_.push_back(-1);
}

void CorpusBuffer::spill(const std::string& path) {
    const int32_t* tokens = tokens_.data();
    // How many tokens of the same text stand before a position: at most what a window can hold is looked at.
    const auto available = [&](uint32_t at) {
        int64_t n = 0;
        while (n < static_cast<int64_t>(kWindowContext) && n < at && tokens[at - 1 - n] >= 0) n++;
        return n;
    };
    std::vector<Position> order;
    order.reserve(tokens_.size());
    for (uint32_t at = 2; at < tokens_.size(); at++) {
        if (tokens[at - 1] < 0 || tokens[at - 2] < 0) continue;
        order.push_back(
            {static_cast<uint64_t>(static_cast<uint32_t>(tokens[at - 2])) << 32 | static_cast<uint32_t>(tokens[at - 1]),
             at});
    }
    std::sort(order.begin(), order.end(), [&](const Position& a, const Position& b) {
        if (a.pair != b.pair) return a.pair < b.pair;
        for (uint32_t back = 3; back <= kWindowContext; back++) {
            const int32_t x = back <= a.at ? tokens[a.at - back] : -1;
            const int32_t y = back <= b.at ? tokens[b.at - back] : -1;
            if (x != y) return x < y;
            if (x < 0) break;
        }
        return tokens[a.at] < tokens[b.at];
    });
    RunWriter run(path);
    CountedWindow open;
    for (const Position& position : order) {
        const Window window = window_before(tokens + position.at, available(position.at), tokens[position.at]);
        if (open.count != 0 && window == open.window) {
            open.count++;
            continue;
        }
        if (open.count != 0) run.add(open);
        open = {window, 1};
    }
    if (open.count != 0) run.add(open);
    run.close();
    tokens_.clear();
}

RunWriter::RunWriter(const std::string& path) : path_(path) {
    errno = 0;
    file_.reset(std::fopen(path.c_str(), "wb"));
    if (!file_) fail(path_, "cannot be written");
    bytes_.reserve(kWriteBuffer + 64);
    last_.fill(-2);  // shares nothing with a first window
}

void RunWriter::check(bool ok) {
    if (!ok) fail(path_, "cannot be written");
}

void RunWriter::add(const CountedWindow& item) {
    uint8_t shared = 0;
    while (shared < kWindowContext && item.window[shared] == last_[shared]) shared++;
    bytes_.push_back(shared);
    for (size_t i = shared; i < item.window.size(); i++) put_number(bytes_, static_cast<uint32_t>(item.window[i] + 1));
    put_number(bytes_, item.count);
    last_ = item.window;
    if (bytes_.size() >= kWriteBuffer) {
        errno = 0;
        check(std::fwrite(bytes_.data(), 1, bytes_.size(), file_.get()) == bytes_.size());
        bytes_.clear();
    }
}

void RunWriter::close() {
    errno = 0;
    check(std::fwrite(bytes_.data(), 1, bytes_.size(), file_.get()) == bytes_.size());
    check(std::fflush(file_.get()) == 0 && sync(file_.get()));
    check(std::fclose(file_.release()) == 0);
}

RunReader::RunReader(const std::string& path, int32_t n_vocab, size_t buffer_bytes)
    : path_(path), n_vocab_(n_vocab), buffer_(std::clamp(buffer_bytes, kLeastReadBuffer, kMostReadBuffer)) {
    errno = 0;
    file_.reset(std::fopen(path.c_str(), "rb"));
    if (!file_) fail(path_, "cannot be read");
    last_.fill(-2);
}

int RunReader::byte() {
    if (at_ == filled_) {
        errno = 0;
        filled_ = std::fread(buffer_.data(), 1, buffer_.size(), file_.get());
        at_ = 0;
        if (filled_ == 0) {
            if (std::ferror(file_.get()) != 0) fail(path_, "cannot be read");
            return -1;
        }
    }
    return buffer_[at_++];
}

uint32_t RunReader::number() {
    uint32_t value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
        const int next = byte();
        if (next < 0) break;
        value |= static_cast<uint32_t>(next & 0x7f) << shift;
        if (next < 0x80) return value;
    }
    errno = 0;
    fail(path_, "the run is damaged");
}

bool RunReader::next(CountedWindow& item) {
    const int shared = byte();
    if (shared < 0) return false;
    bool sound = shared <= static_cast<int>(kWindowContext);
    for (size_t i = static_cast<size_t>(shared); sound && i < last_.size(); i++) {
        const uint32_t id = number();
        sound = id <= static_cast<uint32_t>(n_vocab_);
        last_[i] = static_cast<int32_t>(id) - 1;
    }
    item.window = last_;
    item.count = sound ? number() : 0;
    if (!sound || item.count == 0 || last_[0] < 0 || last_[1] < 0) {
        errno = 0;
        fail(path_, "the run is damaged");
    }
    return true;
}

RunMerger::RunMerger(const std::vector<std::string>& paths, int32_t n_vocab, size_t buffer_bytes) {
    for (const std::string& path : paths) {
        readers_.push_back(
            std::make_unique<RunReader>(path, n_vocab, buffer_bytes / std::max<size_t>(paths.size(), 1)));
        Head head{{}, readers_.back().get()};
        if (head.from->next(head.item)) heap_.push_back(head);
    }
    std::make_heap(heap_.begin(), heap_.end());
}

bool RunMerger::next(CountedWindow& item) {
    if (heap_.empty()) return false;
    item = {heap_.front().item.window, 0};
    while (!heap_.empty() && heap_.front().item.window == item.window) {
        std::pop_heap(heap_.begin(), heap_.end());
        Head& head = heap_.back();
        const uint32_t room = std::numeric_limits<uint32_t>::max() - item.count;
        item.count += std::min(head.item.count, room);
        if (head.from->next(head.item)) {
            std::push_heap(heap_.begin(), heap_.end());
        } else {
            heap_.pop_back();
        }
    }
    return true;
}

void RunMerger::write(const std::string& path) {
    RunWriter run(path);
    CountedWindow item;
    while (next(item)) run.add(item);
    run.close();
}

CorpusRecords::CorpusRecords(const std::vector<std::string>& paths, int32_t n_vocab, uint32_t min_count,
                             size_t buffer_bytes)
    : merger_(paths, n_vocab, buffer_bytes),
      builder_(n_vocab, RecordRules{false, min_count, kLevels},
               [this](int64_t key, const NgramRecord& record) { records_.push_back({key, record}); }) {}

std::vector<KeyedRecord> CorpusRecords::next(size_t most) {
    CountedWindow item;
    while (!finished_ && records_.size() < most) {
        if (merger_.next(item)) {
            builder_.add(item.window, item.count);
            occurrences_ += item.count;
        } else {
            builder_.finish();
            finished_ = true;
        }
    }
    return std::exchange(records_, {});
}

}  // namespace hd
