// What we need to know of ggml, mirrored: nothing of llama.cpp is needed to build this. The structures are those of
// ggml 0.25 (API version 2); row_kernels.py admits only versions that these were tested with, and check_abi() compares
// them with the library in the process before anything is installed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hd::kernels::ggml {

struct Buffer;
struct BufferType;
struct Context;
struct Device;
struct Graph;
struct Registry;
struct Threadpool;

constexpr int kTypeF32 = 0;
constexpr int kTypeF16 = 1;
constexpr int kTypeI32 = 26;
constexpr int kOpNone = 0;
constexpr int kOpMulMat = 29;
constexpr int kOpMulMatId = 30;
constexpr int kOpFlashAttnExt = 74;
constexpr int kDeviceCpu = 0;
constexpr int kSuccess = 0;
constexpr int kApiVersion = 2;

struct Tensor {
    int32_t type;
    Buffer* buffer;
    int64_t ne[4];  // elements
    size_t nb[4];   // strides in bytes
    int32_t op;
    int32_t op_params[16];
    int32_t flags;
    Tensor* src[10];
    Tensor* view_src;
    size_t view_offs;
    void* data;
    char name[64];
    void* extra;
    char padding[8];
};

struct BufferType {
    const char* (*get_name)(BufferType*);
    Buffer* (*alloc_buffer)(BufferType*, size_t);
    size_t (*get_alignment)(BufferType*);
    size_t (*get_max_size)(BufferType*);
    size_t (*get_alloc_size)(BufferType*, const Tensor*);
    bool (*is_host)(BufferType*);
    Device* device;
    void* context;
};

struct Buffer {
    void (*free_buffer)(Buffer*);
    void* (*get_base)(Buffer*);
    int32_t (*init_tensor)(Buffer*, Tensor*);
    void (*memset_tensor)(Buffer*, Tensor*, uint8_t, size_t, size_t);
    void (*set_tensor)(Buffer*, Tensor*, const void*, size_t, size_t);
    void (*get_tensor)(Buffer*, const Tensor*, void*, size_t, size_t);
    void (*set_tensor_2d)(Buffer*, Tensor*, const void*, size_t, size_t, size_t, size_t, size_t);
    void (*get_tensor_2d)(Buffer*, const Tensor*, void*, size_t, size_t, size_t, size_t, size_t);
    bool (*cpy_tensor)(Buffer*, const Tensor*, Tensor*);
    void (*clear)(Buffer*, uint8_t);
    void (*reset)(Buffer*);
    BufferType* type;
    void* context;
    size_t size;
    int32_t usage;
};

using GetProcAddress = void* (*)(Registry*, const char*);

struct Registry {
    int32_t api_version;
    const char* (*get_name)(Registry*);
    size_t (*get_device_count)(Registry*);
    Device* (*get_device)(Registry*, size_t);
    GetProcAddress get_proc_address;
    void* context;
};

struct ComputeParams {
    int ith, nth;
    size_t wsize;
    void* wdata;
    Threadpool* threadpool;
    bool use_ref;
};

struct InitParams {
    size_t mem_size;
    void* mem_buffer;
    bool no_alloc;
};

// The two classes behind ggml's CPU buffer types: only their virtual functions matter, in this order.
class TensorTraits {
  public:
    virtual ~TensorTraits() = default;
    virtual bool work_size(int threads, const Tensor* op, size_t& size) = 0;
    virtual bool compute_forward(ComputeParams* params, Tensor* op) = 0;
};

class ExtraBufferType {
  public:
    virtual ~ExtraBufferType() = default;
    virtual bool supports_op(Device* device, const Tensor* op) = 0;
    virtual TensorTraits* get_tensor_traits(const Tensor* op) = 0;
};

