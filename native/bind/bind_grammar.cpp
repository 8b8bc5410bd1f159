#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "grammar/matcher.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Types = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Values = nb::ndarray<const uint32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// Holders: nanobind owns them, matchers share what is in them.
struct SharedRules {
    std::shared_ptr<const hd::Rules> rules;
};
struct SharedPieces {
    std::shared_ptr<const hd::Pieces> pieces;
};

}  // namespace

void register_grammar(nb::module_& m) {
    using hd::Matcher;

    nb::exception<hd::TooManyWays>(m, "TooManyWays", PyExc_RuntimeError);

    nb::class_<SharedRules>(m, "GrammarRules")
        .def(
            "__init__",
            [](SharedRules* self, Types types, Values values, uint32_t root) {
                if (types.size() != values.size()) throw std::invalid_argument("types and values differ in number");
                std::vector<hd::Element> elements;
                elements.reserve(types.size());
                for (size_t i = 0; i < types.size(); ++i) {
                    elements.push_back({static_cast<hd::ElementType>(types(i)), values(i)});
                }
                new (self) SharedRules{std::make_shared<const hd::Rules>(std::move(elements), root)};
            },
            "types"_a, "values"_a, "root"_a);

    nb::class_<SharedPieces>(m, "TokenPieces")
        .def(
            "__init__",
            [](SharedPieces* self, const nb::list& pieces, const std::vector<bool>& ends) {
                std::vector<std::string> all;
                for (nb::handle item : pieces) {
                    const auto piece = nb::cast<nb::bytes>(item);
                    all.emplace_back(piece.c_str(), piece.size());
                }
                std::vector<uint8_t> flags(ends.begin(), ends.end());
                new (self) SharedPieces{std::make_shared<const hd::Pieces>(std::move(all), std::move(flags))};
            },
            "pieces"_a, "ends"_a)
        .def("__len__", [](const SharedPieces& self) { return self.pieces->n_tokens(); });

    nb::class_<Matcher>(m, "GrammarMatcher")
        .def(
            "__init__",
            [](Matcher* self, const SharedRules& rules, const SharedPieces& pieces) {
                new (self) Matcher(rules.rules, pieces.pieces);
            },
            "rules"_a, "pieces"_a)
        .def_prop_ro("alive", &Matcher::alive)
        .def("allows", &Matcher::allows, "token"_a)
        .def("accept", &Matcher::accept, "token"_a)
        .def("memory_bytes", &Matcher::memory_bytes)
        .def("mask",
             [](Matcher& self) {
                 const std::vector<uint8_t>& mask = self.mask();
                 return nb::bytes(reinterpret_cast<const char*>(mask.data()), mask.size());
             })
        .def(
            "follow",
            [](Matcher& self, size_t most, const nb::callable& choose) {
                self.follow(most, [&](const std::vector<uint8_t>& bytes, bool end) {
                    const nb::bytes allowed(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                    const int chosen = nb::cast<int>(choose(allowed, end));
                    if (std::find(bytes.begin(), bytes.end(), chosen) == bytes.end()) return -1;
                    return chosen;
                });
            },
            "most"_a, "choose"_a);
}
