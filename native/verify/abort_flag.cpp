#include "abort_flag.hpp"

#include <cstring>
#include <utility>

namespace hd {

namespace {

thread_local bool aborting = false;
thread_local bool quiet = false;

struct Sink {
    LogCallback callback;
    void* data;
    bool printer;
};
std::atomic<Sink*> sink{nullptr};

// A warning about each forward of a model that both embeds and generates.
const char* const needless = "embeddings required but some input tokens were not marked as outputs";

void filtered(int level, const char* text, void*) {
    const Sink* to = sink.load();
    if (to == nullptr || to->callback == nullptr || aborting || std::strstr(text, needless) != nullptr) return;
    if (quiet && to->printer) return;
    to->callback(level, text, to->data);
}

}  // namespace

AbortFlag::AbortFlag(const LlamaApi& api, void* ctx) : set_callback_(api.set_abort_callback), ctx_(ctx) {
    set_callback_(ctx_, asked, this);
}

void AbortFlag::detach() {
    if (ctx_ != nullptr) set_callback_(std::exchange(ctx_, nullptr), nullptr, nullptr);
}

void AbortFlag::clear() {
    raised_ = false;
    aborting = false;
}

bool AbortFlag::asked(void* flag) {
    const auto* self = static_cast<AbortFlag*>(flag);
    if (self->held_.load(std::memory_order_relaxed) || !self->raised_.load(std::memory_order_relaxed)) return false;
    aborting = true;
    return true;
}

void quiet_log(bool on) { quiet = on; }

void filter_log(LogGetter get, LogSetter set, LogCallback printer) {
    LogCallback callback = nullptr;
    void* data = nullptr;
    get(&callback, &data);
    if (callback == filtered) return;
    // Never freed: another thread may be logging through the one before.
    sink = new Sink{callback, data, callback == printer};
    set(filtered, nullptr);
}

}  // namespace hd
