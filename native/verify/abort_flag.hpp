// The wish to end what a context computes, as llama.cpp's abort callback reads it between two operators of a forward.
#pragma once

#include <atomic>

#include "llama_api.hpp"

namespace hd {

class AbortFlag {
  public:
    // Puts the callback into the context. The flag must not move, and detach() comes before either of the two goes.
    AbortFlag(const LlamaApi& api, void* ctx);
    AbortFlag(const AbortFlag&) = delete;
    AbortFlag& operator=(const AbortFlag&) = delete;

    void detach();
    bool detached() const { return ctx_ == nullptr; }
    void raise() { raised_ = true; }    // any thread, at any moment
    void clear();                       // by the thread whose forward was aborted, if one was
    void hold(bool on) { held_ = on; }  // on: the forward that begins is not to be aborted, the wish stays
    bool raised() const { return raised_; }

  private:
    static bool asked(void* flag);

    void (*set_callback_)(void*, LlamaApi::Abort, void*);
    void* ctx_;
    std::atomic<bool> raised_{false};
    std::atomic<bool> held_{false};
};

// llama.cpp logs a line for every aborted forward, at a level that llama_cpp prints. The filter stands before
// llama_cpp's printer, never before a callback of somebody's own, and drops the lines of a thread from its abort to the
// flag's clear(), those of a thread that is told to be quiet, and one that says nothing to anybody. It runs no Python:
// an exception that a signal raises inside a Python callback would be lost.
using LogCallback = void (*)(int level, const char* text, void* data);
using LogGetter = void (*)(LogCallback* callback, void** data);
using LogSetter = void (*)(LogCallback callback, void* data);
void quiet_log(bool on);
void filter_log(LogGetter get, LogSetter set, LogCallback printer);  // again whenever the printer may be back

}  // namespace hd
