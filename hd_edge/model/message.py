"""A whole chat completion from the chunks of its stream."""

from __future__ import annotations

from typing import Any

from hd_edge.stats import GenerationStats, timings, usage


def whole(chunks: list[dict[str, Any]], prompt_tokens: int, stats: GenerationStats) -> dict[str, Any]:
    """Joins the chunks of one answer.

    Args:
        chunks: All of them, in order.
        prompt_tokens: Tokens of its prompt.
        stats: Counts of its generation.
    """
    message: dict[str, Any] = {"role": "assistant", "content": None}
    calls: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    finish = None
    older = False
    for choice in (chunk["choices"][0] for chunk in chunks):
        delta, finish = choice["delta"], choice["finish_reason"]
        for name in ("content", "reasoning_content"):
            if delta.get(name):
                message[name] = (message.get(name) or "") + delta[name]
        older |= "function_call" in delta
        for call in delta.get("tool_calls", ()):
            if call["index"] == len(calls):
                calls.append({**call, "function": dict(call["function"])})
                del calls[-1]["index"]
            else:
                calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
        entries += (choice["logprobs"] or {"content": []})["content"]
    if calls:
        message["tool_calls"] = calls
        if older:
            message["function_call"] = dict(calls[0]["function"])
    elif message["content"] is None:
        message["content"] = ""
    logprobs = {"content": entries, "refusal": None} if entries else None
    head = {name: chunks[0][name] for name in ("id", "created", "model")}
    choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": finish}
    counts = {"usage": usage(prompt_tokens, stats.tokens - stats.ends, stats), "timings": timings(stats)}
    return {**head, "object": "chat.completion", "choices": [choice], **counts}
