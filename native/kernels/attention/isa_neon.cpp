#include "../vectors_neon.hpp"
#include "kernel.hpp"

namespace hd::kernels {
namespace {

constexpr AttentionSet kSet = attention_kernels<Neon>("NEON");  // no code runs at load time
}  // namespace

const AttentionSet kAttentionNeon = kSet;

}  // namespace hd::kernels
