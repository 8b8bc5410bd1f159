// hd_edge._native: declarations only; each area registers itself in its own bind_*.cpp.
#include <nanobind/nanobind.h>

void register_corpus(nanobind::module_& m);
void register_draft(nanobind::module_& m);
void register_grammar(nanobind::module_& m);
void register_shared(nanobind::module_& m);
void register_tiers(nanobind::module_& m);
void register_verify(nanobind::module_& m);

NB_MODULE(_native, m) {
    // A process may end in the middle of a generation; what is alive then is no leak, and nobody asked for its list.
    nanobind::set_leak_warnings(false);
    register_corpus(m);
    register_draft(m);
    register_grammar(m);
    register_tiers(m);
    register_verify(m);
    register_shared(m);
}
