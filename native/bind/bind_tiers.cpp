#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "records/answer_counter.hpp"
#include "records/ngram_record.hpp"
#include "records/tier_cache.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Pairs = std::vector<std::pair<int32_t, uint32_t>>;
using Ids = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

const uint8_t* data_of(const nb::bytes& blob) { return reinterpret_cast<const uint8_t*>(blob.c_str()); }

nb::bytes to_bytes(const hd::NgramRecord& record) {
    const std::vector<uint8_t> blob = hd::encode_record(record);
    return nb::bytes(blob.data(), blob.size());
}

hd::NgramRecord decoded(int64_t key, const nb::bytes& blob, int32_t n_vocab) {
    hd::NgramRecord record;
    const std::string wrong = hd::decode_record(key, data_of(blob), blob.size(), n_vocab, record);
    if (!wrong.empty()) throw nb::value_error(wrong.c_str());
    return record;
}

// [(key tokens, total, [(token, count), ...]), ...]: the shape in which Python reads a record.
nb::list unpacked(int64_t key, const nb::bytes& blob, int32_t n_vocab) {
    nb::list lists;
    for (const hd::NgramList& list : decoded(key, blob, n_vocab)) {
        nb::list context;
        for (int i = list.extra_tokens(); i-- > 0;) context.append(list.extra[static_cast<size_t>(i)]);
        if (hd::is_pair_key(key)) context.append((key >> 32) - 1);
        context.append(key & 0xffffffff);
        nb::list followers;
        for (int i = 0; i < list.size; i++) {
            const hd::Follower& follower = list.followers[static_cast<size_t>(i)];
            followers.append(nb::make_tuple(follower.token, follower.count));
        }
        lists.append(nb::make_tuple(nb::tuple(context), list.total, followers));
    }
    return lists;
}

// The inverse of unpacked(): one list of a record, checked.
hd::NgramList list_of(int64_t key, nb::handle item, int32_t n_vocab) {
    const auto [context, total, followers] = nb::cast<std::tuple<std::vector<int32_t>, uint32_t, Pairs>>(item);
    hd::NgramList list;
    const auto length = static_cast<int>(context.size());
    const auto lengths = hd::kContextLengths;
    if (length != 1) {
        const auto level = std::find(lengths.begin(), lengths.end(), length);
        if (level == lengths.end()) throw nb::value_error("a key has 1, 2, 3, 4, 6 or 8 tokens");
        list.level = static_cast<int>(level - lengths.begin());
    }
    for (const int32_t token : context) {
        if (token < 0 || token >= n_vocab) throw nb::value_error("key token out of range");
    }
    if (hd::ngram_key(context.data() + length, length) != key)
        throw nb::value_error("the list belongs to another record");
    for (int i = 0; i < list.extra_tokens(); i++) {
        list.extra[static_cast<size_t>(i)] = context[static_cast<size_t>(length - 3 - i)];
    }
    std::vector<hd::Follower> candidates;
    uint64_t kept = 0;
    for (const auto& [token, count] : followers) {
        if (token < 0 || token >= n_vocab || count == 0) throw nb::value_error("follower token or count out of range");
        candidates.push_back({token, count});
        kept += count;
    }
    if (candidates.empty()) throw nb::value_error("a key without followers");
    hd::set_followers(list, candidates);
    list.total = static_cast<uint32_t>(
        std::min<uint64_t>(std::max<uint64_t>(total, kept), std::numeric_limits<uint32_t>::max()));
    return list;
}

}  // namespace

void register_tiers(nb::module_& m) {
    using hd::AnswerCounter;
    using hd::TierCache;

    nb::class_<TierCache>(m, "TierCache")
        .def(nb::init<int32_t, size_t>(), "n_vocab"_a, "budget_bytes"_a)
        .def(
            "put",
            [](TierCache& cache, int64_t key, std::optional<nb::bytes> blob) {
                return blob ? cache.put(key, data_of(*blob), blob->size()) : cache.put(key, nullptr, 0);
            },
            "key"_a, "blob"_a.none())
        .def("known", &TierCache::known, "key"_a)
        .def("clear", &TierCache::clear)
        .def("set_complete", &TierCache::set_complete)
        .def_prop_ro("complete", &TierCache::complete)
        .def("memory_bytes", &TierCache::memory_bytes)
        .def("__len__", &TierCache::records)
        .def_prop_ro("n_vocab", &TierCache::n_vocab)
        .def(
            "find",
            [](const TierCache& cache, const std::vector<int32_t>& context, int length) -> nb::object {
                const int available = static_cast<int>(context.size());
                if (length < 1 || length > 8) throw nb::value_error("length is not one of 1, 2, 3, 4, 6, 8");
                hd::FollowerList list;
                switch (cache.find(context.data() + available, available, length, list)) {
                    case hd::Lookup::unknown:
                        return nb::none();
                    case hd::Lookup::absent:
                        return nb::make_tuple(0, nb::list());
                    default:
                        break;
                }
                nb::list followers;
                for (int i = 0; i < list.size; i++) {
                    followers.append(nb::make_tuple(list.data[i].token, list.data[i].count));
                }
                return nb::make_tuple(list.total, followers);
            },
            "context"_a, "length"_a);

    nb::class_<AnswerCounter>(m, "AnswerCounter")
        .def(nb::init<int32_t>(), "n_vocab"_a)
        .def(
            "records",
            [](AnswerCounter& counter, Ids tokens, int64_t start) {
                nb::list records;
                for (const hd::KeyedRecord& record :
                     counter.records(tokens.data(), static_cast<int64_t>(tokens.size()), start)) {
                    records.append(nb::make_tuple(record.key, to_bytes(record.lists)));
                }
                return records;
            },
            "tokens"_a, "start"_a);

    m.attr("MAX_RECORD_BYTES") = hd::kMaxRecordBytes;
    m.def(
        "ngram_key",
        [](const std::vector<int32_t>& context, int length) {
            if (length < 1 || static_cast<size_t>(length) > context.size()) throw nb::value_error("context too short");
            return hd::ngram_key(context.data() + context.size(), length);
        },
        "context"_a, "length"_a);
    m.def("decode_record", &unpacked, "key"_a, "blob"_a, "n_vocab"_a);
    m.def(
        "encode_record",
        [](int64_t key, nb::sequence lists, int32_t n_vocab) {
            std::vector<hd::NgramList> all;
            for (nb::handle item : lists) all.push_back(list_of(key, item, n_vocab));
            return to_bytes(hd::make_record(std::move(all)));
        },
        "key"_a, "lists"_a, "n_vocab"_a);
    m.def(
        "record_total",
        [](int64_t key, const nb::bytes& blob, int32_t n_vocab) {
            const hd::NgramRecord record = decoded(key, blob, n_vocab);
            return record.empty() ? 0u : record.front().total;
        },
        "key"_a, "blob"_a, "n_vocab"_a);
    m.def(
        "merge_records",
        [](int64_t key, const nb::bytes& older, const nb::bytes& newer, int32_t n_vocab) {
            const hd::NgramRecord merged =
                hd::merge_records(decoded(key, older, n_vocab), decoded(key, newer, n_vocab));
            return nb::make_tuple(merged.front().total, to_bytes(merged));
        },
        "key"_a, "older"_a, "newer"_a, "n_vocab"_a);
}
