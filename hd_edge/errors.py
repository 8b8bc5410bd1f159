"""Everything hd_edge raises on purpose.

Each message says what happened, the two values that differ and what to do. The classes also derive from the built-in
exception that ``llama_cpp`` raises in the same place, so code written for ``llama_cpp`` keeps working.
"""

from __future__ import annotations

from typing import NoReturn

MOST_NAME = 1024  # characters of a model's name, which every chunk of an answer repeats
NO_MEMORY = "no memory is left for this: ask for less, or give the process more"
OTHER_USE = (
    "this generation ended when another generation, or another call, began on the same object: use one at a time"
)


def printable(text: str) -> str:
    """Text of a file, safe to show: control characters, also those that turn the writing direction, as escapes."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


class HDEdgeError(Exception):
    """Base of all errors of hd_edge. Messages may quote files of others, so they are made printable."""

    def __str__(self) -> str:
        return printable(super().__str__())


class ConfigError(HDEdgeError, ValueError):
    """An argument or an environment variable has a wrong type or value.

    Args:
        message: What happened, and what to do.
        param: The field of a request that is wrong, as OpenAI's API names it.
    """

    def __init__(self, message: str = "", param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class SchemaError(ConfigError):
    """A JSON schema asks for what no grammar of ours can hold."""


class ModelFileError(HDEdgeError, ValueError):
    """The model file is missing, truncated, or no GGUF."""


class UnsupportedBackendError(HDEdgeError, RuntimeError):
    """The installed llama-cpp-python does not match what the native module was made for."""


class ExactModeError(HDEdgeError, ValueError):
    """``exact=True`` is unavailable for this model or backend; the message says why."""


class TokenError(HDEdgeError, ValueError):
    """A token id is outside the vocabulary, or there are no tokens at all."""


class ContextFullError(HDEdgeError, ValueError, RuntimeError):
    """Prompt or conversation does not fit the context window."""

    @classmethod
    def of_prompt(cls, tokens: int, n_ctx: int) -> ContextFullError:
        """For a prompt of so many tokens."""
        return cls(
            f"the prompt has {tokens} tokens, the context window {n_ctx}: shorten it, or load with a larger n_ctx"
        )


class DecodeError(HDEdgeError, RuntimeError):
    """The forward of the target failed; the KV cache is as before it."""


class BusyError(HDEdgeError, RuntimeError):
    """So many requests wait for an ``Engine`` that one more was refused."""


class ClosedError(HDEdgeError, RuntimeError):
    """The model was closed, or belongs to the process that this one was forked from."""

    def __init__(self, message: str = "the model is closed: load it again with Llama(...)") -> None:
        super().__init__(message)


class StoreError(HDEdgeError):
    """A store cannot be opened, read or written."""


class StoreCorruptError(StoreError):
    """The file is a store of hd_edge, but damaged."""


class StoreForeignError(StoreError):
    """The file is no store of hd_edge; it was left alone."""


class StoreVersionError(StoreError):
    """The file was written by a newer hd_edge."""


class StoreMismatchError(StoreError):
    """The file belongs to another tokenizer or model."""


class StoreBusyError(StoreError):
    """Another process kept the file locked for too long."""


class StoreWarning(UserWarning):
    """Something is wrong with a store; generation goes on without it."""


class CorpusError(HDEdgeError, ValueError):
    """A corpus, a list of prompts or an export cannot be read, or holds nothing to learn from."""


class KernelWarning(UserWarning):
    """Our CPU kernels are unavailable here; llama.cpp's compute, and drafting gains less."""


def refuse(kind: type[HDEdgeError], message: str) -> NoReturn:
    """Raises an error of this kind."""
    raise kind(message)


def at_most(
    what: str, value: float, limit: int, thing: str = "the JSON schema", kind: type[HDEdgeError] = ConfigError
) -> None:
    """Checks a size of a grammar or a schema.

    Args:
        what: Is counted.
        value: How many there are.
        limit: How many there may be.
        thing: That is too large.
        kind: Of the error.

    Raises:
        ConfigError: There are more, or the value is no number.
    """
    if not value <= limit:  # not even NaN
        refuse(kind, f"{thing} has {value:.0f} {what}, at most {limit} are taken: make it smaller")
