#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unordered_map.h>
#include <nanobind/stl/vector.h>

#include "candidates.hpp"
#include "draft/draft_tree.hpp"
#include "draft/recycler.hpp"
#include "verify/loading.hpp"
#include "verify/lost_server.hpp"
#include "verify/verifier.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Ids = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <typename Out, typename In>
nb::ndarray<nb::numpy, Out, nb::ndim<1>> copy_of(const std::vector<In>& values) {
    Out* data = new Out[values.size() + 1];
    for (size_t i = 0; i < values.size(); i++) data[i] = static_cast<Out>(values[i]);
    nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<Out*>(p); });
    return {data, {values.size()}, owner};
}

}  // namespace

void register_verify(nb::module_& m) {
    using hd::AbortFlag;
    using hd::DraftTree;
    using hd::LlamaApi;
    using hd::Tier;
    using hd::Verifier;

    m.def("llama_batch_layout", &hd::llama_batch_layout, "Size and field offsets of the native mirror of llama_batch.");

    nb::enum_<Tier>(m, "Tier", nb::is_arithmetic())
        .value("target", Tier::target)
        .value("context", Tier::context)
        .value("model", Tier::model)
        .value("statistics", Tier::statistics)
        .value("drafter", Tier::drafter);

    nb::class_<DraftTree>(m, "DraftTree")
        .def(nb::init<>())
        .def(
            "__init__",
            [](DraftTree* t, int32_t root) {
                new (t) DraftTree();
                t->add(root, -1, Tier::target, 1.0f);
            },
            "root"_a)
        .def(
            "add",
            [](DraftTree& t, int32_t token, int32_t parent, Tier tier, float probability) {
                if (parent < -1 || parent >= t.size()) throw nb::value_error("parent is not a node of the tree");
                return t.add(token, parent, tier, probability);
            },
            "token"_a, "parent"_a, "tier"_a = Tier::target, "probability"_a = 1.0f)
        .def("child",
             [](const DraftTree& t, int32_t node, int32_t token) {
                 if (node < 0 || node >= t.size()) throw nb::value_error("node is not in the tree");
                 return t.child(node, token);
             })
        .def(
            "follow",
            [](const DraftTree& t, const std::vector<int32_t>& tokens) {
                if (t.size() == 0) throw nb::value_error("an empty tree has no path");
                return t.follow(tokens.data(), tokens.size());
            },
            "tokens"_a)
        .def("check", &DraftTree::check, "n_vocab"_a)
        .def("__len__", &DraftTree::size)
        .def_prop_ro("leaves", &DraftTree::leaves)
        .def_prop_ro(
            "token", [](const DraftTree& t) { return copy_of<int32_t>(t.token); }, nb::rv_policy::move)
        .def_prop_ro(
            "parent", [](const DraftTree& t) { return copy_of<int32_t>(t.parent); }, nb::rv_policy::move)
        .def_prop_ro(
            "depth", [](const DraftTree& t) { return copy_of<int32_t>(t.depth); }, nb::rv_policy::move)
        .def_prop_ro(
            "tier", [](const DraftTree& t) { return copy_of<uint8_t>(t.tier); }, nb::rv_policy::move)
        .def_prop_ro(
            "probability", [](const DraftTree& t) { return copy_of<float>(t.probability); }, nb::rv_policy::move)
        .def("tier_of", [](const DraftTree& t, int32_t node) {
            if (node < 0 || node >= t.size()) throw nb::value_error("node is not in the tree");
            return t.tier[static_cast<size_t>(node)];
        });

    // __init__ raises ValueError when an address is missing.
    nb::class_<LlamaApi>(m, "LlamaApi")
        .def(nb::init<const std::unordered_map<std::string, uintptr_t>&>(), "addresses"_a);

    nb::class_<AbortFlag>(m, "AbortFlag")
        .def(
            "__init__",
            [](AbortFlag* self, const LlamaApi& api, uintptr_t ctx) {
                new (self) AbortFlag(api, reinterpret_cast<void*>(ctx));
            },
            "api"_a, "ctx"_a)
        .def("detach", &AbortFlag::detach)
        .def("cancel", &AbortFlag::raise)
        .def("clear_cancel", &AbortFlag::clear)
        .def_prop_ro("cancelled", &AbortFlag::raised);
    m.def(
        "filter_log",
        [](uintptr_t get, uintptr_t set, uintptr_t printer) {
            hd::filter_log(reinterpret_cast<hd::LogGetter>(get), reinterpret_cast<hd::LogSetter>(set),
                           reinterpret_cast<hd::LogCallback>(printer));
        },
        "get"_a, "set"_a, "printer"_a,
        "Drops llama.cpp's log lines of a forward that was aborted; addresses of llama_log_get, llama_log_set and "
        "llama_cpp's own callback.");
    m.def(
        "end_where_lost",
        [](uintptr_t set, const std::string& message) {
            hd::end_where_lost(reinterpret_cast<hd::AbortSetter>(set), message);
        },
        "set"_a, "message"_a,
        "Where llama.cpp would abort because an RPC server is lost, the process says this and ends with status 1; "
        "address of ggml_set_abort_callback.");

    m.def(
        "begin_loading",
        [](uintptr_t set, bool quiet) { hd::begin_loading(reinterpret_cast<hd::AbortSetter>(set), quiet); }, "set"_a,
        "quiet"_a,
        "From here to end_loading() an assertion of llama.cpp that fails in this thread is an exception to it; quiet: "
        "and what this thread logs is dropped.");
    m.def(
        "end_loading", [](uintptr_t set) { return hd::end_loading(reinterpret_cast<hd::AbortSetter>(set)); }, "set"_a,
        "The assertion that failed; empty: none.");

    nb::class_<Verifier>(m, "Verifier")
        .def(
            "__init__",
            [](Verifier* self, const LlamaApi& api, uintptr_t ctx, uintptr_t memory, int32_t n_vocab, int32_t n_ctx,
               int32_t max_rows, int32_t max_sequences, int32_t rollback, int32_t window, bool copies) {
                new (self)
                    Verifier(api, reinterpret_cast<void*>(ctx), reinterpret_cast<void*>(memory),
                             hd::VerifierLimits{n_vocab, n_ctx, max_rows, max_sequences, rollback, copies, window});
            },
            "api"_a, "ctx"_a, "memory"_a, nb::kw_only(), "n_vocab"_a, "n_ctx"_a, "max_rows"_a, "max_sequences"_a,
            "rollback"_a = hd::kCellsAlone, "window"_a = 0, "copies"_a = false)
        .def("begin", &Verifier::begin, "n_past"_a)
        .def("release", &Verifier::release, "n_past"_a)
        .def("forget", &Verifier::forget)
        .def(
            "decode",
            [](Verifier& v, const std::vector<int32_t>& pending, const DraftTree& tree) {
                nb::gil_scoped_release free_threads;
                return v.decode(pending.data(), static_cast<int32_t>(pending.size()), tree);
            },
            "pending"_a, "tree"_a)
        .def(
            "decode",
            [](Verifier& v, Ids pending, const DraftTree& tree) {
                nb::gil_scoped_release free_threads;
                return v.decode(pending.data(), static_cast<int32_t>(pending.size()), tree);
            },
            "pending"_a, "tree"_a)
        .def(  // a list costs less than an array made of it
            "commit",
            [](Verifier& v, const std::vector<int32_t>& path) {
                return v.commit(path.data(), static_cast<int32_t>(path.size()));
            },
            "path"_a)
        .def("rollback", &Verifier::rollback)
        .def_prop_ro("max_rows", &Verifier::max_rows)
        .def_prop_ro("copies", &Verifier::copies)
        .def_prop_ro("max_leaves", &Verifier::max_leaves)
        .def_prop_ro("n_past", &Verifier::n_past)
        .def_prop_ro("rows", &Verifier::rows)
        .def("argmax", &Verifier::argmax, "node"_a)
        .def(
            "likeliest",
            [](const Verifier& v, int32_t node) {
                hd::RecycledRow top;
                hd::top_of_row(v.row(node), static_cast<int32_t>(v.n_vocab()), top);
                std::vector<std::pair<int32_t, float>> found;
                for (int i = 0; i < hd::kRecycledWidth && top.token[i] >= 0; i++) {
                    found.emplace_back(top.token[i], top.chance[i]);
                }
                return found;
            },
            "node"_a)
        .def(
            "candidates",
            [](const Verifier& v, int32_t node, const hd::Few& few, const hd::Candidates& out) {
                return hd::fill_candidates(v.row(node), static_cast<int32_t>(v.n_vocab()), few, out);
            },
            "node"_a, "few"_a, "out"_a)
        .def("batch_row", &Verifier::batch_row, "node"_a)
        .def(
            "logits",
            [](const Verifier& v, int32_t node) {
                return nb::ndarray<nb::numpy, const float, nb::ndim<1>>(v.row(node), {v.n_vocab()}, nb::handle());
            },
            "node"_a, nb::rv_policy::copy)
        .def("detach", &Verifier::detach)
        .def_prop_ro("detached", &Verifier::detached)
        .def("cancel", &Verifier::cancel)
        .def("clear_cancel", &Verifier::clear_cancel)
        .def_prop_ro("cancelled", &Verifier::cancelled)
        .def("check_integrity", &Verifier::check_integrity);
}
