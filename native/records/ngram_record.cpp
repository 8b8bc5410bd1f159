// Bytes of a record: a format byte, then the lists in pre-order. A list is one byte (level in bits 0-2, followers less
// one in bits 3-5), the tokens that it adds in front of the list above it, the part of its total that is not among the
// kept followers, and per follower token and count. Numbers are LEB128, so a list takes about nine bytes.
#include "ngram_record.hpp"

#include <algorithm>
#include <limits>

namespace hd {

namespace {

constexpr uint8_t kFormat = 1;
constexpr uint32_t kMaxCount = std::numeric_limits<uint32_t>::max();

uint32_t add_saturated(uint32_t a, uint32_t b) { return a > kMaxCount - b ? kMaxCount : a + b; }

struct Reader {
    const uint8_t* at;
    const uint8_t* end;

    bool number(uint32_t& out) {
        uint64_t value = 0;
        for (int shift = 0; shift < 35; shift += 7) {
            if (at == end) return false;
            const uint8_t byte = *at++;
            value |= static_cast<uint64_t>(byte & 0x7f) << shift;
            if (byte < 0x80) {
                out = static_cast<uint32_t>(value);
                return value <= kMaxCount;
            }
        }
        return false;
    }
    bool token(int32_t n_vocab, int32_t& out) {
        uint32_t value = 0;
        if (!number(value) || value >= static_cast<uint32_t>(n_vocab)) return false;
        out = static_cast<int32_t>(value);
        return true;
    }
};

int extra_tokens(int level) { return kContextLengths[static_cast<size_t>(level)] - 2; }

// Reads one list below `above` (the last list read); "" or what is wrong.
std::string read_list(Reader& in, bool pair, int32_t n_vocab, const NgramList* above, NgramList& list) {
    const uint8_t head = *in.at++;
    list.level = head & 7;
    list.size = (head >> 3 & 7) + 1;
    if (head >> 6 != 0) return "unknown flags";
    if (above == nullptr ? list.level != 0 : list.level < 1 || list.level > above->level + 1)
        return "level out of order";
    if (list.level >= (pair ? kLevels : 1)) return "level out of range";
    if (above != nullptr) list.extra = above->extra;
    const int known = list.level == 0 ? 0 : extra_tokens(list.level - 1);
    for (int i = known; i < list.extra_tokens(); i++) {
        if (!in.token(n_vocab, list.extra[static_cast<size_t>(i)])) return "key token out of range";
    }
    uint32_t rest = 0;
    if (!in.number(rest)) return "total out of range";
    uint64_t total = rest;
    uint32_t highest = kMaxCount;
    for (int i = 0; i < list.size; i++) {
        Follower& follower = list.followers[static_cast<size_t>(i)];
        if (!in.token(n_vocab, follower.token)) return "follower token out of range";
        if (!in.number(follower.count) || follower.count == 0) return "count out of range";
        if (follower.count > highest) return "followers out of order";
        highest = follower.count;
        total += follower.count;
        for (int j = 0; j < i; j++) {
            if (list.followers[static_cast<size_t>(j)].token == follower.token) return "follower given twice";
        }
    }
    list.total = static_cast<uint32_t>(std::min<uint64_t>(total, kMaxCount));
    return "";
}

// Order of the lists of a record: by extra tokens, shorter keys before the longer ones that begin alike.
bool comes_before(const NgramList& a, const NgramList& b) {
    const int shared = std::min(a.extra_tokens(), b.extra_tokens());
    for (int i = 0; i < shared; i++) {
        const auto at = static_cast<size_t>(i);
        if (a.extra[at] != b.extra[at]) return a.extra[at] < b.extra[at];
    }
    return a.level < b.level;
}

NgramList merge_lists(const NgramList& older, const NgramList& newer) {
    std::vector<Follower> all(newer.followers.begin(), newer.followers.begin() + newer.size);
    for (int i = 0; i < older.size; i++) {
        const Follower& follower = older.followers[static_cast<size_t>(i)];
        const auto same =
            std::find_if(all.begin(), all.end(), [&](const Follower& f) { return f.token == follower.token; });
        if (same == all.end()) {
            all.push_back(follower);
        } else {
            same->count = add_saturated(same->count, follower.count);
        }
    }
    NgramList merged = newer;
    merged.total = add_saturated(older.total, newer.total);
    set_followers(merged, all);
    return merged;
}

}  // namespace

void put_number(std::vector<uint8_t>& out, uint32_t value) {
    while (value >= 0x80) {
        out.push_back(static_cast<uint8_t>(value | 0x80));
        value >>= 7;
    }
    out.push_back(static_cast<uint8_t>(value));
}

std::string check_key(int64_t key, int32_t n_vocab) {
    const int64_t last = key & 0xffffffff;
    const int64_t first = key >> 32;  // one more than the token; 0 for a record of one token
    if (key < 0 || last >= n_vocab || first > n_vocab) return "key token out of range";
    return "";
}

std::string decode_record(int64_t key, const uint8_t* data, size_t size, int32_t n_vocab, NgramRecord& out) {
    out.clear();
    std::string wrong = check_key(key, n_vocab);
    if (wrong.empty() && size > kMaxRecordBytes) wrong = "record too long";
    if (wrong.empty() && (size < 2 || data[0] != kFormat)) wrong = "unknown record format";
    Reader in{data + 1, data + size};
    while (wrong.empty() && in.at != in.end) {
        if (out.size() == kMaxLists) {
            wrong = "too many keys in a record";
            break;
        }
        NgramList list;
        wrong = read_list(in, is_pair_key(key), n_vocab, out.empty() ? nullptr : &out.back(), list);
        if (wrong.empty() && !out.empty() && !comes_before(out.back(), list)) wrong = "keys out of order";
        if (wrong.empty()) out.push_back(list);
    }
    if (!wrong.empty()) out.clear();
    return wrong;
}

NgramRecord make_record(std::vector<NgramList> lists) {
    const auto same_key = [](const NgramList& a, const NgramList& b) {
        return !comes_before(a, b) && !comes_before(b, a);
    };
    const auto by_level = [](const NgramList& a, const NgramList& b) { return a.level < b.level; };
    std::stable_sort(lists.begin(), lists.end(), by_level);
    // Given lists come first at each level, so one made up for a missing key never displaces a given one.
    for (size_t i = 0; i < lists.size(); i++) {
        for (int level = lists[i].level - 1; level >= 0; level--) {
            NgramList above = lists[i];
            above.level = level;
            lists.push_back(above);
        }
    }
    std::stable_sort(lists.begin(), lists.end(), comes_before);
    lists.erase(std::unique(lists.begin(), lists.end(), same_key), lists.end());
    trim_record(lists);
    return lists;
}

std::vector<uint8_t> encode_record(const NgramRecord& record) {
    std::vector<uint8_t> out;
    if (record.empty()) return out;
    out.reserve(16 * record.size());
    out.push_back(kFormat);
    for (const NgramList& list : record) {
        out.push_back(static_cast<uint8_t>(list.level | (list.size - 1) << 3));
        for (int i = list.level == 0 ? 0 : extra_tokens(list.level - 1); i < list.extra_tokens(); i++) {
            put_number(out, static_cast<uint32_t>(list.extra[static_cast<size_t>(i)]));
        }
        uint64_t kept = 0;
        for (int i = 0; i < list.size; i++) kept += list.followers[static_cast<size_t>(i)].count;
        put_number(out, kept < list.total ? static_cast<uint32_t>(list.total - kept) : 0);
        for (int i = 0; i < list.size; i++) {
            put_number(out, static_cast<uint32_t>(list.followers[static_cast<size_t>(i)].token));
            put_number(out, list.followers[static_cast<size_t>(i)].count);
        }
    }
    return out;
}

NgramRecord merge_records(const NgramRecord& older, const NgramRecord& newer) {
    NgramRecord merged;
    merged.reserve(older.size() + newer.size());
    auto a = older.begin();
    auto b = newer.begin();
    while (a != older.end() || b != newer.end()) {
        if (b == newer.end() || (a != older.end() && comes_before(*a, *b))) {
            merged.push_back(*a++);
        } else if (a == older.end() || comes_before(*b, *a)) {
            merged.push_back(*b++);
        } else {
            merged.push_back(merge_lists(*a++, *b++));
        }
    }
    trim_record(merged);
    return merged;
}

void trim_record(NgramRecord& record) {
    // 96 bytes bound any list: a head byte, 2 tokens more than the list above, a total, 8 followers with counts.
    constexpr size_t kAlwaysFits = kMaxRecordBytes / 96;
    static_assert(kAlwaysFits < kMaxLists);
    if (record.size() <= kAlwaysFits) return;
    size_t keep = kMaxLists;
    for (;;) {
        if (record.size() > keep) {
            // Longer keys are never more frequent than the shorter ones above them, and lose ties: no list is orphaned.
            std::vector<size_t> order(record.size());
            for (size_t i = 0; i < order.size(); i++) order[i] = i;
            std::vector<uint32_t> reach(record.size());  // a total no higher than that of any list above
            std::array<uint32_t, kLevels> above{};
            for (size_t i = 0; i < record.size(); i++) {
                const auto level = static_cast<size_t>(record[i].level);
                above[level] = level == 0 ? kMaxCount : std::min(record[i].total, above[level - 1]);
                reach[i] = above[level];
            }
            std::stable_sort(order.begin(), order.end(), [&](size_t x, size_t y) {
                return reach[x] != reach[y] ? reach[x] > reach[y] : record[x].level < record[y].level;
            });
            order.resize(keep);
            std::sort(order.begin(), order.end());
            NgramRecord kept;
            kept.reserve(keep);
            for (const size_t i : order) kept.push_back(record[i]);
            record = std::move(kept);
        }
        if (encode_record(record).size() <= kMaxRecordBytes) return;
        keep = record.size() * 3 / 4;
    }
}

void set_followers(NgramList& list, std::vector<Follower>& candidates) {
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Follower& a, const Follower& b) { return a.count > b.count; });
    list.size = static_cast<int>(std::min<size_t>(candidates.size(), kMaxFollowers));
    std::copy_n(candidates.begin(), list.size, list.followers.begin());
}

}  // namespace hd
