#include "registration.hpp"

#include <algorithm>
#include <cstring>

#if defined(__GLIBC__)
#include <malloc.h>
#elif defined(__APPLE__)
#include <malloc/malloc.h>
#endif

namespace hd::kernels {
namespace {

using ggml::api;
using ggml::BufferType;
using ggml::Device;
using ggml::Registry;
using List = std::vector<BufferType*>;

// What a loading model reads; never changed while it can be read. Ends with nullptr.
List offered;
ggml::GetProcAddress cpu_get_proc_address;

List single;  // the same without others' types
thread_local bool alone = false;

BufferType** offered_types(Device*) { return alone ? single.data() : offered.data(); }

// A loading model asks the registry of the CPU backend for the extra buffer types, by this name. Its own answer is a
// copy of the list that it made when the first model of the process was loaded; ours does not depend on that.
void* get_proc_address(Registry* registry, const char* name) {
    if (!std::strcmp(name, "ggml_backend_dev_get_extra_bufts")) return reinterpret_cast<void*>(offered_types);
    return cpu_get_proc_address(registry, name);
}

// The body of a std::vector in the standard libraries that ggml is built with.
struct Body {
    BufferType **begin, **end, **capacity;
};

size_t allocated_bytes([[maybe_unused]] void* memory) {
#if defined(__GLIBC__)
    return malloc_usable_size(memory);
#elif defined(__APPLE__)
    return malloc_size(memory);
#else
    return 0;
#endif
}

// The list that the CPU backend goes through for every operation of every graph, so threads of other models may be
// reading it. Where its memory has room for one more, that is one store, which no reader can see half done. Elsewhere
// it gets a new body, and the old one stays where it is.
void append(List& list, BufferType* type) {
    static_assert(sizeof(List) == sizeof(Body));
    Body body;
    std::memcpy(&body, &list, sizeof body);
    const size_t size = list.size(), room = allocated_bytes(list.data()) / sizeof(BufferType*);
    if (body.begin == list.data() && body.end == body.begin + size && size < room) {
        auto* parts = reinterpret_cast<BufferType** volatile*>(&list);
        body.begin[size] = type;
        parts[2] = std::max(body.capacity, body.begin + size + 1);
        parts[1] = body.begin + size + 1;
        return;
    }
    auto* next = new List(list);
    next->push_back(type);
    list.swap(*next);
}

}  // namespace

void enter(BufferType* type) {
    List& list = api.extra_buffer_types();
    offered = list;
    // Types for matrix units (AMX) stay ahead of us.
    const auto repacking = std::find_if(offered.begin(), offered.end(), [](BufferType* t) {
        return !std::strcmp(api.ggml_backend_buft_name(t), "CPU_REPACK");
    });
    offered.insert(repacking, type);
    offered.push_back(nullptr);
    single = {type, nullptr};
    append(list, type);
    Registry* registry = api.ggml_backend_dev_backend_reg(type->device);
    cpu_get_proc_address = registry->get_proc_address;
    registry->get_proc_address = get_proc_address;
}

void enter_alone(bool on) { alone = on; }

void leave(BufferType* type) {
    api.ggml_backend_dev_backend_reg(type->device)->get_proc_address = cpu_get_proc_address;
    List& list = api.extra_buffer_types();
    if (!list.empty() && list.back() == type) list.pop_back();
}

}  // namespace hd::kernels
