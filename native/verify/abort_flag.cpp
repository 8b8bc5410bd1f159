#include "abort_flag.hpp"

#include <cstring>
#include <utility>

namespace hd {

namespace {

thread_local bool aborting = false;
thread_local bool quiet = false;

std::atomic<LogCallback> behind{nullptr};  // the binding's printer, before which the filter stands

// A warning about each forward of a model that both embeds and generates.
const char* const needless = "embeddings required but some input tokens were not marked as outputs";

void filtered(int level, const char* text, void* data) {
    if (aborting || quiet || std::strstr(text, needless) != nullptr) return;
    if (const LogCallback printer = behind.load()) printer(level, text, data);
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
    LogCallback found = nullptr;
    void* data = nullptr;
    get(&found, &data);
    if (found != printer) return;  // the filter, or somebody's own, who finds what he has set and hears it all
    behind = printer;
    set(filtered, data);
}

}  // namespace hd