// name, result, arguments: every function that we call, by the name that the library exports.
#define HD_GGML_FUNCTIONS(X)                                                                             \
    X(ggml_init, Context*, (InitParams))                                                                 \
    X(ggml_free, void, (Context*))                                                                       \
    X(ggml_new_tensor_2d, Tensor*, (Context*, int32_t, int64_t, int64_t))                                \
    X(ggml_new_tensor_4d, Tensor*, (Context*, int32_t, int64_t, int64_t, int64_t, int64_t))              \
    X(ggml_flash_attn_ext, Tensor*, (Context*, Tensor*, Tensor*, Tensor*, Tensor*, float, float, float)) \
    X(ggml_flash_attn_ext_add_sinks, void, (Tensor*, Tensor*))                                           \
    X(ggml_mul_mat, Tensor*, (Context*, Tensor*, Tensor*))                                               \
    X(ggml_mul_mat_id, Tensor*, (Context*, Tensor*, Tensor*, Tensor*))                                   \
    X(ggml_new_graph, Graph*, (Context*))                                                                \
    X(ggml_build_forward_expand, void, (Graph*, Tensor*))                                                \
    X(ggml_tensor_overhead, size_t, ())                                                                  \
    X(ggml_graph_overhead, size_t, ())                                                                   \
    X(ggml_get_name, const char*, (const Tensor*))                                                       \
    X(ggml_nbytes, size_t, (const Tensor*))                                                              \
    X(ggml_op_name, const char*, (int32_t))                                                              \
    X(ggml_type_name, const char*, (int32_t))                                                            \
    X(ggml_type_size, size_t, (int32_t))                                                                 \
    X(ggml_blck_size, int64_t, (int32_t))                                                                \
    X(ggml_barrier, void, (Threadpool*))                                                                 \
    X(ggml_threadpool_chunk_set, void, (Threadpool*, int))                                               \
    X(ggml_threadpool_chunk_add, int, (Threadpool*, int))                                                \
    X(ggml_backend_alloc_ctx_tensors_from_buft, Buffer*, (Context*, BufferType*))                        \
    X(ggml_backend_buffer_free, void, (Buffer*))                                                         \
    X(ggml_backend_buffer_get_base, void*, (Buffer*))                                                    \
    X(ggml_backend_buffer_get_size, size_t, (Buffer*))                                                   \
    X(ggml_backend_buffer_get_type, BufferType*, (Buffer*))                                              \
    X(ggml_backend_buft_alloc_buffer, Buffer*, (BufferType*, size_t))                                    \
    X(ggml_backend_buft_get_device, Device*, (BufferType*))                                              \
    X(ggml_backend_buft_is_host, bool, (BufferType*))                                                    \
    X(ggml_backend_buft_name, const char*, (BufferType*))                                                \
    X(ggml_backend_cpu_buffer_from_ptr, Buffer*, (void*, size_t))                                        \
    X(ggml_backend_cpu_buffer_type, BufferType*, ())                                                     \
    X(ggml_backend_cpu_init, void*, ())                                                                  \
    X(ggml_backend_cpu_set_n_threads, void, (void*, int))                                                \
    X(ggml_backend_dev_backend_reg, Registry*, (Device*))                                                \
    X(ggml_backend_dev_by_type, Device*, (int32_t))                                                      \
    X(ggml_backend_free, void, (void*))                                                                  \
    X(ggml_backend_graph_compute, int32_t, (void*, Graph*))                                              \
    X(ggml_backend_reg_dev_count, size_t, (Registry*))                                                   \
    X(ggml_backend_reg_dev_get, Device*, (Registry*, size_t))                                            \
    X(ggml_backend_reg_name, const char*, (Registry*))                                                   \
    X(ggml_backend_reg_get_proc_address, void*, (Registry*, const char*))                                \
    X(ggml_backend_tensor_get, void, (const Tensor*, void*, size_t, size_t))                             \
    X(ggml_backend_tensor_set, void, (Tensor*, const void*, size_t, size_t))                             \
    X(_Z39ggml_backend_cpu_get_extra_buffer_typesv, std::vector<BufferType*>&, ())

struct Functions {
#define X(name, result, arguments) result(*name) arguments;
    HD_GGML_FUNCTIONS(X)
#undef X
    std::vector<BufferType*>& extra_buffer_types() const { return _Z39ggml_backend_cpu_get_extra_buffer_typesv(); }
};

// The functions of the library in this process; filled once by hd_rows_install.
extern Functions api;

// nullptr if the structures above are those of the library, else what differs.
const char* check_abi();

}  // namespace hd::kernels::ggml
