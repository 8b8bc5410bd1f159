#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "candidates.hpp"
#include "verify/shared_verifier.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using hd::SharedVerifier;
using hd::SlotRows;

}  // namespace

void register_shared(nb::module_& m) {
    nb::class_<SlotRows>(m, "SlotRows")
        .def(
            "argmax", [](const SlotRows& r, int32_t node) { return r.verifier->argmax(r.slot, node); }, "node"_a)
        .def(
            "candidates",
            [](const SlotRows& r, int32_t node, const hd::Few& few, const hd::Candidates& out) {
                return hd::fill_candidates(r.row(node), static_cast<int32_t>(r.verifier->n_vocab()), few, out);
            },
            "node"_a, "few"_a, "out"_a)
        .def(
            "batch_row", [](const SlotRows& r, int32_t node) { return r.verifier->batch_row(r.slot, node); }, "node"_a)
        .def(
            "logits",
            [](const SlotRows& r, int32_t node) {
                return nb::ndarray<nb::numpy, const float, nb::ndim<1>>(r.row(node), {r.verifier->n_vocab()},
                                                                        nb::handle());
            },
            "node"_a, nb::rv_policy::copy);

    nb::class_<SharedVerifier>(m, "SharedVerifier")
        .def(
            "__init__",
            [](SharedVerifier* self, const hd::LlamaApi& api, uintptr_t ctx, uintptr_t memory, int32_t n_vocab,
               int32_t n_cells, int32_t max_rows, int32_t slots, int32_t leaves) {
                new (self) SharedVerifier(api, reinterpret_cast<void*>(ctx), reinterpret_cast<void*>(memory),
                                          {n_vocab, n_cells, max_rows, slots, leaves});
            },
            "api"_a, "ctx"_a, "memory"_a, nb::kw_only(), "n_vocab"_a, "n_cells"_a, "max_rows"_a, "slots"_a, "leaves"_a)
        .def(  // a list costs less than an array made of it
            "add",
            [](SharedVerifier& v, int32_t slot, const std::vector<int32_t>& pending, const hd::DraftTree& tree,
               bool draws) { v.add(slot, pending.data(), static_cast<int32_t>(pending.size()), tree, draws); },
            "slot"_a, "pending"_a, "tree"_a, "draws"_a = true)
        .def(
            "decode", [](SharedVerifier& v) { return v.decode(); }, nb::call_guard<nb::gil_scoped_release>())
        .def(
            "commit",
            [](SharedVerifier& v, int32_t slot, const std::vector<int32_t>& path) {
                v.commit(slot, path.data(), static_cast<int32_t>(path.size()));
            },
            "slot"_a, "path"_a)
        .def(
            "rows",
            [](const SharedVerifier& v, int32_t slot) {
                (void)v.n_past(slot);  // refuses one that there is not
                return SlotRows{&v, slot};
            },
            "slot"_a, nb::keep_alive<0, 1>())
        .def("cut", &SharedVerifier::cut, "slot"_a, "n_past"_a)
        .def("share", &SharedVerifier::share, "source"_a, "target"_a, "n_past"_a)
        .def("restored", &SharedVerifier::restored, "slot"_a, "cells"_a)
        .def("n_past", &SharedVerifier::n_past, "slot"_a)
        .def("sequence", &SharedVerifier::sequence, "slot"_a)
        .def_prop_ro("trash", &SharedVerifier::trash)
        .def_prop_ro("scratch", &SharedVerifier::scratch)
        .def_prop_ro("used", &SharedVerifier::used)
        .def_prop_ro("live", &SharedVerifier::live)
        .def_prop_ro("max_rows", &SharedVerifier::max_rows)
        .def_prop_ro("max_leaves", &SharedVerifier::max_leaves)
        .def_prop_ro("n_cells", &SharedVerifier::n_cells)
        .def("drop_trash", &SharedVerifier::drop_trash)
        .def("compacted", &SharedVerifier::compacted)
        .def("check_integrity", &SharedVerifier::check_integrity);
}
