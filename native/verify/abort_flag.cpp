#include "abort_flag.hpp"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

namespace hd {

namespace {

thread_local bool aborting = false;
thread_local bool quiet = false;

// What a filter stands before: it goes with the filter as its user data, so that a program that takes a callback and
// puts it back, or passes lines on to the one before its own, reaches what was there and nothing that came later.
struct Sink {
    LogCallback callback;
    void* data;
};
std::vector<const Sink*> sinks;         // never freed: somebody may have kept the callback and its data
std::atomic<LogCallback> own{nullptr};  // the binding's printer

// A warning about each forward of a model that both embeds and generates.
const char* const needless = "embeddings required but some input tokens were not marked as outputs";

void filtered(int level, const char* text, void* data) {
    const LogCallback printer = own.load();
    const auto* sink = static_cast<const Sink*>(data);
    const Sink to = sink != nullptr ? *sink : Sink{printer, nullptr};  // put back without its data
    if (to.callback == nullptr || aborting || std::strstr(text, needless) != nullptr) return;
    if (quiet && to.callback == printer) return;
    to.callback(level, text, to.data);
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
    Sink found{nullptr, nullptr};
    get(&found.callback, &found.data);
    own = printer;
    if (found.callback == filtered) return;
    const auto same = [&](const Sink* one) { return one->callback == found.callback && one->data == found.data; };
    auto at = std::find_if(sinks.begin(), sinks.end(), same);
    if (at == sinks.end()) at = sinks.insert(at, new Sink(found));
    set(filtered, const_cast<Sink*>(*at));
}

}  // namespace hd
