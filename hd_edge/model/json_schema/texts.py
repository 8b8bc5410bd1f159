"""JSON texts: one spelling of each value, and automata over characters as rules over JSON's spelling of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

from hd_edge.errors import ConfigError, at_most

from .automaton import EVERY, STATES, Automaton, Both, Length, Range, allows_any, branches
from .rules import MOST_CHARACTERS, Alternative, Name, Part, Rules, times

if TYPE_CHECKING:
    from .known import Known
    from .shape import Shape

MOST_STATES = 6000  # of one automaton
MOST_OF_ONE = MOST_CHARACTERS // 8  # of the grammar of a text of which not all has to be held
ANY_LENGTH = (0, None)
SHORT = {8: "b", 9: "t", 10: "n", 12: "f", 13: "r"}
SURROGATE = re.compile("[\ud800-\udfff]")
ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def spelled(value: Any) -> str:
    """JSON of a value; what UTF-8 cannot hold is escaped."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def literal(text: str) -> str:
    """GBNF of a text."""
    characters = (ESCAPES.get(c, c if c >= " " else f"\\x{ord(c):02X}") for c in text)
    return '"' + "".join(characters) + '"'


def text(rules: Rules, shape: Shape, known: Known) -> Alternative:
    """Texts of a shape, in quotes."""
    if shape.patterns and rules.sketch:
        told = frozenset(shape.patterns), shape.length
        if told not in known.texts:
            known.texts[told] = allows_any(automaton(shape, known), known.work)
        return ('""',) if known.texts[told] else (rules.new("nothing"),)
    if shape.patterns:
        return ('"\\""', spell(rules, automaton(shape, known), '"\\""'))
    least, most = shape.length
    if most is not None and most < least:
        return (rules.new("nothing"),)
    return ('"\\""', *times(rules, ("char",), least, most), '"\\""')


def loose_text(rules: Rules, shape: Shape, known: Known, left_out: Callable[[str], None]) -> Alternative:
    """The same without what makes the grammar of a pattern too large: first the length beside it, then the pattern.

    Args:
        rules: As for ``text``, and the next two.
        shape: Its patterns and length do not have to be held.
        known: The same.
        left_out: Told the names of the keywords that are not.
    """
    if not shape.patterns:
        return text(rules, shape, known)
    try:
        with rules.tried(MOST_OF_ONE):
            return text(rules, shape, known)
    except ConfigError:
        bare = shape.length == ANY_LENGTH
        left_out("pattern" if bare else "minLength and maxLength beside a pattern")
    patterns = () if bare else shape.patterns
    return loose_text(rules, replace(shape, patterns=patterns, length=ANY_LENGTH), known, left_out)


def automaton(shape: Shape, known: Known) -> Automaton:
    """What a text's patterns and length allow."""
    machines: list[Automaton] = [known.pattern(one) for one in shape.patterns]
    if shape.length != ANY_LENGTH or not machines:
        machines.insert(0, Length(*shape.length))
    return reduce(Both, machines)


def spell(rules: Rules, machine: Automaton, end: Part, *, escaped: bool = True) -> Name:
    """The rule of what an automaton accepts.

    Args:
        rules: Where its rules go, one for each state.
        machine: The automaton.
        end: What stands behind the text.
        escaped: Characters are spelled as in JSON; else as they are.

    Raises:
        ConfigError: It has too many states.
    """
    if machine.start is None:
        return rules.new("nothing")
    if rules.sketch:
        return rules.of("text", [(end,)] if allows_any(machine, rules.work) else [])
    known: dict[Hashable, Name] = {machine.start: rules.new("text")}
    todo = [machine.start]
    while todo:
        state = todo.pop()
        rule = known[state]
        if escaped and machine.accepts_all(state):
            rules.add(rule, "char*", end)
            continue
        if machine.accepts(state):
            rules.add(rule, end)
        for target, ranges in branches(machine, state, rules.work).items():
            if target not in known:
                at_most("states of patterns and lengths of one text", len(known) + 1, MOST_STATES)
                known[target] = rules.new("text")
                todo.append(target)
            rules.work.spend(2 * len(ranges), STATES)
            for written in _characters(ranges) if escaped else [_class(ranges)]:
                rules.add(rule, written, known[target])
    return known[machine.start]


def _characters(ranges: list[Range]) -> Iterator[str]:
    """GBNF of characters as JSON spells them: as they are, or else escaped."""
    if ranges == EVERY:
        yield "char"
        return
    plain: list[Range] = []
    escaped: list[int] = []
    for low, high in ranges:
        escaped += [code for code in range(low, min(high, 0x5C) + 1) if code < 0x20 or code in (0x22, 0x5C)]
        start = low
        for code in (0x1F, 0x22, 0x5C):  # none of these, and none below the first
            if start <= code <= high or (code == 0x1F and start < code):
                if start < code and code != 0x1F:
                    plain.append((start, code - 1))
                start = code + 1
        if start <= high:
            plain.append((start, high))
    if plain:
        yield _class(plain)
    short = "".join(SHORT.get(code, chr(code) if code >= 0x20 else "") for code in escaped)
    if short:
        yield '"\\\\" [' + short.replace("\\", "\\\\") + "]"
    for first in ("0", "1"):
        digits = "".join(f"{code & 15:x}" for code in escaped if code >> 4 == int(first) and code not in SHORT)
        if digits:
            yield f'"\\\\u00{first}" [{digits}]'


def _class(ranges: list[Range]) -> str:
    return "[" + "".join(_code(low) if low == high else f"{_code(low)}-{_code(high)}" for low, high in ranges) + "]"


def _code(code: int) -> str:
    if chr(code).isascii() and chr(code).isalnum():
        return chr(code)
    return f"\\x{code:02X}" if code < 0x80 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
