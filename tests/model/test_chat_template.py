"""Chat templates with tools: what each kind is given, and what is written for it."""

from __future__ import annotations

import json

import pytest
from templates import TALK, TOOL, TWICE, made, written

from hd_edge.errors import ConfigError

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
QWEN = (  # in Qwen's manner
    "{% if tools %}<|im_start|>system\n<tools>{% for t in tools %}\n{{ t | tojson }}{% endfor %}\n</tools>"
    'in <tool_call>{"name": ..}</tool_call><|im_end|>\n{% endif %}'
    "{% for m in messages %}<|im_start|>{{ 'user' if m.role == 'tool' else m.role }}\n"
    "{% if m.role == 'tool' %}<tool_response>{{ m.content }}</tool_response>{% else %}{{ m.content }}{% endif %}"
    "{% for c in m.tool_calls %}<tool_call>\n"
    '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}\n</tool_call>{% endfor %}'
    "<|im_end|>\n{% endfor %}<|im_start|>assistant\n{% if enable_thinking %}<think>\n{% endif %}"
)
LLAMA = (  # in Llama 3's
    "{% for m in messages %}<|start_header_id|>{{ 'ipython' if m.role == 'tool' else m.role }}<|end_header_id|>\n\n"
    "{% if tools and loop.first %}{{ tools | tojson }} {name, parameters}{% endif %}"
    "{% if m.tool_calls %}{% if m.tool_calls | length > 1 %}{{ raise_exception('single tool-calls only') }}{% endif %}"
    '{"name": "{{ m.tool_calls[0].function.name }}", "parameters": {{ m.tool_calls[0].function.arguments | tojson }}}'
    "{% else %}{{ m.content }}{% endif %}<|eot_id|>{% endfor %}"
)
MISTRAL = (  # in Mistral's
    "{% for m in messages %}{% if m.role == 'user' %}{% if tools and loop.last %}[AVAILABLE_TOOLS]{{ tools | tojson }}"
    "{% endif %}[INST]{{ m.content }}[/INST]{% elif m.tool_calls %}[TOOL_CALLS][{% for c in m.tool_calls %}"
    "{% if c.id | length != 9 %}{{ raise_exception('ids of length 9') }}{% endif %}{{ c.function | tojson }}"
    "{% endfor %}]{% elif m.role == 'tool' %}[TOOL_RESULTS]{{ m.tool_call_id }} {{ m.content }}[/TOOL_RESULTS]"
    "{% else %}{{ m.content }}{% endif %}{% endfor %}"
)
TEXTS = (  # arguments are joined to text
    "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}<tool_call>"
    "{% for m in messages %}{{ m.role }}: {{ m.content }}{% for c in m.tool_calls %}"
    "{{ c.function.name + c.function.arguments }}{% endfor %}\n{% endfor %}"
)
NO_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{{ m.role }}: {{ m.content }}\n{% endfor %}"
)


@pytest.mark.parametrize(
    ("template", "name", "own"),
    [
        (CHATML, "generic", False),
        (QWEN, "hermes", True),
        (QWEN.replace("<tool_call>", "<function="), "generic", False),
        (LLAMA, "llama3", True),
        (MISTRAL, "mistral", True),
        (NO_SYSTEM, "generic", False),
    ],
)
def test_the_format_is_the_templates(template, name, own):
    form = made(template)[0].form
    assert (form.name, form.own) == (name, own)


def test_a_template_that_knows_tools_is_left_to_it():
    text = written(QWEN, TALK, [TOOL])
    assert f"<tools>{json.dumps(TOOL)}</tools>" in text
    assert '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>' in text
    assert "<tool_response>wet</tool_response>" in text
    assert '"parameters": {"city": "Oslo"}' in written(LLAMA, TALK, [TOOL])


def test_a_template_that_knows_none_gets_them_as_text():
    text = written(CHATML, TALK, [TOOL])
    assert text.startswith("<|im_start|>system\nYou may call one or more functions")
    assert f"<tools>\n{json.dumps(TOOL)}\n</tools>" in text
    assert (
        '<|im_start|>assistant\n<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>' in text
    )
    assert "<|im_start|>user\n<tool_response>\nwet\n</tool_response><|im_end|>" in text
    text = written(CHATML, [{"role": "system", "content": "Be kind."}, *TWICE], [TOOL])
    assert text.startswith("<|im_start|>system\nBe kind.\n\nYou may call")
    assert "<tool_response>\nwet\n</tool_response>\n<tool_response>\ndry\n</tool_response>" in text


def test_a_template_without_a_system_has_its_text_with_the_user():
    assert written(NO_SYSTEM, [{"role": "system", "content": "Be kind."}, TALK[0]]) == "user: Be kind.\n\nRain?\n"
    assert "You may call" in written(NO_SYSTEM, TALK, [TOOL])


def test_several_calls_go_as_text_where_the_template_refuses_them():
    assert not made(LLAMA)[0].takes_parallel
    assert written(LLAMA, TWICE, [TOOL]).count("<tool_call>") == 2
    assert made(QWEN)[0].takes_parallel
    assert written(QWEN, TWICE).count("<tool_call>") == 2


def test_ids_are_as_long_as_mistral_wants_them():
    text = written(MISTRAL, TALK, [TOOL])
    assert '"arguments": {"city": "Oslo"}' in text
    assert "[TOOL_RESULTS]234567890 wet" in text


def test_arguments_are_text_where_a_template_joins_them():
    assert 'weather{"city": "Oslo"}' in written(TEXTS, TALK, [TOOL])


def test_variables_reach_the_template():
    own, llama = made(QWEN)
    assert own.prompt(llama, TALK, None, {"enable_thinking": True}).thinking
    assert not own.prompt(llama, TALK, None, {}).thinking


def test_a_refusal_is_ours():
    refusing = CHATML + "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(ConfigError, match="refuses a conversation of 3 messages: roles must alternate") as caught:
        written(refusing, TALK)
    assert caught.value.param == "messages"
    with pytest.raises(ConfigError, match="multiple values"):
        own, llama = made(CHATML)
        own.prompt(llama, TALK, None, {"messages": []})
