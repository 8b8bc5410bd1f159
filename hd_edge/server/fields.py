"""Fields of request bodies: those of several shapes say in one sentence what fits."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

INT32 = 2**31 - 1
MOST_NAME = 1024  # characters of a model's name, which every chunk of an answer repeats
MOST_STOPS = 64
MOST_SHOWN = 60  # characters of a wrong value


def shaped(expected: str) -> WrapValidator:
    """A field of several shapes: a mistake is one sentence, where pydantic would tell of each shape by its class."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            msg = "{got} is not {expected}"
            raise wrong(msg, got=shown(value), expected=expected) from error

    return WrapValidator(check)


def wrong(message: str, **values: str) -> PydanticCustomError:
    """A mistake in a field; values stand in braces in the message."""
    return PydanticCustomError("wrong", message, values)


def shown(value: Any) -> str:
    """The beginning of a value, for a message."""
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


Token = Annotated[int, Field(ge=0, le=INT32, strict=True)]
Tokens = list[Token]
Texts = Annotated[
    str | list[str] | Tokens | list[Tokens],
    shaped("a text, a list of texts, a list of token ids, or a list of such lists"),
]
Stop = Annotated[str | Annotated[list[str], Field(max_length=MOST_STOPS)], shaped(f"a text or up to {MOST_STOPS}")]
Bias = Annotated[dict[str, float], shaped("a mapping of tokens to numbers")]


def _short(name: str) -> str:
    if len(name) > MOST_NAME:  # not max_length, which refuses half a character
        msg = f"the name has {len(name)} characters, at most {MOST_NAME} are taken"
        raise wrong(msg)
    return name


Name = Annotated[str, AfterValidator(_short)]


class Body(BaseModel):
    """A request's body. A field of ``null`` counts as left out, as in OpenAI's API; fields not known are ignored."""

    model_config = ConfigDict(allow_inf_nan=False)

    model: Name | None = None
    user: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _left_out(cls, body: Any) -> Any:
        return {key: value for key, value in body.items() if value is not None} if isinstance(body, dict) else body


def separate(texts: str | list[Any]) -> list[str | list[int]]:
    """Each of ``Texts`` on its own."""
    if isinstance(texts, str) or (texts and isinstance(texts[0], int)):
        return [texts]
    return list(texts)
