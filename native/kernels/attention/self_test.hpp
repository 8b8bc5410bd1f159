// Small attentions of every kind through real graphs of the CPU backend, on more than one thread.
#pragma once

namespace hd::kernels {

// nullptr if our kernels, run by llama.cpp, agree with a computation in double precision and one row alone gives the
// bits it gives among others; else what differs. attach_attention() must have been called.
const char* test_attention();

}  // namespace hd::kernels
