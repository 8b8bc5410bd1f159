"""Writes random-weight GGUF models of a few megabytes: a llama of any quantization, and a mamba."""

from __future__ import annotations

import ctypes
from pathlib import Path

import gguf
import llama_cpp
import numpy as np

VOCAB = 512
WIDTH, FEED_FORWARD, HEADS, LAYERS = 512, 1024, 8, 2

FILE_TYPES = {"Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25}
OTHER_FILE_TYPES = {"F32": 0, "F16": 1, "BF16": 32, "Q2_K": 10}


def _vocabulary(writer: gguf.GGUFWriter) -> None:
    words = [b"<unk>", b"<s>", b"</s>"] + [f"<0x{b:02X}>".encode() for b in range(256)]
    types = [2, 3, 3] + [6] * 256
    letters = "abcdefghijklmnopqrstuvwxyz"
    syllables = ["\u2581", *letters] + [a + b for a in letters for b in "aeiouns"]
    for text in syllables[: VOCAB - len(words)]:
        words.append(text.encode())
        types.append(1)
    while len(words) < VOCAB:
        words.append(f"[extra{len(words)}]".encode())
        types.append(4)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(words)
    writer.add_token_scores([-float(i) for i in range(VOCAB)])
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)


def write_llama(path: Path, *, dtype: type = np.float32, seed: int = 0, context: int = 4096) -> Path:
    """A random llama with float weights; logits are spread enough that greedy text is not one token."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(context)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS // 2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(VOCAB)
    _vocabulary(writer)

    def matrix(name: str, rows: int, columns: int, scale: float = 1.0) -> None:
        values = rng.standard_normal((rows, columns), dtype=np.float32) * (scale / np.sqrt(columns))
        writer.add_tensor(name, values.astype(dtype))

    def ones(name: str, n: int) -> None:
        writer.add_tensor(name, np.ones(n, dtype=np.float32))

    matrix("token_embd.weight", VOCAB, WIDTH, 20.0)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        ones(block + "attn_norm.weight", WIDTH)
        ones(block + "ffn_norm.weight", WIDTH)
        matrix(block + "attn_q.weight", WIDTH, WIDTH, 2.0)
        matrix(block + "attn_k.weight", WIDTH // 2, WIDTH, 2.0)
        matrix(block + "attn_v.weight", WIDTH // 2, WIDTH, 2.0)
        matrix(block + "attn_output.weight", WIDTH, WIDTH, 2.0)
        matrix(block + "ffn_gate.weight", FEED_FORWARD, WIDTH)
        matrix(block + "ffn_up.weight", FEED_FORWARD, WIDTH)
        matrix(block + "ffn_down.weight", WIDTH, FEED_FORWARD)
    ones("output_norm.weight", WIDTH)
    matrix("output.weight", VOCAB, WIDTH, 3.0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_lora(
    path: Path, dtype: type = np.float32, *, arch: str = "llama", width: int = WIDTH, experts: tuple[int, ...] = ()
) -> Path:
    """A random adapter of rank 4 for one matrix of write_llama's models, or for experts: how many, and their rows."""
    number, rows = experts[:1], (experts or (0, width))[1]
    matrix = "blk.0.ffn_up_exps.weight" if experts else "blk.0.attn_q.weight"
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, arch)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    for name, shape in (("a", (*number, 4, width)), ("b", (*number, rows, 4))):
        values = (rng.standard_normal(shape) * 0.3).astype(dtype)
        writer.add_tensor(f"{matrix}.lora_{name}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def quantize(source: Path, target: Path, quantization: str) -> Path:
    """Requantizes with llama.cpp; K-quants are the usual mixes."""
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = (FILE_TYPES | OTHER_FILE_TYPES)[quantization]
    params.allow_requantize = True
    params.nthread = 2
    code = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params))
    if code != 0:
        raise RuntimeError(f"quantizing to {quantization} failed with {code}")
    return target


def write_mamba(path: Path) -> Path:
    """A random recurrent model."""
    rng = np.random.default_rng(1)
    width, inner, state, rank, kernel = 64, 128, 16, 4, 4
    writer = gguf.GGUFWriter(path, "mamba")
    writer.add_context_length(512)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_block_count(1)
    writer.add_ssm_conv_kernel(kernel)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(rank)
    writer.add_layer_norm_rms_eps(1e-5)
    _vocabulary(writer)

    def tensor(name: str, *shape: int, scale: float = 0.3) -> None:
        writer.add_tensor(name, (rng.standard_normal(shape) * scale).astype(np.float32))

    tensor("token_embd.weight", VOCAB, width, scale=2.0)
    writer.add_tensor("output_norm.weight", np.ones(width, dtype=np.float32))
    writer.add_tensor("blk.0.attn_norm.weight", np.ones(width, dtype=np.float32))
    tensor("blk.0.ssm_in.weight", 2 * inner, width)
    tensor("blk.0.ssm_conv1d.weight", inner, kernel)
    tensor("blk.0.ssm_conv1d.bias", inner)
    tensor("blk.0.ssm_x.weight", rank + 2 * state, inner)
    tensor("blk.0.ssm_dt.weight", inner, rank)
    tensor("blk.0.ssm_dt.bias", inner)
    writer.add_tensor("blk.0.ssm_a", -np.ones((inner, state), dtype=np.float32))
    tensor("blk.0.ssm_d", inner)
    tensor("blk.0.ssm_out.weight", width, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
