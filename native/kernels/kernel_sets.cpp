#include "kernel_sets.hpp"

#include <cctype>
#include <cstdlib>
#include <vector>

#include "vector_set.hpp"

#if defined(HD_KERNELS_X86)
#include <cpuid.h>
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace hd::kernels {
namespace {

struct Choice {
    const KernelSet* set;
    bool runs;
};

// Best first.
std::vector<Choice> choices() {
#if defined(HD_KERNELS_X86)
    __builtin_cpu_init();
    // Not every compiler's __builtin_cpu_supports knows F16C, AVX-VNNI and AVX512_BF16. They use registers that AVX2
    // and AVX-512 need enabled.
    unsigned a = 0, b = 0, c = 0, d = 0;
    const bool f16c = __get_cpuid(1, &a, &b, &c, &d) && (c & 1U << 29);
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && f16c;
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vnni");
    const bool leaf_7_1 = __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0;
    [[maybe_unused]] const bool avx512_bf16 = leaf_7_1 && (a & 1U << 5);
#if defined(HD_EVEX_VNNI)
    const bool avx_vnni = avx512;
#elif defined(HD_KERNELS_AVX_VNNI)
    const bool avx_vnni = leaf_7_1 && (a & 1U << 4);
#endif
    return {
#if defined(HD_KERNELS_BF16)
        {&kAvx512Bf16, avx512 && avx512_bf16},
#endif
        {&kAvx512Vnni, avx512},
#if defined(HD_KERNELS_AVX_VNNI)
        {&kAvxVnni, avx2 && avx_vnni},
#endif
        {&kAvx2, avx2},
    };
#elif defined(HD_KERNELS_ARM)
#if defined(__APPLE__)
    const bool dotprod = true;  // every 64-bit Mac has it
    int found = 0;
    size_t size = sizeof found;
    [[maybe_unused]] const bool i8mm =
        sysctlbyname("hw.optional.arm.FEAT_I8MM", &found, &size, nullptr, 0) == 0 && found;
#else
    const bool dotprod = (getauxval(AT_HWCAP) & (1 << 20)) != 0;                 // HWCAP_ASIMDDP
    [[maybe_unused]] const bool i8mm = (getauxval(AT_HWCAP2) & (1 << 13)) != 0;  // HWCAP2_I8MM
#endif
    return {
#if defined(HD_KERNELS_I8MM)
        {&kNeonI8mm, dotprod && i8mm},
#endif
        {&kNeonDot, dotprod},
    };
#else
    return {};
#endif
}

// Equal but for case, blanks and dashes.
bool same(const char* a, const char* b) {
    const auto skip = [](const char*& p) {
        while (*p == ' ' || *p == '-') p++;
    };
    for (;; a++, b++) {
        skip(a);
        skip(b);
        if (std::tolower(static_cast<unsigned char>(*a)) != std::tolower(static_cast<unsigned char>(*b))) return false;
        if (!*a) return true;
    }
}

// The best of this name (nullptr: of any) that this processor can run.
const KernelSet* best_of(const char* isa) {
    for (const Choice& choice : choices())
        if (choice.runs && (!isa || same(choice.set->isa, isa))) return choice.set;
    return nullptr;
}

}  // namespace

const KernelSet* best_kernels() { return best_of(nullptr); }

const KernelSet* kernels_named(const char* isa) { return best_of(isa); }

bool is_kernel_set(const char* isa) {
    for (const char* name : {"AVX-512 BF16", "AVX-512 VNNI", "AVX-VNNI", "AVX2", "NEON i8mm", "NEON dotprod"})
        if (same(name, isa)) return true;
    return false;
}

VectorSet vector_set([[maybe_unused]] const KernelSet& kernels) {
#if defined(HD_KERNELS_ARM)
    return {kNeonAttention, kNeonFloats};
#elif defined(HD_KERNELS_X86)
#if defined(HD_KERNELS_BF16)
    if (&kernels == &kAvx512Bf16) return {kAvx512Attention, kAvx512Bf16Floats};
#endif
    if (kernels.lanes == 16) return {kAvx512Attention, kAvx512Floats};
    return {kAvx2Attention, kAvx2Floats};
#else
    std::abort();  // this build has no kernels
#endif
}

}  // namespace hd::kernels
