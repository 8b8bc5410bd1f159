#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "draft/drafter.hpp"
#include "records/tier_cache.hpp"
#include "verify/shared_verifier.hpp"
#include "verify/verifier.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using hd::DraftTree;
using hd::Said;
using hd::Tier;
using Ids = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Floats = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

int size_of(const Ids& ids) { return static_cast<int>(ids.size()); }

void check_tier(Tier tier) {
    if (tier != Tier::model && tier != Tier::statistics) throw nb::value_error("tier is neither model nor statistics");
}

void check_ids(const Ids& ids, int32_t n_vocab) {
    for (size_t i = 0; i < ids.size(); i++) {
        if (ids.data()[i] >= 0 && ids.data()[i] < n_vocab) continue;
        const std::string what = "token " + std::to_string(ids.data()[i]) + " at index " + std::to_string(i) +
                                 " is outside [0, " + std::to_string(n_vocab) + ")";
        throw nb::value_error(what.c_str());
    }
}

// The drafter with its vocabulary, so that no id from outside reaches it unchecked.
struct BoundDrafter {
    int32_t n_vocab;
    hd::Drafter drafter;

    explicit BoundDrafter(hd::DrafterLimits limits) : n_vocab(limits.n_vocab), drafter(limits) {}

    void check(const Ids& ids) const { check_ids(ids, n_vocab); }

    void learn(const DraftTree& tree, const Ids& tokens) {
        check(tokens);
        drafter.learn(tree, tokens.data(), size_of(tokens));
    }

    template <typename Rows>
    int recycle(const Rows& rows, const DraftTree& tree, const std::vector<int32_t>& path, double seconds) {
        return drafter.recycle(tree, path, [&](int node) { return rows.row(node); }, seconds);
    }

    void recycle_row(const DraftTree& tree, int32_t node, const Ids& ids, const Floats& chances) {
        if (node < 0 || node >= tree.size()) throw nb::value_error("node is not in the tree");
        hd::RecycledRow row;
        for (size_t i = 0; i < hd::kRecycledWidth; i++) {
            const bool given = i < ids.size() && i < chances.size() && ids.data()[i] >= 0 && ids.data()[i] < n_vocab;
            row.token[i] = given ? ids.data()[i] : -1;
            row.chance[i] = given ? chances.data()[i] : 0.0F;
        }
        drafter.recycle(tree, node, row);
    }
};

}  // namespace

void register_draft(nb::module_& m) {
    nb::enum_<Said>(m, "Said")
        .value("first", Said::first)
        .value("opening", Said::opening)
        .value("inside", Said::inside)
        .value("other", Said::other)
        .value("odd", Said::odd);
    nb::class_<BoundDrafter>(m, "Drafter")
        .def(
            "__init__",
            [](BoundDrafter* self, int32_t n_vocab, int max_tokens) {
                if (n_vocab < 1) throw nb::value_error("a drafter needs a vocabulary");
                new (self) BoundDrafter({n_vocab, max_tokens});
            },
            "n_vocab"_a, nb::kw_only(), "max_tokens"_a = 1 << 16)
        .def(
            "attach",
            [](BoundDrafter& d, Tier tier, const hd::TierCache& cache) {
                check_tier(tier);
                if (tier == Tier::model) d.drafter.attach_model(&cache);
                if (tier == Tier::statistics) d.drafter.attach_statistics(&cache);
            },
            "tier"_a, "cache"_a, nb::keep_alive<1, 3>())
        .def(
            "use_context", [](BoundDrafter& d, bool on) { d.drafter.use_context(on); }, "on"_a)
        .def(
            "set_cost",
            [](BoundDrafter& d, Ids rows, Floats cost) {
                if (rows.size() != cost.size() || rows.size() == 0) {
                    throw nb::value_error("a cost curve has one cost for each number of rows, and at least one");
                }
                d.drafter.set_cost(rows.data(), cost.data(), size_of(rows));
            },
            "rows"_a, "cost"_a)
        .def(
            "begin",
            [](BoundDrafter& d, Ids tokens) {
                d.check(tokens);
                d.drafter.begin(tokens.data(), size_of(tokens));
            },
            "tokens"_a)
        .def(
            "set_prediction",
            [](BoundDrafter& d, Ids tokens) {
                d.check(tokens);
                d.drafter.set_prediction(tokens.data(), size_of(tokens));
            },
            "tokens"_a)
        .def(
            "grow",
            [](BoundDrafter& d, int max_rows, int max_leaves, float spent) {
                if (d.drafter.index().size() == 0) throw nb::value_error("begin() has given no tokens to draft after");
                if (!(spent >= 0)) throw nb::value_error("what was spent on a step is no number of at least 0");
                return d.drafter.grow(max_rows, max_leaves, spent);
            },
            "max_rows"_a, "max_leaves"_a, "spent"_a = 0.0f)
        .def(
            "cut", [](BoundDrafter& d, int rows) { return d.drafter.cut(rows); }, "rows"_a)
        .def(
            "foretell",
            [](BoundDrafter& d, Ids path, int32_t token, float chance, Said kind) {
                d.check(path);
                if (token < 0 || token >= d.n_vocab) throw nb::value_error("token is outside the vocabulary");
                if (!(chance >= 0 && chance <= 1)) throw nb::value_error("chance is outside [0, 1]");
                d.drafter.forecast().add(path.data(), size_of(path), token, chance, kind);
            },
            "path"_a, "token"_a, "chance"_a, "kind"_a)
        .def("forget_forecast", [](BoundDrafter& d) { d.drafter.forecast().clear(); })
        .def("learn", &BoundDrafter::learn, "tree"_a, "tokens"_a)
        .def(
            "append",
            [](BoundDrafter& d, Ids tokens) {
                d.check(tokens);
                d.drafter.append(tokens.data(), size_of(tokens));
            },
            "tokens"_a)
        .def("recycle", &BoundDrafter::recycle<hd::Verifier>, "rows"_a, "tree"_a, "path"_a, "seconds"_a)
        .def("recycle", &BoundDrafter::recycle<hd::SlotRows>, "rows"_a, "tree"_a, "path"_a, "seconds"_a)
        .def("recycle_row", &BoundDrafter::recycle_row, "tree"_a, "node"_a, "ids"_a, "chances"_a)
        .def("forget_rows", [](BoundDrafter& d) { d.drafter.recycler().clear(); })
        .def(
            "missing",
            [](const BoundDrafter& d, Tier tier) {
                check_tier(tier);
                return d.drafter.missing(tier);
            },
            "tier"_a)
        .def(
            "set_rate", [](BoundDrafter& d, float rate) { d.drafter.mixer().set_rate(rate); }, "rate"_a)
        .def("restart_rates", [](BoundDrafter& d) { d.drafter.mixer().restart_rates(); })
        .def("save_calibration",
             [](BoundDrafter& d) {
                 const std::vector<uint8_t> bytes = d.drafter.mixer().save();
                 return nb::bytes(bytes.data(), bytes.size());
             })
        .def(
            "load_calibration",
            [](BoundDrafter& d, nb::bytes bytes) {
                const auto* data = reinterpret_cast<const uint8_t*>(bytes.c_str());
                const std::string wrong = d.drafter.mixer().load(data, bytes.size());
                if (!wrong.empty()) throw nb::value_error(wrong.c_str());
            },
            "calibration"_a)
        .def("check_integrity", [](BoundDrafter& d) { return d.drafter.index().check_integrity(); })
        .def("memory_bytes", [](const BoundDrafter& d) { return d.drafter.memory_bytes(); })
        .def("__len__", [](BoundDrafter& d) { return d.drafter.index().size(); });
}
