// The kernel sets of this build and the choice among them.
#pragma once

#include "layout.hpp"

namespace hd::kernels {

// Each is defined in the file of its instruction set, if this build has it.
extern const KernelSet kAvx512Bf16, kAvx512Vnni, kAvxVnni, kAvx2, kNeonI8mm, kNeonDot;

// The best set that this processor can run, or nullptr.
const KernelSet* best_kernels();
// A set by name ("AVX2"; case, blanks and dashes do not matter), or nullptr if this build or this processor lacks it:
// for tests and measurements.
const KernelSet* kernels_named(const char* isa);
// Is it the name of any set, on any processor?
bool is_kernel_set(const char* isa);

}  // namespace hd::kernels
