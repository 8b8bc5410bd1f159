// A model that is being loaded, by this thread: what llama.cpp asserts ends the loading, not the process.
#pragma once

#include <string>

#include "lost_server.hpp"

namespace hd {

// From here to end_loading() an assertion that fails in this thread becomes a C++ exception. It passes through
// ggml_abort() into the handlers that llama.cpp has around loading a model and making a context, which then fail as
// they do for other reasons. Nobody computes meanwhile, so no other thread waits for this one. In other threads, and
// afterwards, aborts are what they were before. Where an exception cannot pass, the process ends as it would have.
//
// quiet: what this thread logs meanwhile is dropped.
void begin_loading(AbortSetter set, bool quiet);

// The assertion that failed; empty: none.
std::string end_loading(AbortSetter set);

}  // namespace hd
