"""One budget for a whole conversion: loops whose length a schema decides are counted, and short where they can be.

Steps are counted here, not seconds: a step is a microsecond, more or less.
"""

from __future__ import annotations

import threading
import time
import tracemalloc

import pytest

from hd_edge import ClosedError, ConfigError
from hd_edge.engine.running import RunningStream
from hd_edge.model.json_schema import exclusion, keywords
from hd_edge.model.json_schema.automaton import Words, matches
from hd_edge.model.json_schema.pattern_parser import Parser
from hd_edge.model.json_schema.work import LOOK, MOST_STEPS, Work
from hd_edge.model.json_schema.writer import grammar_of
from hd_edge.model.schema import check_schemas, schema_grammar
from hd_edge.model.wanted import unwanted

CATEGORIES = "Lu Ll Lt Lm Lo L Mn Mc Me M Nd Nl No N Pc Pd Ps Pe Pi Pf Po P Sm Sc Sk So S Zs Zl Zp Z Cc Cf Co Cn C"
PATTERNS = [f"(a?){{{700 + i}}}b" for i in range(4)]  # of names
NAMES = [f"{i:03d}" + "a" * 900 for i in range(200)]


def spent(schema) -> int:
    """The steps of a conversion."""
    work = Work()
    grammar_of(schema, work=work)
    return work.spent


def texts(*patterns: str) -> list[dict]:
    return [{"type": "string", "pattern": one} for one in patterns]


def objects(*schemas: dict) -> dict:
    found = [{"type": "object", "properties": {"id": one}, "required": ["id"]} for one in schemas]
    return {"oneOf": found}


@pytest.mark.parametrize(
    "schema",
    [
        objects(*texts(*(f"^[a-z0-9]{{1,64}}-{letter}$" for letter in "abcdefghijklmnopqrst"))),
        {
            "oneOf": texts(
                *(
                    rf"^([a-z0-9]([a-z0-9-]{{0,61}}[a-z0-9])?\.)+{end}$"
                    for end in ("com", "org", "net", "de", "fr", "io", "eu", "uk")
                )
            )
        },
        {"oneOf": texts(*(f"^(a?){{300}}x{i}$" for i in range(4)))},
        {"oneOf": texts(*(f"^{kind}-[a-z0-9]{{1,60}}$" for kind in ("usr", "org", "prj", "tsk", "doc", "img")))},
        {"oneOf": [{"type": "string", "format": one} for one in ("ipv4", "uuid", "date", "email")]},
        {"type": "string", "pattern": "".join(rf"\\p{{{one}}}?" for one in CATEGORIES.split())},
        {"enum": [{name: 1} for name in NAMES], "patternProperties": {one: {"const": 1} for one in PATTERNS}},
        {
            "properties": {name: {} for name in NAMES},
            "allOf": [{"propertyNames": {"pattern": one}} for one in PATTERNS],
        },
    ],
    ids=["identifiers", "hosts", "optional", "kinds", "formats", "categories", "objects", "propertyNames"],
)
def test_what_somebody_may_write_takes_a_part_of_the_budget(schema):
    assert spent(schema) < 0.6 * MOST_STEPS


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {f"p{i}": texts(f"^(a?){{{500 + i}}}$")[0] for i in range(60)}},
        {"anyOf": texts(*(f"^(a?){{{500 + i}}}x$" for i in range(4000)))},
        {"allOf": [{"multipleOf": 10**15 + 2 * i + 1} for i in range(6000)]},
        {
            "type": "string",
            "allOf": texts(*("^[" + r"\p{L}" * 700 + f"]{{{i}}}$" for i in range(1, 50))),
        },
    ],
    ids=["optional", "places", "multiples", "categories"],
)
def test_the_parts_of_one_schema_share_the_budget(schema):
    with pytest.raises(
        ConfigError, match=r"^the JSON schema has \d+ steps of work or more, \d+ of them for [a-z ,]+, at most"
    ):
        grammar_of(schema)


def test_a_name_takes_no_more_memory_than_it_is_long():
    work, name = Work(), "a" * 50_000
    tracemalloc.start()
    try:
        assert matches(Words([name, "b", "ab"]), name, work)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("additional", [True, {"type": "integer"}])
def test_a_name_too_long_to_spell_is_refused(additional):
    with pytest.raises(ConfigError, match="at most"):
        grammar_of({"type": "object", "properties": {"a" * 200_000: {}}, "additionalProperties": additional})


def test_words_are_what_they_are():
    words, work = Words(["", "a", "ab", "abc", "b", "bc"]), Work()
    for word in ("", "a", "ab", "abc", "b", "bc"):
        assert matches(words, word, work)
    for word in ("c", "ac", "abcd", "bcd", "bb"):
        assert not matches(words, word, work)
    assert words.cuts(words.start) == [97, 98, 98, 99]


