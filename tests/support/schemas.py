"""Random JSON schemas of the supported keywords, each with a maker of values that fit it as it is written."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

NASTY = ["a", "b", "a\\b", 'q"', "new\nline", "\x01", "😀", "é", "", "ab", "A", "/", "\t", "\x7f", "\u2028"]
CHARACTERS = string.printable + '\x01\x7fé😀\u2028\\"'
PATTERNS = {  # with some texts
    "^a|b$": ["axe", "cab", "a", "b"],
    "^[a-z]{2,4}(-\\d+)*$": ["ab", "abcd-1-22"],
    "^\\S+@\\S+$": ["me@x.com"],
    '^(?:\\\\|"|\\n|\\t)+$': ["\\", '"\\"', "\n\t"],
    "^[^a-y\\]]*z$": ["z", "ZZ\\z", "\x01z"],
    "^(\\([0-9]{3}\\))?[0-9]{3}-[0-9]{4}$": ["555-1234", "(800)555-1234"],
    "^\\u00e9{2}\\x41?$": ["éé", "ééA"],
    "^[\\w.-]*$": ["", "a_b.c-d"],
    "^.{0,3}$": ["", "é€😀"],
    "^$|^x+?$": ["", "xx"],
}
FORMATS = {
    "date": ["2024-02-29", "1999-12-31"],
    "time": ["23:59:59Z", "00:00:00.5+01:00"],
    "date-time": ["2020-01-02T03:04:05Z"],
    "uuid": ["123e4567-e89b-12d3-a456-426614174000"],
    "ipv4": ["255.0.10.1"],
    "email": ["a.b+c@example.org"],
    "duration": ["P3DT4H", "PT5S", "P1Y2M"],
    "nosuch": ["anything"],
}

Make = Callable[[random.Random], Any]


@dataclass
class Case:
    schema: Any
    make: Make


def text(rng: random.Random, least: int = 0, most: int = 6) -> str:
    return "".join(rng.choice(CHARACTERS) for _ in range(rng.randint(least, most)))


def anything(rng: random.Random, depth: int = 0) -> Any:
    kinds: list[Make] = [lambda r: None, lambda r: True, lambda r: r.randint(-99, 99), lambda r: 0.5, text]
    if depth < 2:
        kinds.append(lambda r: [anything(r, depth + 1) for _ in range(r.randint(0, 2))])
        kinds.append(lambda r: {text(r): anything(r, depth + 1) for _ in range(r.randint(0, 2))})
    return rng.choice(kinds)(rng)


def distinct(word: Any) -> str:
    """True and 1 are not equal in JSON."""
    return repr(word)


@st.composite
def integers(draw) -> Case:
    low = draw(st.none() | st.integers(-1200, 1200))
    high = draw(st.none() | st.integers(0 if low is None else low, 2500))
    step = draw(st.sampled_from([None, None, None, 2, 5, 7]))
    strict = draw(st.booleans())
    schema: dict[str, Any] = {"type": "integer"}
    first, last = -50 if low is None else low, (0 if low is None else low) + 90 if high is None else high
    if low is not None:
        schema["exclusiveMinimum" if strict else "minimum"] = low - 1 if strict else low
    if high is not None:
        schema["maximum"] = high
    one_sided = (low is None) != (high is None)
    multiples = list(range(first, last + 1)) if step is None else [n for n in range(first, last + 1) if n % step == 0]
    if step is not None and multiples and len(multiples) < 400 and not one_sided:
        schema["multipleOf"] = step
    else:
        multiples = list(range(first, last + 1))
    return Case(schema, lambda rng: rng.choice(multiples))


@st.composite
def numbers(draw) -> Case:
    places = draw(st.integers(0, 3))
    low = Decimal(draw(st.integers(-3000, 3000))).scaleb(-places)
    high = low + Decimal(draw(st.integers(1, 3000))).scaleb(-places)
    schema: dict[str, Any] = {"type": "number"}
    if draw(st.booleans()):
        schema["minimum"] = float(low)
    if draw(st.booleans()):
        schema["exclusiveMaximum" if draw(st.booleans()) else "maximum"] = float(high)
    if len(schema) == 1 and draw(st.booleans()):
        schema["multipleOf"] = draw(st.sampled_from([0.5, 0.25, 2, 5]))
        return Case(schema, lambda rng: rng.randint(-50, 50) * schema["multipleOf"])
    return Case(schema, lambda rng: float(low + (high - low) * rng.randint(0, 9) / 10))


@st.composite
def strings(draw) -> Case:
    kind = draw(st.sampled_from(["length", "pattern", "format", "both"]))
    if kind == "length":
        least = draw(st.integers(0, 40))
        most = draw(st.none() | st.integers(least, 90))
        schema: dict[str, Any] = {"type": "string", "minLength": least}
        if most is not None:
            schema["maxLength"] = most
        return Case(schema, lambda rng: text(rng, least, least + 5 if most is None else most))
    if kind == "format":
        name = draw(st.sampled_from(sorted(FORMATS)))
        return Case({"type": "string", "format": name}, lambda rng: rng.choice(FORMATS[name]))
    pattern = draw(st.sampled_from(sorted(PATTERNS)))
    schema = {"type": "string", "pattern": pattern}
    if kind == "both":
        schema |= {"minLength": 1, "maxLength": 20}
    found = [one for one in PATTERNS[pattern] if one or kind != "both"]
    return Case(schema, lambda rng: rng.choice(found))


@st.composite
def listed(draw) -> Case:
    values = draw(
        st.lists(st.sampled_from([*NASTY, 1, -2.5, True, None, [1, "x"], {"k\n": '"'}]), min_size=1, unique_by=distinct)
    )
    if draw(st.booleans()):
        return Case({"const": values[0]}, lambda rng: values[0])
    return Case({"enum": values}, lambda rng: rng.choice(values))


@st.composite
def plain(draw) -> Case:
    return draw(
        st.sampled_from(
            [
                Case({"type": "boolean"}, lambda rng: rng.random() < 0.5),
                Case({"type": "null"}, lambda rng: None),
                Case({"type": ["integer", "null"]}, lambda rng: rng.choice([None, 3])),
                Case({}, anything),
                Case(True, anything),
                Case({"type": "object"}, lambda rng: {text(rng): anything(rng)}),
                Case({"type": "array"}, lambda rng: [anything(rng)]),
                Case({"type": "array", "uniqueItems": True, "items": {"enum": [1, "a"]}}, lambda rng: ["a", 1]),
            ]
        )
    )


@st.composite
def objects(draw, inner) -> Case:
    names = draw(st.lists(st.sampled_from(NASTY), max_size=4, unique=True))
    cases = {name: draw(inner) for name in names}
    required = [name for name in names if draw(st.booleans())]
    schema: dict[str, Any] = {"type": "object", "properties": {name: case.schema for name, case in cases.items()}}
    if required or draw(st.booleans()):
        schema["required"] = required
    more = draw(st.none() | inner)
    if more is not None:
        schema["additionalProperties"] = more.schema
    elif draw(st.booleans()):
        schema["additionalProperties"] = False
    least = draw(st.none() | st.integers(0, len(names)))
    if least is not None:
        schema["minProperties"] = least
        if draw(st.booleans()):
            schema["maxProperties"] = max(least, len(required))
    most = schema.get("maxProperties", 9)

    def make(rng: random.Random) -> Any:
        wanted = max(len(required), least or 0, rng.randint(0, len(names)))
        others = [name for name in names if name not in required]
        chosen = {*required, *rng.sample(others, min(wanted, most) - len(required))}
        made = {name: cases[name].make(rng) for name in names if name in chosen}
        if more is not None and len(made) < most and rng.random() < 0.5:
            made["other" + text(rng, 0, 2)] = more.make(rng)
        return made

    return Case(schema, make)


@st.composite
def arrays(draw, inner) -> Case:
    first = draw(st.lists(inner, max_size=2))
    others = draw(inner)
    least = draw(st.integers(len(first), len(first) + 3))
    most = draw(st.none() | st.integers(least, least + 3))
    schema: dict[str, Any] = {"type": "array", "items": others.schema, "minItems": least}
    if first:
        schema["prefixItems"] = [case.schema for case in first]
    if most is not None:
        schema["maxItems"] = most

    def make(rng: random.Random) -> Any:
        count = rng.randint(least, least + 2 if most is None else most)
        return [case.make(rng) for case in first] + [others.make(rng) for _ in range(count - len(first))]

    return Case(schema, make)


@st.composite
def unions(draw, inner) -> Case:
    cases = draw(st.lists(inner, min_size=1, max_size=3))
    return Case({"anyOf": [case.schema for case in cases]}, lambda rng: rng.choice(cases).make(rng))


@st.composite
def together(draw, inner) -> Case:
    """What holds at once, of parts that say different things."""
    case = draw(inner)
    if isinstance(case.schema, bool):
        return case
    keys = list(case.schema)
    cut = draw(st.integers(0, len(keys)))
    parts = [{key: case.schema[key] for key in some} for some in (keys[:cut], keys[cut:])]
    about = {"properties", "additionalProperties", "prefixItems", "items"}
    if any(about & part.keys() for part in parts) and not any(
        about & case.schema.keys() <= part.keys() for part in parts
    ):
        return case  # these keywords belong together
    return Case({"allOf": parts} if draw(st.booleans()) else {**parts[0], "allOf": [parts[1]]}, case.make)


SCHEMAS = st.recursive(
    st.one_of(integers(), numbers(), strings(), listed(), plain()),
    lambda inner: st.one_of(objects(inner), arrays(inner), unions(inner), together(inner)),
    max_leaves=8,
)
