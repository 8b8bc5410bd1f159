"""The grammar (GBNF) of calls of tools: their names, and arguments by their schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from .call_format import CallFormat
from .json_schema import texts
from .json_schema.rules import SHARED

WORDS = re.compile(r'"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|#[^\n]*|[A-Za-z0-9-]*[A-Za-z-][A-Za-z0-9-]*', re.DOTALL)
THOUGHTS = '([^<] | "<" [^/] | "</" [^t])* "</think>" [ \\n]*'  # from within them to the answer


def call_grammar(
    form: CallFormat,
    tools: Mapping[int, dict[str, Any]],
    arguments: Callable[[dict[str, Any], str], str],
    *,
    parallel: bool,
    after_opening: bool = False,
) -> str:
    """GBNF of one call or several; its first rule is ``calls``.

    Args:
        form: How they are written.
        tools: OpenAI's tools that may be called, by their place in the request.
        arguments: Gives the GBNF of a function's arguments; it is told where the function stands.
        parallel: Several calls may follow each other.
        after_opening: It begins behind the format's opening.

    Raises:
        ConfigError: A schema of parameters cannot be made a grammar; the field is named.
    """
    rules, calls = [], []
    newline = '"\\n" ' if form.start.startswith("\n") else ""
    for place, tool in tools.items():
        function = tool["function"]
        rules.append(prefixed(arguments(function, f"tools[{place}].function"), f"t{place}-", SHARED))
        name = json.dumps(function["name"], ensure_ascii=False)[1:-1]
        calls.append(f"{literal(form.start.lstrip() % name)} t{place}-root {literal(form.end)}")
    first = f"{literal(form.opening)} {newline}"
    if after_opening or form.bare is not None:
        first = "[ \\n]? "
    elif form.listed[0]:
        first += '" "? '
    more = f"({literal(form.between)} {newline}call)*" if parallel else ""
    rules.append(f"call ::= {' | '.join(calls)}")
    rules.append(f"calls ::= {first}{literal(form.listed[0])} call {more} {literal(form.listed[1])}")
    return "\n".join(dict.fromkeys("\n".join(rules).split("\n")))  # what the tools share stands there once


def with_root(
    rules: str, *, thinking: bool, may_think: bool = False, or_answer: str | None = None, channels: bool = False
) -> str:
    """A whole grammar around the rules of calls.

    Args:
        rules: Of ``call_grammar``.
        thinking: The answer begins within thoughts, which end first.
        may_think: It may begin with thoughts.
        or_answer: GBNF of what may be answered instead of calls.
        channels: It is in gpt-oss' channels.
    """
    if channels:
        return in_channels(rules, or_answer)
    before = "thoughts " if thinking else '("<think>" thoughts)? ' if may_think else ""
    lines = [rules, f"thoughts ::= {THOUGHTS}"] if before else [rules]
    if or_answer is None:
        lines.append(f"root ::= {before}calls")
    else:
        lines += [prefixed(or_answer, "answer-"), f"root ::= {before}(calls | answer-root)"]
    return "\n".join(lines)


def in_channels(rules: str | None, answer: str | None) -> str:
    """A whole grammar of an answer in channels: thoughts, then a call or the answer.

    Args:
        rules: Of ``call_grammar``; None: nothing may be called.
        answer: GBNF of what may be answered; None: there must be a call.
    """
    lines = [rules] if rules is not None else []
    ways = ["calls"] if rules is not None else []
    if answer is not None:
        lines.append(prefixed(answer, "answer-"))
        ways.append(f"{literal('<|channel|>final<|message|>')} answer-root")
    thought = '([^<] | "<" [^|])*'
    before = f"{literal('<|channel|>analysis<|message|>')} {thought} {literal('<|end|><|start|>assistant')}"
    return "\n".join([*lines, f"root ::= ({before})? ({' | '.join(ways)})"])


def prefixed(grammar: str, prefix: str, kept: Collection[str] = ()) -> str:
    """The same grammar with other names of its rules.

    Args:
        grammar: GBNF.
        prefix: Of the new names.
        kept: Names that stay.
    """
    return WORDS.sub(lambda word: word[0] if word[0][0] in '"[#' or word[0] in kept else prefix + word[0], grammar)


def literal(text: str) -> str:
    """GBNF of a text; of an empty one, nothing."""
    return texts.literal(text) if text else ""