def test_a_set_of_characters_is_read_once_however_often_it_is_repeated(monkeypatch):
    read, read_class = [], Parser._class
    monkeypatch.setattr(Parser, "_class", lambda parser: read.append(parser) or read_class(parser))
    grammar_of({"type": "string", "pattern": "^([a-c]x[d-f]){500}$"})
    assert len(read) == 2


def test_a_constant_is_written_once_to_be_looked_up_in_an_enumeration(monkeypatch):
    const, written, dumps = ["x"] * 1000, [], keywords.json.dumps
    monkeypatch.setattr(keywords.json, "dumps", lambda value, **how: written.append(value) or dumps(value, **how))
    grammar_of({"const": const, "enum": [*range(300), const]})
    assert written.count(const) < 10


def test_schemas_that_double_with_every_level_are_not_written_out():
    def both(*names):
        return {"type": "object", "properties": {"x": {"allOf": [{"$ref": f"#/$defs/{one}"} for one in names]}}}

    with pytest.raises(ConfigError, match="at most"):
        grammar_of({"$defs": {"a": both("a", "b"), "b": both("b", "a")}, "$ref": "#/$defs/a"})


def test_messages_hold_a_part_of_a_long_name():
    inner = {"type": "object", "properties": {"x": {"contains": {}}}}
    with pytest.raises(ConfigError, match=f"at #/{'n' * 60}/x: contains"):
        grammar_of({"type": "object", "properties": {"n" * 5000: inner}})


def test_only_members_that_all_alternatives_require_can_be_their_tags(monkeypatch):
    asked, tags = [], exclusion._tags
    monkeypatch.setattr(exclusion, "_tags", lambda shape, name, work: asked.append(name) or tags(shape, name, work))
    many = {"type": "object", "required": [f"n{i}" for i in range(300)], "properties": {"n7": {"const": "0"}}}
    others = [{"type": "object", "required": ["n7"], "properties": {"n7": {"const": str(i)}}} for i in range(1, 9)]
    grammar_of({"oneOf": [many, *others]})
    assert asked == ["n7"] * 9


def tools(number: int, parameters: dict) -> list[dict]:
    return [{"function": {"name": f"f{i}", "parameters": {**parameters, "title": str(i)}}} for i in range(number)]


def test_the_tools_of_one_request_share_a_budget():
    check_schemas(tools(128, {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(20)}}), None)
    with pytest.raises(ConfigError, match=r"the request has \d+ steps of work in the schemas of its tools, at most"):
        check_schemas(tools(20, {"type": "object", "properties": {"a": texts("^(a?b?c?){200}$")[0]}}), None)


def test_long_lists_of_tags_are_counted_before_they_are_read():
    tags = [f"{i:x}" for i in range(20_000)]
    branch = {"type": "object", "required": ["a"], "properties": {"a": {"enum": tags}}}
    with pytest.raises(ConfigError, match="telling of alternatives apart"):
        spent({"oneOf": [{"$ref": "#/$defs/b"}] * 1900, "$defs": {"b": branch}})


def test_parts_that_are_shared_are_counted_each_time_before_they_are_written():
    shared: dict = {"type": "integer"}
    for _ in range(60):  # 2 ** 60 of them as JSON
        shared = {"type": "object", "properties": {"a": shared, "b": shared}}
    with pytest.raises(ConfigError, match="bytes, at most 262144 are taken"):
        schema_grammar(shared, "schema")


def test_a_conversion_ends_when_nobody_waits_for_it():
    """Eight clients that send one and leave would hold a server that is to end for all of their seconds."""
    asked = []

    def nobody():
        asked.append(True)
        return len(asked) > 2

    token = unwanted.set(nobody)
    try:
        work = Work()
    finally:
        unwanted.reset(token)
    with pytest.raises(ClosedError, match="nobody waits"):
        for _ in range(1000):
            work.spend(1000, "tests")
    assert 2 * LOOK < work.spent < 4 * LOOK
    Work().spend(LOOK + 1, "tests")


def test_a_stream_that_is_stopped_converts_no_further(monkeypatch):
    begun, arrivals = threading.Event(), []

    def begin():
        work = Work()
        begun.set()
        while work.spent < MOST_STEPS // 2:
            time.sleep(1e-3)
            work.spend(LOOK // 10, "tests")
        pytest.fail("nobody told it")

    class Model:
        tier = "target"

        def cancel(self):
            pass

        catch_up = cancel

    stream = RunningStream(Model(), begin, arrivals.append)
    stream.start()
    begun.wait()
    assert stream.stop(60)
    assert isinstance(arrivals[-1].error, ClosedError)
