#include "ngram_index.hpp"

#include <algorithm>

namespace hd {

namespace {
constexpr size_t kFirstTable = 1 << 12;
constexpr size_t kFirstRoom = 64;  // tokens or blocks
}  // namespace

NgramIndex::NgramIndex(int32_t n_vocab, int max_tokens)
    : max_tokens_(static_cast<size_t>(std::max(max_tokens, 16))),
      table_(kFirstTable),
      seen_(static_cast<size_t>(n_vocab)) {}

void NgramIndex::begin(const int32_t* tokens, int n) {
    const auto length = static_cast<size_t>(n);
    const size_t shared = std::min(length, tokens_.size());
    const auto common = static_cast<size_t>(std::mismatch(tokens, tokens + shared, tokens_.begin()).first - tokens);
    const bool cut = common < tokens_.size() || !prediction_.empty();
    if (cut) {
        tokens_.assign(tokens, tokens + common);
        prediction_.clear();
        rebuild();
    }
    grow_table(used_ + (length - common) * kKeyLengthCount);
    for (size_t i = common; i < length; i++) append(tokens[i]);
}

void NgramIndex::set_prediction(const int32_t* tokens, int n) {
    prediction_.assign(tokens, tokens + std::min(static_cast<size_t>(n), max_tokens_));
    rebuild();
}

void NgramIndex::append(int32_t token) {
    if (tokens_.size() - indexed_from_ >= max_tokens_) {
        indexed_from_ = tokens_.size() - max_tokens_ / 2;
        rebuild();
    }
    if (tokens_.size() == tokens_.capacity()) tokens_.reserve(2 * tokens_.size() + kFirstRoom);
    const auto available = static_cast<int>(tokens_.size() - indexed_from_);
    learn(tokens_.data() + tokens_.size(), available, token);
    tokens_.push_back(token);
}

// Where memory runs out, the index is empty afterwards.
void NgramIndex::rebuild() {
    try {
        relearn();
    } catch (...) {
        tokens_.clear();
        prediction_.clear();
        indexed_from_ = 0;
        forget();
        throw;
    }
}

void NgramIndex::relearn() {
    forget();
    if (indexed_from_ > tokens_.size()) indexed_from_ = 0;
    indexed_from_ = std::max(indexed_from_, tokens_.size() - std::min(tokens_.size(), max_tokens_));
    grow_table((prediction_.size() + tokens_.size() - indexed_from_) * kKeyLengthCount);
    for (size_t i = 0; i < prediction_.size(); i++) {
        learn(prediction_.data() + i, static_cast<int>(i), prediction_[i]);
    }
    for (size_t i = indexed_from_; i < tokens_.size(); i++) {
        learn(tokens_.data() + i, static_cast<int>(i - indexed_from_), tokens_[i]);
    }
}

void NgramIndex::forget() {
    std::fill(table_.begin(), table_.end(), Entry{});
    std::fill(seen_.begin(), seen_.end(), Seen{});
    several_.clear();
    used_ = 0;
    position_ = 0;
}

// The `available` tokens before `end` are followed by `token`. All of it is learned, or nothing where memory runs out.
void NgramIndex::learn(const int32_t* end, int available, int32_t token) {
    const KeyHashes key(end, available);
    grow_table(used_ + kKeyLengthCount);
    if (several_.capacity() - several_.size() < kKeyLengthCount) several_.reserve(2 * several_.size() + kFirstRoom);
    const size_t mask = table_.size() - 1;
    for (int i = 0; i < key.known; i++) {
        size_t at = (key.of[i] >> 7) & mask;
        while (table_[at].key != 0 && table_[at].key != key.of[i]) at = (at + 1) & mask;
        used_ += table_[at].key == 0 ? 1 : 0;
        table_[at].key = key.of[i];
        count_follower(table_[at], token);
    }
    Seen& seen = seen_[static_cast<size_t>(token)];
    seen.count++;
    seen.last = position_++;
}

void NgramIndex::count_follower(Entry& entry, int32_t token) {
    entry.total++;
    const ContextFollower fresh{token, 1, position_};
    if (entry.size == 0) {
        entry.single = fresh;
        entry.size = 1;
        return;
    }
    ContextFollower* list = entry.size == 1 ? &entry.single : several_[entry.block].of;
    ContextFollower* const list_end = list + entry.size;
    ContextFollower* const same = std::find_if(list, list_end, [=](const auto& f) { return f.token == token; });
    if (same != list_end) {
        same->count++;
        same->last = position_;
        return;
    }
    if (entry.size == 1) {
        entry.block = static_cast<uint32_t>(several_.size());
        several_.push_back(Block{{entry.single}});
    }
    Block& block = several_[entry.block];
    if (entry.size < kContextFollowers) {
        block.of[entry.size++] = fresh;
        return;
    }
    *std::min_element(block.of, block.of + kContextFollowers, [](const auto& a, const auto& b) {
        return a.count != b.count ? a.count < b.count : a.last < b.last;
    }) = fresh;
}

// Makes room for `entries` keys at a load of at most one half.
void NgramIndex::grow_table(size_t entries) {
    size_t size = table_.size();
    while (entries * 2 > size) size *= 2;
    if (size == table_.size()) return;
    std::vector<Entry> old(size);
    old.swap(table_);
    for (const Entry& entry : old) {
        if (entry.key == 0) continue;
        size_t at = (entry.key >> 7) & (size - 1);
        while (table_[at].key != 0) at = (at + 1) & (size - 1);
        table_[at] = entry;
    }
}

const NgramIndex::Entry* NgramIndex::lookup(uint64_t key) const {
    const size_t mask = table_.size() - 1;
    for (size_t at = (key >> 7) & mask; table_[at].key != 0; at = (at + 1) & mask) {
        if (table_[at].key == key) return &table_[at];
    }
    return nullptr;
}

ContextFollowers NgramIndex::find(const KeyHashes& key, int length_index) const {
    if (length_index >= key.known) return {};
    const Entry* entry = lookup(key.of[length_index]);
    if (entry == nullptr) return {};
    return {entry->size == 1 ? &entry->single : several_[entry->block].of, entry->size, entry->total};
}

size_t NgramIndex::memory_bytes() const {
    return table_.capacity() * sizeof(Entry) + several_.capacity() * sizeof(Block) + seen_.capacity() * sizeof(Seen) +
           (tokens_.capacity() + prediction_.capacity()) * sizeof(int32_t);
}

std::string NgramIndex::check_integrity() const {
    NgramIndex fresh(static_cast<int32_t>(seen_.size()), static_cast<int>(max_tokens_));
    fresh.tokens_ = tokens_;
    fresh.prediction_ = prediction_;
    fresh.indexed_from_ = indexed_from_;
    fresh.rebuild();
    if (fresh.used_ != used_) {
        return "the context index holds " + std::to_string(used_) + " keys, its tokens " + std::to_string(fresh.used_);
    }
    for (const Entry& want : fresh.table_) {
        if (want.key == 0) continue;
        const Entry* have = lookup(want.key);
        if (have == nullptr) return "the context index lost a key";
        if (have->total != want.total || have->size != want.size) return "the context index counted a key wrongly";
        const ContextFollower* a = have->size == 1 ? &have->single : several_[have->block].of;
        const ContextFollower* b = want.size == 1 ? &want.single : fresh.several_[want.block].of;
        for (int i = 0; i < want.size; i++) {
            if (a[i].token != b[i].token || a[i].count != b[i].count || a[i].last != b[i].last) {
                return "the context index holds a wrong follower";
            }
        }
    }
    for (size_t i = 0; i < seen_.size(); i++) {
        if (seen_[i].count != fresh.seen_[i].count) return "the context index counted a token wrongly";
    }
    return "";
}

}  // namespace hd
