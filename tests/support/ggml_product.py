"""One matrix product of ggml, with the weights in a buffer type of one's choice."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from llama_cpp import llama_cpp as lib


class Ggml:
    """Just enough of ggml to compute one product with the weights in a given buffer type."""

    class InitParams(ctypes.Structure):
        _fields_ = [("size", ctypes.c_size_t), ("buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool)]

    def call(self, name: str, *arguments: Any, result: Any = ctypes.c_void_p) -> Any:
        function = getattr(lib._lib, name)
        function.restype, function.argtypes = result, None
        return function(*arguments)

    def row_buffer_type(self) -> int:
        device = ctypes.c_void_p(self.call("ggml_backend_dev_by_type", 0))
        registry = ctypes.c_void_p(self.call("ggml_backend_dev_backend_reg", device))
        address = self.call("ggml_backend_reg_get_proc_address", registry, b"ggml_backend_dev_get_extra_bufts")
        types = ctypes.CFUNCTYPE(ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p)(address)(device)
        assert self.call("ggml_backend_buft_name", ctypes.c_void_p(types[0]), result=ctypes.c_char_p) == b"HD_EDGE_ROWS"
        return types[0]

    def product(self, blocks: np.ndarray, kind: int, x: np.ndarray, buffer_type: int) -> np.ndarray:
        ptr, size = ctypes.c_void_p, ctypes.c_int64
        weights, rest = (ptr(self.call("ggml_init", self.InitParams(1 << 20, None, True))) for _ in range(2))
        w = ptr(self.call("ggml_new_tensor_2d", weights, kind, size(x.shape[1]), size(len(blocks))))
        a = ptr(self.call("ggml_new_tensor_2d", rest, 0, size(x.shape[1]), size(len(x))))
        y = ptr(self.call("ggml_mul_mat", rest, w, a))
        graph = ptr(self.call("ggml_new_graph", rest))
        self.call("ggml_build_forward_expand", graph, y)
        buffers = [
            ptr(self.call("ggml_backend_alloc_ctx_tensors_from_buft", context, ptr(kind_of_buffer)))
            for context, kind_of_buffer in ((weights, buffer_type), (rest, self.call("ggml_backend_cpu_buffer_type")))
        ]
        for tensor, data in ((w, np.ascontiguousarray(blocks)), (a, x)):
            self.call("ggml_backend_tensor_set", tensor, ptr(data.ctypes.data), size(0), size(data.nbytes))
        backend = ptr(self.call("ggml_backend_cpu_init"))
        assert self.call("ggml_backend_graph_compute", backend, graph, result=ctypes.c_int) == 0
        out = np.empty((len(x), len(blocks)), dtype=np.float32)
        self.call("ggml_backend_tensor_get", y, ptr(out.ctypes.data), size(0), size(out.nbytes))
        self.call("ggml_backend_free", backend)
        for buffer in buffers:
            self.call("ggml_backend_buffer_free", buffer)
        for context in (weights, rest):
            self.call("ggml_free", context)
        return out
