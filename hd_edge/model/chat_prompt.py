"""A conversation as the tokens that a model is asked with."""

from __future__ import annotations

from typing import Any

from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from hd_edge.errors import ConfigError


def chat_tokens(llm: Any, messages: list[dict[str, str]]) -> list[int]:
    """The conversation in the model's chat template; without one, its texts with an empty line between them.

    Args:
        llm: ``llama_cpp.Llama`` or ``hd_edge.Llama``.
        messages: ``role`` and ``content`` each; the last one is the user's.

    Raises:
        ConfigError: The template refuses the conversation.
    """
    template = llm.metadata.get("tokenizer.chat_template")
    if not template:
        text = "\n\n".join(message["content"] for message in messages)
        return llm.tokenize(text.encode("utf-8"), special=True)  # type: ignore[no-any-return]
    from jinja2 import TemplateError  # a dependency of llama_cpp

    names = [llm._model.token_get_text(i) if i != -1 else "" for i in (llm.token_eos(), llm.token_bos())]
    try:
        turn = Jinja2ChatFormatter(template, *names)(messages=messages)
    except (TemplateError, ValueError) as error:
        msg = f"the model's chat template refuses a conversation of {len(messages)} messages: {error}"
        raise ConfigError(msg) from error
    return llm.tokenize(  # type: ignore[no-any-return]
        turn.prompt.encode("utf-8"), add_bos=not turn.added_special, special=True
    )
