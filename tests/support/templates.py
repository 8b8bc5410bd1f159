"""Chat templates without a model, and a conversation with a call."""

from __future__ import annotations

from types import SimpleNamespace

from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from hd_edge.model.chat_template import ChatTemplate
from hd_edge.model.messages import plain_messages

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {"id": "call_1234567890", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
TALK = plain_messages(
    [
        {"role": "user", "content": "Rain?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": CALL["id"], "content": "wet"},
    ]
)
TWICE = [*TALK[:1], {**TALK[1], "tool_calls": [CALL, CALL]}, TALK[2], {**TALK[2], "content": "dry"}]


def made(template: str) -> tuple[ChatTemplate, SimpleNamespace]:
    handler = Jinja2ChatFormatter(template, "</s>", "<s>").to_chat_handler()
    llama = SimpleNamespace(
        _chat_handlers={"chat_template.default": handler},
        chat_format="chat_template.default",
        chat_handler=None,
        metadata={"tokenizer.chat_template": template},
        check_size=lambda _: None,
        tokenize=lambda text, **_: list(text),
    )
    return ChatTemplate(llama), llama


def written(template: str, messages: list, tools: list | None = None, **settings: object) -> str:
    own, llama = made(template)
    prompt = own.prompt(llama, plain_messages(messages), tools, settings)
    assert bytes(prompt.tokens).decode() == prompt.text
    return prompt.text


R1 = (  # in the manner of DeepSeek's and llama.cpp's
    "{% for t in tools or [] %}{{ t.function | tojson }}\n{% endfor %}{% for m in messages %}{% if m.role == 'user' %}"
    "<｜User｜>{{ m.content }}{% elif m.role == 'system' %}{{ m.content }}{% elif m.tool_calls %}<｜Assistant｜>"
    "<｜tool▁calls▁begin｜>{% for c in m.tool_calls %}{{ '' if loop.first else '\n' }}<｜tool▁call▁begin｜>{{ c.type }}"
    "<｜tool▁sep｜>{{ c.function.name }}\n```json\n{{ c.function.arguments | tojson }}\n```<｜tool▁call▁end｜>"
    "{% endfor %}<｜tool▁calls▁end｜>{% elif m.role == 'tool' %}"
    "<｜tool▁output▁begin｜>{{ m.content }}<｜tool▁output▁end｜>"
    "{% else %}<｜Assistant｜>{{ m.content }}{% endif %}{% endfor %}<｜Assistant｜><think>\n"
)
V31 = R1.replace("{% for t in tools or [] %}{{ t.function | tojson }}\n{% endfor %}", "").replace(
    "{{ c.type }}<｜tool▁sep｜>{{ c.function.name }}\n```json\n{{ c.function.arguments | tojson }}\n```",
    "{{ c.function.name }}<｜tool▁sep｜>{{ c.function.arguments | tojson }}",
)
CODER = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if tools and loop.first %}<tools>{% for t in tools %}"
    "<function><name>{{ t.function.name }}</name></function>{% endfor %}</tools> <tool_call>\n<function=..>\n"
    "<parameter=..>{% endif %}{{ m.content }}{% for c in m.tool_calls or [] %}\n<tool_call>\n"
    "<function={{ c.function.name }}>\n{% for k, v in c.function.arguments | items %}<parameter={{ k }}>\n"
    "{{ v if v is string else v | tojson }}\n</parameter>\n{% endfor %}</function>\n</tool_call>{% endfor %}"
    "<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
OSS = (
    "<|start|>system<|message|># Valid channels: analysis, commentary, final.<|end|>{% if tools %}<|start|>developer"
    "<|message|>{% for t in tools %}type {{ t.function.name }} = (_: any) => any;{% endfor %}<|end|>{% endif %}"
    "{% for m in messages %}{% if m.role == 'user' %}<|start|>user<|message|>{{ m.content }}<|end|>"
    "{% elif 'tool_calls' in m %}<|start|>assistant to=functions.{{ m.tool_calls[0].function.name }}<|channel|>"
    "commentary json<|message|>{{ m.tool_calls[0].function.arguments | tojson }}<|call|>{% elif m.role == 'tool' %}"
    "<|start|>functions to=assistant<|channel|>commentary<|message|>{{ m.content | tojson }}<|end|>{% else %}"
    "<|start|>{{ m.role }}<|channel|>final<|message|>{{ m.content }}<|end|>{% endif %}{% endfor %}<|start|>assistant"
)
