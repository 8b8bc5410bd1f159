#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unordered_map.h>
#include <nanobind/stl/vector.h>

#include "corpus/corpus_runs.hpp"
#include "corpus/vocabulary.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Ids = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using OwnedIds = nb::ndarray<nb::numpy, int32_t, nb::ndim<1>>;

OwnedIds to_array(std::vector<int32_t> tokens) {
    auto* owned = new std::vector<int32_t>(std::move(tokens));
    nb::capsule owner(owned, [](void* p) noexcept { delete static_cast<std::vector<int32_t>*>(p); });
    return OwnedIds(owned->data(), {owned->size()}, owner);
}

// Views of the texts; the list keeps them alive.
std::vector<std::string_view> views(const nb::list& texts) {
    std::vector<std::string_view> all;
    for (nb::handle item : texts) {
        const auto text = nb::cast<nb::bytes>(item);
        all.emplace_back(text.c_str(), text.size());
    }
    return all;
}

}  // namespace

void register_corpus(nb::module_& m) {
    using hd::CorpusBuffer;
    using hd::CorpusRecords;
    using hd::Vocabulary;

    nb::class_<Vocabulary>(m, "Vocabulary")
        .def(nb::init<const std::unordered_map<std::string, uintptr_t>&, uintptr_t, int32_t>(), "addresses"_a,
             "vocab"_a, "n_tokens"_a)
        .def_prop_ro("n_tokens", &Vocabulary::n_tokens)
        .def("table",
             [](const Vocabulary& vocabulary) {
                 const std::string table = vocabulary.table();
                 return nb::bytes(table.data(), table.size());
             })
        .def(
            "tokenize",
            [](const Vocabulary& vocabulary, nb::bytes text) {
                return to_array(vocabulary.tokenize(std::string_view(text.c_str(), text.size())));
            },
            "text"_a);

    nb::class_<CorpusBuffer>(m, "CorpusBuffer")
        .def(nb::init<int32_t>(), "n_vocab"_a)
        .def_prop_ro_static("bytes_per_token", [](nb::handle) { return CorpusBuffer::kBytesPerToken; })
        .def("__len__", &CorpusBuffer::tokens)
        .def(
            "add", [](CorpusBuffer& buffer, Ids tokens) { buffer.add(tokens.data(), tokens.size()); }, "tokens"_a)
        .def(
            "add_texts",
            [](CorpusBuffer& buffer, const Vocabulary& vocabulary, nb::list texts, int threads) {
                if (threads < 1) throw nb::value_error("threads must be at least 1");
                const std::vector<std::string_view> all = views(texts);
                const nb::gil_scoped_release release;
                size_t tokens = 0;
                for (const std::vector<int32_t>& text : vocabulary.tokenize(all, threads)) {
                    buffer.add(text.data(), text.size());
                    tokens += text.size();
                }
                return tokens;
            },
            "vocabulary"_a, "texts"_a, "threads"_a)
        .def("spill", &CorpusBuffer::spill, "path"_a, nb::call_guard<nb::gil_scoped_release>());

    nb::class_<CorpusRecords>(m, "CorpusRecords")
        .def(nb::init<const std::vector<std::string>&, int32_t, uint32_t, size_t>(), "runs"_a, "n_vocab"_a,
             "min_count"_a, "buffer_bytes"_a)
        .def_prop_ro("occurrences", &CorpusRecords::occurrences)
        .def(
            "next",
            [](CorpusRecords& records, size_t most) {
                std::vector<hd::KeyedRecord> some;
                {
                    const nb::gil_scoped_release release;
                    some = records.next(most);
                }
                nb::list out;
                for (const hd::KeyedRecord& record : some) {
                    const std::vector<uint8_t> bytes = hd::encode_record(record.lists);
                    out.append(
                        nb::make_tuple(record.key, record.lists.front().total, nb::bytes(bytes.data(), bytes.size())));
                }
                return out;
            },
            "most"_a);

    m.def(
        "merge_runs",
        [](const std::vector<std::string>& runs, const std::string& path, int32_t n_vocab, size_t buffer_bytes) {
            hd::RunMerger(runs, n_vocab, buffer_bytes).write(path);
        },
        "runs"_a, "path"_a, "n_vocab"_a, "buffer_bytes"_a, nb::call_guard<nb::gil_scoped_release>());
}
