// What backend/kernels.py calls through ctypes. A plain C library needs no Python to build or to test, and one binary
// serves every Python version.
#include <cstring>

#include "attention/hook.hpp"
#include "buffer_type.hpp"
#include "kernel_sets.hpp"
#include "registration.hpp"
#include "self_test.hpp"
#include "vector_set.hpp"

#if defined(_WIN32)
#define HD_EXPORT extern "C" __declspec(dllexport)
#else
#define HD_EXPORT extern "C" __attribute__((visibility("default")))
#endif

using namespace hd::kernels;

namespace {

const char* const kSymbols[] = {
#define X(name, result, arguments) #name,
    HD_GGML_FUNCTIONS(X)
#undef X
};
constexpr int kSymbolCount = sizeof kSymbols / sizeof *kSymbols;
static_assert(sizeof(ggml::Functions) == kSymbolCount * sizeof(void*));

const char* attention_problem = "not installed";  // why attention stays llama.cpp's, or nullptr

const char* install_attention(const KernelSet& kernels) {
    attach_attention(vector_set(kernels).attention);
    const char* problem = test_attention();
    if (problem) detach_attention();
    return problem;
}

const KernelSet* chosen(const char* isa) { return isa && *isa ? kernels_named(isa) : best_kernels(); }

}  // namespace

// The i-th function whose address hd_rows_install wants, or nullptr behind the last.
HD_EXPORT const char* hd_rows_symbol(int i) { return i >= 0 && i < kSymbolCount ? kSymbols[i] : nullptr; }

// The instruction set that would be used ("" for the best), or nullptr if there is none.
HD_EXPORT const char* hd_rows_isa(const char* isa) {
    const KernelSet* set = chosen(isa);
    return set ? set->isa : nullptr;
}

HD_EXPORT int hd_rows_known(const char* isa) { return is_kernel_set(isa); }

// The i-th weight type, or nullptr behind the last.
HD_EXPORT const char* hd_rows_type(int i) {
    if (i < 0 || i >= kWeightTypes + kFloatTypes) return nullptr;
    return i < kWeightTypes ? kLayouts[i].name : kCellLayouts[i - kWeightTypes].name;
}

// Checks everything and installs the buffer type. nullptr on success, else the reason why llama.cpp's kernels stay.
// Once per process; `functions` are addresses in the order of hd_rows_symbol.
HD_EXPORT const char* hd_rows_install(void* const* functions, const char* isa) {
    const KernelSet* set = chosen(isa);
    if (!set) return "no kernels for this processor";
    std::memcpy(&ggml::api, functions, sizeof ggml::api);
    if (const char* problem = ggml::check_abi()) return problem;
    ggml::BufferType* type = buffer_type(*set);
    enter(type);
    const char* problem = self_test(type, *set);
    if (problem)
        leave(type);
    else
        attention_problem = install_attention(*set);
    return problem;
}

HD_EXPORT void hd_rows_offer(int on) { offer(on != 0); }

// No other extra buffer types for the model that this thread loads, if the kernels are offered to it; whether they are.
HD_EXPORT int hd_rows_alone() { return offer_alone(); }

// Bytes of weights that this thread has loaded for the kernels since it was offered them.
HD_EXPORT long long hd_rows_taken() { return bytes_taken(); }
// Why attention stays with llama.cpp, or nullptr if it is computed here for contexts that may use it.
HD_EXPORT const char* hd_attention_problem() { return attention_problem; }

// Whether contexts that this thread makes from now on may use it. The choice lasts as long as the context.
HD_EXPORT void hd_attention_offer(int on) { offer_attention(on != 0 && !attention_problem); }

// The i-th type of K or V, or nullptr behind the last.
HD_EXPORT const char* hd_attention_type(int i) { return i >= 0 && i < kCellTypes ? kCellLayouts[i].name : nullptr; }

// Whether attention with K and V of these types (ggml's numbers) and head sizes is computed here, in contexts that may
// use it. All its rows are then independent of each other.
HD_EXPORT int hd_attention_takes(int type_k, int type_v, int size_k, int size_v) {
    return !attention_problem && takes_cells(type_k, size_k) && takes_cells(type_v, size_v) &&
           takes_sizes(size_k, size_v);
}
