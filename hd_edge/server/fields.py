"""Fields of request bodies: those of several shapes say in one sentence what fits."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from hd_edge.errors import MOST_NAME

from .shown import shown

INT32 = 2**31 - 1
LEFT_OUT = "leave it out or send null"
MOST_STOPS = 64


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


def most_tokens(unlimited: str, least: int = 0) -> BeforeValidator:
    """How many tokens there may be; a negative number, no limit in other programs, is told what is none here."""

    def check(value: Any) -> Any:
        if type(value) is int and value < 0:
            msg = "{got} is below {least}: send {least} or more; for no limit, {unlimited}"
            raise wrong(msg, got=shown(value), least=str(least), unlimited=unlimited)
        return value

    return BeforeValidator(check)


def few(most: int) -> BeforeValidator:
    """A list of at most so many items, counted before they are read: pydantic keeps an error of every wrong one."""

    def check(value: Any) -> Any:
        if isinstance(value, list) and len(value) > most:
            msg = "the list has {got} items, at most {most} are taken"
            raise wrong(msg, got=str(len(value)), most=str(most))
        return value

    return BeforeValidator(check)


def _no_token(values: list[Any]) -> int | None:
    """Where the first value stands that is no token id."""
    wrong_ones = (place for place, value in enumerate(values) if type(value) is not int or not 0 <= value <= INT32)
    return next(wrong_ones, None)


def _tokens(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Token ids: pydantic is shown them up to the first mistake."""
    place = _no_token(value) if isinstance(value, list) else None
    return handler(value if place is None else value[: place + 1])


def _texts(value: Any, _: ValidatorFunctionWrapHandler) -> Any:
    """Any shape of ``Texts``; the first wrong item ends the search."""
    items = value if isinstance(value, list) else [value]
    first = items[0] if items else ""
    if isinstance(first, str):
        good = all(isinstance(item, str) for item in items)
    elif isinstance(first, list):
        good = all(isinstance(item, list) and _no_token(item) is None for item in items)
    else:
        good = isinstance(value, list) and _no_token(items) is None
    if not good:
        msg = "{got} is not a text, a list of texts, a list of token ids, or a list of such lists"
        raise wrong(msg, got=shown(value))
    return value


Tokens = Annotated[list[Annotated[int, Field(ge=0, le=INT32, strict=True)]], WrapValidator(_tokens)]
Texts = Annotated[str | list[str] | list[int] | list[list[int]], WrapValidator(_texts)]
Stop = Annotated[str | Annotated[list[str], few(MOST_STOPS)], shaped(f"a text or up to {MOST_STOPS}")]
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
