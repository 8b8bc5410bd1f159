#include "record_builder.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace hd {

Window window_before(const int32_t* end, int64_t available, int32_t follower) {
    Window window;
    window[0] = end[-2];
    window[1] = end[-1];
    for (int i = 0; i < kMaxExtra; i++) window[static_cast<size_t>(i) + 2] = i + 3 <= available ? end[-3 - i] : -1;
    window[kWindowContext] = follower;
    return window;
}

RecordBuilder::RecordBuilder(int32_t n_vocab, RecordRules rules, Emit emit) : rules_(rules), emit_(std::move(emit)) {
    for (int level = 0; level < rules_.levels; level++) {
        tallies_[static_cast<size_t>(level)].count.resize(static_cast<size_t>(n_vocab));
    }
    single_.count.resize(static_cast<size_t>(n_vocab));
}

void RecordBuilder::count_follower(Tally& tally, int32_t token, uint32_t count) const {
    uint32_t& counted = tally.count[static_cast<size_t>(token)];
    if (counted == 0) tally.touched.push_back(token);
    const uint32_t highest = rules_.once ? 1 : std::numeric_limits<uint32_t>::max();
    counted = counted > highest - std::min(count, highest) ? highest : counted + count;
}

void RecordBuilder::close(Tally& tally, NgramList& list) {
    candidates_.clear();
    uint64_t total = 0;
    for (const int32_t token : tally.touched) {
        uint32_t& counted = tally.count[static_cast<size_t>(token)];
        candidates_.push_back({token, counted});
        total += counted;
        counted = 0;
    }
    tally.touched.clear();
    list.total = static_cast<uint32_t>(std::min<uint64_t>(total, std::numeric_limits<uint32_t>::max()));
    list.size = 0;
    if (list.level == 0 || list.total >= rules_.min_count) set_followers(list, candidates_);
}

void RecordBuilder::close_levels(int from) {
    for (; levels_ > from; levels_--) {
        const auto level = static_cast<size_t>(levels_ - 1);
        close(tallies_[level], record_[list_of_[level]]);
    }
}

void RecordBuilder::close_row() {
    close_levels(0);
    // A longer key is never more frequent than the shorter one above it, so no list loses the one that it hangs from.
    record_.erase(std::remove_if(record_.begin(), record_.end(), [](const NgramList& list) { return list.size == 0; }),
                  record_.end());
    if (!record_.empty()) {
        trim_record(record_);
        emit_((static_cast<int64_t>(last_[0]) + 1) << 32 | last_[1], record_);
    }
    record_.clear();
}

void RecordBuilder::add(const Window& window, uint32_t count, bool single) {
    size_t shared = 0;
    if (open_) {
        while (shared < kWindowContext && window[shared] == last_[shared]) shared++;
        if (shared < 2) {
            close_row();
            if (shared == 0) {
                NgramList list;
                close(single_, list);
                if (list.size > 0) singles_.emplace_back(last_[0], list);
            }
        } else {
            int keep = 0;
            while (keep < levels_ && static_cast<size_t>(kContextLengths[static_cast<size_t>(keep)]) <= shared) keep++;
            close_levels(keep);
        }
    }
    open_ = true;
    last_ = window;
    while (levels_ < rules_.levels) {
        const int length = kContextLengths[static_cast<size_t>(levels_)];
        if (window[static_cast<size_t>(length) - 1] < 0) break;
        list_of_[static_cast<size_t>(levels_)] = record_.size();
        NgramList list;
        list.level = levels_++;
        std::copy_n(window.begin() + 2, length - 2, list.extra.begin());
        record_.push_back(list);
    }
    const int32_t follower = window[kWindowContext];
    for (int level = 0; level < levels_ && follower >= 0; level++) {
        count_follower(tallies_[static_cast<size_t>(level)], follower, count);
    }
    if (single) count_follower(single_, window[1], count);
}

void RecordBuilder::finish() {
    if (open_) {
        close_row();
        NgramList list;
        close(single_, list);
        if (list.size > 0) singles_.emplace_back(last_[0], list);
    }
    open_ = false;
    for (const auto& [key, list] : singles_) emit_(key, NgramRecord{list});
    singles_.clear();
}

}  // namespace hd
