// From the blocks of a GGUF file to panels.
#pragma once

#include "layout.hpp"

namespace hd::kernels {

// Fills `matrix` from rows of ggml blocks, as they lie in a file, with up to `threads` threads.
void repack(const Matrix& matrix, const void* blocks, int threads);

}  // namespace hd::kernels
