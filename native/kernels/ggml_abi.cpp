#include "ggml_abi.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "attention/problem.hpp"
#include "layout.hpp"

namespace hd::kernels::ggml {

Functions api{};

namespace {

bool same_name(const char* a, const char* b) {  // ggml writes "q4_0" and "q4_K"
    for (; *a && *b; a++, b++)
        if ((*a | 32) != (*b | 32)) return false;
    return *a == *b;
}

const char* check_types() {
    if (std::strcmp(api.ggml_op_name(kOpNone), "NONE") || std::strcmp(api.ggml_op_name(kOpMulMat), "MUL_MAT") ||
        std::strcmp(api.ggml_op_name(kOpMulMatId), "MUL_MAT_ID") ||
        std::strcmp(api.ggml_op_name(kOpFlashAttnExt), "FLASH_ATTN_EXT"))
        return "operation numbers differ";
    if (std::strcmp(api.ggml_type_name(kTypeF32), "f32") || std::strcmp(api.ggml_type_name(kTypeF16), "f16") ||
        std::strcmp(api.ggml_type_name(kTypeI32), "i32"))
        return "type numbers differ";
    const auto differs = [](const auto& l) {
        return !same_name(api.ggml_type_name(l.ggml_type), l.name) || api.ggml_blck_size(l.ggml_type) != l.columns ||
               api.ggml_type_size(l.ggml_type) != static_cast<size_t>(l.block_bytes);
    };
    if (std::any_of(std::begin(kLayouts), std::end(kLayouts), differs)) return "quantised types differ";
    if (std::any_of(std::begin(kCellLayouts), std::end(kCellLayouts), differs)) return "cell types differ";
    return nullptr;
}

const char* check_tensor() {
    Context* context = api.ggml_init({api.ggml_tensor_overhead() * 4, nullptr, true});
    if (!context) return "no memory";
    const Tensor* a = api.ggml_new_tensor_2d(context, kTypeF32, 32, 5);
    const Tensor* b = api.ggml_new_tensor_2d(context, kTypeF32, 32, 3);
    const Tensor* c = api.ggml_mul_mat(context, const_cast<Tensor*>(a), const_cast<Tensor*>(b));
    const bool same = a->type == kTypeF32 && !a->buffer && a->ne[0] == 32 && a->ne[1] == 5 && a->ne[2] == 1 &&
                      a->ne[3] == 1 && a->nb[0] == 4 && a->nb[1] == 128 && a->nb[3] == 640 && !a->view_src &&
                      !a->data && api.ggml_get_name(a) == a->name && !a->extra && c->op == kOpMulMat &&
                      c->src[0] == a && c->src[1] == b && !c->src[2] && c->ne[0] == 5 && c->ne[1] == 3;
    const bool sizes = api.ggml_tensor_overhead() - sizeof(Tensor) == 4 * sizeof(void*);  // the object header
    api.ggml_free(context);
    return same && sizes ? nullptr : "ggml_tensor differs";
}

const char* check_buffers() {
    BufferType* type = api.ggml_backend_cpu_buffer_type();
    if (!type->get_name || type->get_name(type) != api.ggml_backend_buft_name(type) || !type->is_host ||
        !type->is_host(type) || type->device != api.ggml_backend_buft_get_device(type))
        return "ggml_backend_buffer_type differs";
    Buffer* buffer = api.ggml_backend_buft_alloc_buffer(type, 4096);
    if (!buffer) return "no memory";
    const bool same = buffer->type == type && buffer->size == api.ggml_backend_buffer_get_size(buffer) &&
                      buffer->size >= 4096 && buffer->get_base &&
                      buffer->get_base(buffer) == api.ggml_backend_buffer_get_base(buffer) && buffer->set_tensor &&
                      buffer->get_tensor && buffer->free_buffer;
    api.ggml_backend_buffer_free(buffer);
    return same ? nullptr : "ggml_backend_buffer differs";
}

const char* check_registry() {
    Device* device = api.ggml_backend_dev_by_type(kDeviceCpu);
    if (!device) return "no CPU backend";
    Registry* registry = api.ggml_backend_dev_backend_reg(device);
    if (registry->api_version != kApiVersion) return "ggml_backend_reg differs";
    const char* name = "ggml_backend_dev_get_extra_bufts";
    const bool same =
        registry->get_name && registry->get_name(registry) == api.ggml_backend_reg_name(registry) &&
        registry->get_device_count &&
        registry->get_device_count(registry) == api.ggml_backend_reg_dev_count(registry) && registry->get_device &&
        registry->get_device(registry, 0) == device && api.ggml_backend_reg_dev_get(registry, 0) == device &&
        registry->get_proc_address && registry->get_proc_address(registry, name) &&
        registry->get_proc_address(registry, name) == api.ggml_backend_reg_get_proc_address(registry, name);
    return same ? nullptr : "ggml_backend_reg differs";
}

}  // namespace

const char* check_abi() {
    if (const char* problem = check_types()) return problem;
    if (const char* problem = check_tensor()) return problem;
    if (const char* problem = check_buffers()) return problem;
    return check_registry();
}

}  // namespace hd::kernels::ggml
