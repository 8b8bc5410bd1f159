#include "tier_cache.hpp"

namespace hd {

namespace {

// Cost of a record beside its arrays: the map node, the slot, the Record itself.
constexpr size_t kRowOverhead = 160;

uint64_t mix(uint64_t h, uint64_t value) {
    h = (h ^ value) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

}  // namespace

TierCache::TierCache(int32_t n_vocab, size_t budget_bytes) : n_vocab_(n_vocab), budget_(budget_bytes) {}

size_t TierCache::Record::bytes() const {
    return kRowOverhead + lists.size() * sizeof(List) + followers.size() * sizeof(Follower) +
           table.size() * sizeof(Hash);
}

Lookup TierCache::find(const int32_t* end, int available, int length, FollowerList& out) const {
    if (length > available) return Lookup::absent;
    for (int i = 1; i <= length; i++) {
        if (end[-i] < 0 || end[-i] >= n_vocab_) return Lookup::absent;
    }
    const auto slot = slot_of_.find(key(end, length));
    if (slot == slot_of_.end()) return complete_ ? Lookup::absent : Lookup::unknown;
    const Record& record = *slots_[slot->second];
    record.used = true;
    if (record.lists.empty()) return Lookup::absent;
    size_t index = 0;
    if (length > 2) {
        if (record.table.empty()) return Lookup::absent;
        uint64_t hash = static_cast<uint64_t>(length);
        for (int i = 3; i <= length; i++) hash = mix(hash, static_cast<uint64_t>(end[-i]));
        const size_t mask = record.table.size() - 1;
        const auto check = static_cast<uint32_t>(hash >> 32);
        for (size_t at = hash & mask;; at = (at + 1) & mask) {
            if (record.table[at].list == 0) return Lookup::absent;
            if (record.table[at].check == check) {
                index = record.table[at].list;
                break;
            }
        }
    }
    const List& list = record.lists[index];
    out = {record.followers.data() + list.first, list.size, list.total};
    return Lookup::present;
}

std::string TierCache::put(int64_t key, const uint8_t* blob, size_t size) {
    std::string wrong = check_key(key, n_vocab_);
    if (!wrong.empty()) return wrong;
    scratch_.clear();
    if (size != 0) wrong = decode_record(key, blob, size, n_vocab_, scratch_);

    auto record = std::make_unique<Record>();
    record->key = key;
    record->used = true;  // it is put because a look-up waits for it
    record->lists.reserve(scratch_.size());
    size_t followers = 0;
    for (const NgramList& list : scratch_) followers += static_cast<size_t>(list.size);
    record->followers.reserve(followers);
    if (scratch_.size() > 1) {
        size_t slots = 4;
        while (slots < scratch_.size() * 3 / 2) slots *= 2;
        record->table.resize(slots, Hash{0, 0});
    }
    for (const NgramList& list : scratch_) {
        if (list.level > 0) {
            uint64_t hash = static_cast<uint64_t>(kContextLengths[static_cast<size_t>(list.level)]);
            for (int i = 0; i < list.extra_tokens(); i++) {
                hash = mix(hash, static_cast<uint64_t>(list.extra[static_cast<size_t>(i)]));
            }
            const size_t mask = record->table.size() - 1;
            size_t at = hash & mask;
            while (record->table[at].list != 0) at = (at + 1) & mask;
            record->table[at] = {static_cast<uint32_t>(hash >> 32), static_cast<uint32_t>(record->lists.size())};
        }
        record->lists.push_back({list.total, static_cast<uint32_t>(record->followers.size()), list.size});
        record->followers.insert(record->followers.end(), list.followers.begin(), list.followers.begin() + list.size);
    }

    const auto known = slot_of_.find(key);
    if (known != slot_of_.end()) {
        std::unique_ptr<Record>& old = slots_[known->second];
        bytes_ = bytes_ - old->bytes() + record->bytes();
        old = std::move(record);
        make_room(0);
        return wrong;
    }
    make_room(record->bytes());
    bytes_ += record->bytes();
    if (free_.empty()) {
        free_.push_back(static_cast<uint32_t>(slots_.size()));
        slots_.emplace_back();
    }
    const uint32_t slot = free_.back();
    slot_of_.emplace(key, slot);
    free_.pop_back();
    slots_[slot] = std::move(record);
    return wrong;
}

void TierCache::make_room(size_t bytes) {
    // A clock: records asked for since the hand last passed stay for one more round.
    while (bytes_ + bytes > budget_ && !slot_of_.empty()) {
        if (hand_ >= slots_.size()) hand_ = 0;
        std::unique_ptr<Record>& record = slots_[hand_];
        if (record && record->used) {
            record->used = false;
        } else if (record) {
            complete_ = false;
            bytes_ -= record->bytes();
            slot_of_.erase(record->key);
            free_.push_back(static_cast<uint32_t>(hand_));
            record.reset();
        }
        hand_++;
    }
}

void TierCache::clear() {
    slot_of_.clear();
    slots_.clear();
    free_.clear();
    bytes_ = 0;
    complete_ = false;
    hand_ = 0;
}

}  // namespace hd
