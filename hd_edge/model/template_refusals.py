"""What a chat template refuses, in words: variables that are not a request's to give, messages it cannot write."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from traceback import walk_tb

from llama_cpp import Llama, llama_chat_format

from hd_edge.errors import ConfigError, HDEdgeError

MOST_NAMED = 200  # characters of names in a message
RENDERS = inspect.unwrap(llama_chat_format.Jinja2ChatFormatter.__call__).__code__
GIVEN = frozenset(  # what a template gets of the request, or of the model
    [
        *inspect.signature(Llama.create_chat_completion).parameters,
        *("llama", "eos_token", "bos_token", "add_generation_prompt", "raise_exception", "strftime_now"),
    ]
)


def check_variables(names: Iterable[str]) -> None:
    """Checks the names of more variables for a template.

    Raises:
        ConfigError: One is given by the request, or by the model.
    """
    if taken := next((name for name in names if name in GIVEN), None):
        msg = f"chat_template_kwargs has {taken!r}, which the template gets from the request or the model: leave it out"
        raise ConfigError(msg, "chat_template_kwargs")


def refusal(messages: int, error: Exception) -> ConfigError:
    """What a template raised over so many messages, in words."""
    why = f"{type(error).__name__}: {error}" if not isinstance(error, ValueError) else error
    return ConfigError(f"the model's chat template refuses a conversation of {messages} messages: {why}", "messages")


def misled(variables: Iterable[str], error: Exception) -> ConfigError:
    """What a template raised over its variables alone."""
    names = ", ".join(map(repr, variables))[:MOST_NAMED]
    why = f": {error}" if type(error) is ValueError else ""  # what else there is are Python's words
    msg = f"chat_template_kwargs has {names}, with which the model's chat template fails{why}: leave out what it lacks"
    return ConfigError(msg, "chat_template_kwargs")


@contextmanager
def refusals(messages: int) -> Iterator[None]:
    """A chat handler of llama_cpp writes its prompt, and answers, in this block.

    Args:
        messages: How many there are.

    Raises:
        ConfigError: The template failed; what anything else raised stays what it is.
    """
    try:
        yield
    except HDEdgeError:
        raise
    except Exception as error:  # a template may fail with anything
        if all(frame.f_code is not RENDERS for frame, _ in walk_tb(error.__traceback__)):
            raise
        raise refusal(messages, error) from error
