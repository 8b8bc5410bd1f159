// How our buffer type becomes known to llama.cpp, at any time and whatever was loaded before.
#pragma once

#include "ggml_abi.hpp"

namespace hd::kernels {

// Makes the type known: to the CPU backend, which runs its operations, and to every model that is loaded from now on.
void enter(ggml::BufferType* type);

// Whether models that this thread loads find no other extra types, such as those that repack.
void enter_alone(bool on);

// Takes it back. No tensor may lie in it any more.
void leave(ggml::BufferType* type);

}  // namespace hd::kernels
