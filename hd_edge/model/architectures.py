"""Architectures by what llama.cpp's src/models/ take for granted of them."""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


DELTA_NETS = _names("qwen35 qwen35moe qwen3next")  # their attention has a gate as wide as the queries
MAMBA_2 = _names("mamba2 granitehybrid nemotron_h nemotron_h_moe falcon-h1")
DOUBLED = _names("granitehybrid jamba")  # the state is twice as wide as the model
GEMMAS = _names("gemma gemma2 gemma3 gemma3n gemma4")
GRANITES = _names("granite granitemoe granitehybrid")
MIXTURES = _names("bailingmoe2 glm4moe grovemoe llada-moe qwen35moe qwen4exp smallthinker")  # never without experts
DIVIDING = _names("gemma2 gemma3 olmo2 phimoe")  # by the heads of the first layer

# Heads turn with the position as a whole, and their keys are as long as their values.
WHOLE = _names(
    "apertus arcee arctic baichuan codeshell dbrx deci deepseek dots1 dream ernie4_5 ernie4_5-moe exaone exaone4 "
    "exaone-moe falcon gpt-oss granite granitemoe grok grovemoe hunyuan-moe internlm2 llada llada-moe llama llama4 "
    "mistral3 olmo olmo2 olmoe orion plamo qwen2 qwen2moe qwen2vl qwen3 qwen3moe qwen3vl qwen3vlmoe seed_oss "
    "smallthinker smollm3 starcoder2 xverse"
)
ONE_LENGTH = (
    WHOLE
    | DELTA_NETS
    | GEMMAS
    | _names(
        "afmoe bitnet bloom chatglm cohere2 command-r glm4 glm4moe gpt2 gptneox granitehybrid lfm2 lfm2moe minimax-m2 "
        "mpt nemotron nemotron_h phi2 phi3 qwen refact stablelm starcoder"
    )
)
# Queries, keys and values are matrices of their own (or one of all), as wide as the heads.
ATTENTION = (
    DELTA_NETS | GEMMAS | GRANITES | _names("gpt-oss lfm2 lfm2moe llama mistral3 qwen2 qwen2moe qwen3 qwen3moe smollm3")
)
KNOWN = ATTENTION | MAMBA_2
LEAST = {  # what of its numbers may not be less
    "glm5-next": {"attention.indexer.kpool": 2},
    "grovemoe": {"experts_per_group": 1},
    "hrm_text": {"hrm.layers_per_stack": 1, "hrm.h_cycles": 1, "hrm.l_cycles": 1},
    "minimax-m3": {"attention.indexer.block_size": 1},
    "nanbeige": {"num_loops": 1},
}
