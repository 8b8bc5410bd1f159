#include "../vectors_avx2.hpp"
#include "kernel.hpp"

namespace hd::kernels {
namespace {

constexpr AttentionSet kSet = attention_kernels<Avx2>("AVX2");  // no code runs at load time
}  // namespace

const AttentionSet kAttentionAvx2 = kSet;

}  // namespace hd::kernels
