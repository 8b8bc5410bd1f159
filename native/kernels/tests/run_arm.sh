#!/usr/bin/env bash
# Builds the kernel tests for 64-bit Arm and runs them under an emulator, on a processor with 8-bit matrix products and on
# one without.
# Debian: apt install g++-aarch64-linux-gnu qemu-user
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-../../build/arm}
mkdir -p "$out"
flags="-O3 -std=c++17 -Wall -Wextra -Wconversion -Werror -ffp-contract=off -static -pthread -DHD_KERNELS_ARM -DHD_KERNELS_I8MM"
aarch64-linux-gnu-g++ $flags -march=armv8.2-a+dotprod -c isa_neon.cpp -o "$out/isa_neon.o"
aarch64-linux-gnu-g++ $flags -march=armv8.2-a+dotprod+i8mm -c isa_neon_i8mm.cpp -o "$out/isa_neon_i8mm.o"
aarch64-linux-gnu-g++ $flags -march=armv8.2-a+dotprod -c vectors_neon.cpp -o "$out/vectors_neon.o"
sets="kernel_sets.cpp $out/isa_neon.o $out/isa_neon_i8mm.o $out/vectors_neon.o"
aarch64-linux-gnu-g++ $flags $sets product.cpp repack.cpp tests/test_kernels.cpp -o "$out/test_kernels"
sources="attention/attention.cpp attention/chunk.cpp attention/problem.cpp attention/visible.cpp"
aarch64-linux-gnu-g++ $flags $sets $sources tests/test_attention.cpp -o "$out/test_attention"
aarch64-linux-gnu-g++ $flags $sets product.cpp floats/float_product.cpp attention/problem.cpp tests/test_floats.cpp -o "$out/test_floats"
both=$(qemu-aarch64 -cpu max "$out/test_kernels")
echo "$both"
grep -q "NEON i8mm" <<<"$both"
older=$(qemu-aarch64 -cpu neoverse-n1 "$out/test_kernels")
echo "neoverse-n1: $older"
! grep -q "NEON i8mm" <<<"$older"
grep -q "NEON dotprod" <<<"$older"
qemu-aarch64 -cpu neoverse-n1 "$out/test_attention" "NEON dotprod"
qemu-aarch64 -cpu neoverse-n1 "$out/test_floats" "NEON dotprod"
