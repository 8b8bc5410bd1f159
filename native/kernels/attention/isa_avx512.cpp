#include "../vectors_avx512.hpp"
#include "kernel.hpp"

namespace hd::kernels {
namespace {

constexpr AttentionSet kSet = attention_kernels<Avx512>("AVX-512");  // no code runs at load time
}  // namespace

const AttentionSet kAttentionAvx512 = kSet;

}  // namespace hd::kernels
