"""Chat templates of a file that fail, or reach for what is none of theirs: an error of ours, the model stays good."""

from __future__ import annotations

import pytest
from broken_gguf import STRING, sound
from llama_cpp import LogitsProcessorList
from llama_cpp.llama_chat_format import Jinja2ChatFormatter
from one_model import ONE

from hd_edge import ConfigError, Engine, Llama, ModelFileError

TALK = [{"role": "user", "content": "hello"}]
GOOD = "{% for m in messages %}{{ m.content }}{% endfor %}"
FAILING = {
    "a huge range": ("{% for i in range(10**9) %}{% endfor %}", "OverflowError: Range too big"),
    "a division": ("{{ 1 / 0 }}", "ZeroDivisionError"),
    "a name": ("{{ nobody.content }}", "UndefinedError: 'nobody' is undefined"),
    "a type": ("{{ messages + 1 }}", "TypeError"),
    "an attribute": ("{{ ''.__class__.__mro__ }}", "SecurityError"),
    "a change": ("{{ messages.append(1) }}", "SecurityError"),
    "a file": ("{% include '/etc/hostname' %}", "TemplateNotFound|no loader"),
    "a recursion": ("{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}", "RecursionError"),
    "a refusal": ("{{ raise_exception('users only') }}", "refuses a conversation of 1 messages: users only"),
}


@pytest.fixture(scope="module")
def llm(models):
    with Llama(str(models("Q4_0")), n_ctx=256, **ONE) as llm:
        yield llm


@pytest.fixture
def put(llm, monkeypatch):
    """Gives the model another template."""

    def put(template):
        handler = Jinja2ChatFormatter(template, "</s>", "<s>").to_chat_handler()
        monkeypatch.setitem(llm._chat_handlers, "chat_template.default", handler)
        monkeypatch.setattr(llm, "chat_format", "chat_template.default")
        llm.__dict__.pop("_kept_template", None)

    return put


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", FAILING)
def test_what_a_template_raises_is_an_error_of_ours(llm, put, name, stream):
    template, told = FAILING[name]
    put(GOOD)
    want = llm.create_chat_completion(TALK, max_tokens=4, temperature=0.0)["choices"]
    put(template)
    with pytest.raises(ConfigError, match=f"chat template refuses .*({told})|{told}"):
        llm.create_chat_completion(TALK, max_tokens=4, stream=stream)
    put(GOOD)
    assert llm.create_chat_completion(TALK, max_tokens=4, temperature=0.0)["choices"] == want


@pytest.mark.parametrize("kind", [Llama, Engine])
def test_a_template_that_is_too_deep_to_be_read_is_told_at_load(tmp_path, kind):
    made = sound()
    made.set("tokenizer.chat_template", STRING, "{{ " + "-" * 9999 + "1 }}")
    path = tmp_path / "deep.gguf"
    path.write_bytes(made.to_bytes())
    with pytest.raises(ModelFileError, match=r"cannot load .*recursion"):
        kind(str(path), n_ctx=64, n_threads=1, store=None, statistics=None)


def test_what_a_callback_raises_stays_what_it_is(llm, put):
    put(GOOD)
    processors = LogitsProcessorList([lambda ids, scores: 1 / 0])
    with pytest.raises(ZeroDivisionError):
        llm.create_chat_completion(TALK, max_tokens=4, logits_processor=processors)
