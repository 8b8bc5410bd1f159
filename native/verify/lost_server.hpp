// A server of llama.cpp's RPC backend that is lost in the middle of a forward.
#pragma once

#include <string>

namespace hd {

using AbortCallback = void (*)(const char* message);
using AbortSetter = AbortCallback (*)(AbortCallback callback);

// llama.cpp notices in a thread of its own and calls abort(), while whoever computes waits for that thread for ever: no
// exception can come out of it. So the process ends, but with a line that says what happened and status 1. Aborts for
// other reasons stay what they were. May be called again, with another line.
void end_where_lost(AbortSetter set, const std::string& message);

}  // namespace hd
