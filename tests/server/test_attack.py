"""A client that sends anything: no answer of 500, no end of the server, no answer that does not come."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from openapi import check_answer, check_life

pytestmark = pytest.mark.filterwarnings("ignore:Detected duplicate leading")  # llama_cpp's, of prompts like "<s>"

TEXT = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=st.characters(categories=["Cs", "Cc", "Lo", "So"]), max_size=20),
    st.sampled_from(
        ["", "the cat", "\ud800", "\x00", "</s>", "<s>" * 9, "a" * 3000, "{{ 7 * 7 }}", "data: [DONE]\n\n"]
    ),
)
INTEGERS = st.one_of(st.integers(-3, 9), st.sampled_from([511, 512, 2**31 - 1, 2**31, 2**63, 10**30, -(10**30)]))
FLOATS = st.one_of(st.floats(-3, 3), st.floats(), st.sampled_from([1e308, -1e308, 1e-300, 0.0, -0.0]))
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, FLOATS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=8,
)
GRAMMARS = st.one_of(
    st.sampled_from(
        [
            'root ::= "ab"',
            'root ::= "a"*',
            'root ::= (("a"*)*)*',
            "root ::= root",
            "root ::= (",
            "root ::= " + "(" * 5000,
            'root ::= "a"{9999999}',
            'root ::= [^"\\x00-\\x1f]+ | "\\u00e4"',
            'root ::= "a" | \nb ::= "c"',
            "",
        ]
    ),
    st.text(alphabet='root:=| ()[]{}*+?"\\a0,-^#\n', max_size=60).map(lambda text: f"root ::= {text}"),
)
TYPES = ("string", "integer", "number", "boolean", "null", "array", "object")
PATTERNS = st.text(alphabet="ab(){}|*+?[]\\,19.", max_size=12).map(lambda text: f"^{text}$")
SCHEMAS = st.recursive(
    st.one_of(
        st.sampled_from([{"type": kind} for kind in TYPES]),
        st.builds(lambda n: {"type": "string", "maxLength": n}, INTEGERS),
        st.builds(lambda values: {"enum": values}, st.lists(ANYTHING, max_size=3)),
        st.builds(lambda pattern: {"type": "string", "pattern": pattern}, PATTERNS),
        st.sampled_from([{"$ref": "#"}, {"$ref": "#/$defs/a"}, {"$ref": "https://example.org"}, {"$ref": 3}, True, 7]),
    ),
    lambda inner: st.one_of(
        st.builds(lambda item, n: {"type": "array", "items": item, "minItems": n}, inner, INTEGERS),
        st.builds(lambda parts: {"type": "object", "properties": parts}, st.dictionaries(TEXT, inner, max_size=3)),
        st.builds(lambda parts: {"anyOf": parts, "$defs": {"a": parts}}, st.lists(inner, max_size=3)),
        st.builds(lambda part: {"$defs": {"a": part}, "$ref": "#/$defs/a"}, inner),
    ),
    max_leaves=5,
)
TOKENS = st.lists(st.integers(0, 511), min_size=1, max_size=6)
ROLE = st.sampled_from(["user", "system", "assistant", "tool", "developer"])
CALLED = st.builds(
    lambda name, text: {"id": "x", "type": "function", "function": {"name": name, "arguments": text}}, TEXT, TEXT
)
MESSAGE = st.one_of(
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": st.none(), "tool_calls": st.lists(CALLED, max_size=2)}
    ),
    st.fixed_dictionaries({"role": st.just("tool"), "tool_call_id": TEXT, "content": TEXT}),
    st.fixed_dictionaries({"role": ROLE, "content": TEXT}),
    st.fixed_dictionaries({"role": ROLE, "content": st.lists(st.builds(lambda t: {"type": "text", "text": t}, TEXT))}),
)
ITEM = st.one_of(
    MESSAGE,
    st.dictionaries(st.sampled_from(["type", "role", "content", "call_id", "output", "name", "arguments"]), ANYTHING),
    st.fixed_dictionaries({"type": st.just("function_call"), "call_id": TEXT, "name": TEXT, "arguments": TEXT}),
    st.fixed_dictionaries({"type": st.just("function_call_output"), "call_id": TEXT, "output": TEXT}),
)
TOOL = st.builds(lambda schema: {"type": "function", "function": {"name": "f", "parameters": schema}}, SCHEMAS)
SHARE = st.floats(0, 1)
FIELDS: dict[str, st.SearchStrategy[Any]] = {  # what may come beside the text, within its range
    "n": st.integers(1, 3),
    "min_tokens": st.integers(0, 8),
    "top_k": st.integers(0, 600),
    "seed": st.integers(-1, 2**40),
    "temperature": st.one_of(st.sampled_from([0.0, 1e-300, 1000.0]), st.floats(0, 2)),
    **dict.fromkeys(("top_p", "min_p"), SHARE),
    **dict.fromkeys(("presence_penalty", "frequency_penalty"), st.floats(-2, 2)),
    "repeat_penalty": st.floats(1e-300, 1000),
    "mirostat_mode": st.integers(0, 2),
    "mirostat_tau": st.floats(0, 10),
    "mirostat_eta": st.floats(0.001, 1),
    **dict.fromkeys(("stream", "echo", "include_tiers"), st.booleans()),
    **dict.fromkeys(("model", "user", "suffix"), TEXT),
    "stop": st.one_of(TEXT, st.lists(TEXT, max_size=4)),
    "logit_bias": st.one_of(
        st.dictionaries(st.integers(0, 511).map(str), st.floats(-100, 100), max_size=4),
        st.just({str(token): -100.0 for token in range(512)}),
        st.just({str(token): -1e300 for token in range(512)}),
        st.just({str(token): 1e300 for token in range(512)}),
    ),
    "logit_bias_type": st.sampled_from(["tokens", "input_ids"]),
    "grammar": GRAMMARS,
    "prediction": st.builds(lambda text: {"type": "content", "content": text}, TEXT),
    "stream_options": st.just({"include_usage": True}),
    "response_format": st.one_of(
        st.builds(lambda schema: {"type": "json_object", "schema": schema}, SCHEMAS),
        st.builds(lambda schema: {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}, SCHEMAS),
    ),
    "tools": st.lists(TOOL, max_size=2),
    "tool_choice": st.sampled_from([{"type": "function", "function": {"name": "f"}}, "auto", "none", "required"]),
    "parallel_tool_calls": st.booleans(),
    "reasoning_format": st.sampled_from(["none", "auto"]),
    "chat_template_kwargs": st.dictionaries(st.sampled_from(["enable_thinking", "messages", "stop", "x"]), ANYTHING),
    "logprobs": st.booleans(),
    "top_logprobs": st.integers(0, 20),
    "functions": st.lists(st.builds(lambda schema: {"name": "f", "parameters": schema}, SCHEMAS), max_size=2),
}
ALL = tuple(FIELDS)
FIELDS["text"] = st.dictionaries(st.just("format"), st.one_of(FIELDS["response_format"], ANYTHING))
FIELDS["instructions"] = TEXT
NEWER = ("stream", "temperature", "top_p", "tools", "tool_choice", "text", "instructions", "parallel_tool_calls")
PROMPT = st.one_of(TEXT, st.lists(TEXT, min_size=1, max_size=3), TOKENS, st.lists(TOKENS, min_size=1, max_size=3))
WILD = st.one_of(ANYTHING, INTEGERS, FLOATS, TEXT, st.lists(INTEGERS, max_size=4))


@st.composite
def bodies(draw: st.DrawFn, required: dict[str, st.SearchStrategy[Any]], fields: tuple[str, ...]) -> bytes:
    """A JSON body that is right in most fields, so that many requests get as far as the model; in one it may not be."""
    names = draw(st.lists(st.sampled_from(fields), max_size=5, unique=True)) if fields else []
    body = {name: draw(value) for name, value in required.items()} | {name: draw(FIELDS[name]) for name in names}
    if draw(st.integers(0, 4)) == 0:
        body[draw(st.sampled_from(sorted(body)))] = draw(WILD)
    return json.dumps(body).encode()


FEW = st.integers(1, 6)
REQUESTS = st.one_of(
    st.tuples(st.just("/v1/completions"), bodies({"prompt": PROMPT, "max_tokens": FEW}, ALL)),
    st.tuples(
        st.just("/v1/chat/completions"),
        bodies({"messages": st.lists(MESSAGE, max_size=3), "max_tokens": FEW}, ALL),
    ),
    st.tuples(
        st.just("/v1/responses"),
        bodies({"input": st.one_of(TEXT, st.lists(ITEM, max_size=3)), "max_output_tokens": FEW}, NEWER),
    ),
    st.tuples(
        st.sampled_from(["/v1/embeddings", "/extras/tokenize", "/extras/tokenize/count"]), bodies({"input": TEXT}, ())
    ),
    st.tuples(st.just("/extras/detokenize"), bodies({"tokens": TOKENS}, ())),
    st.tuples(st.sampled_from(["/v1/completions", "/extras/detokenize", "/x"]), st.binary(max_size=60)),
)


@pytest.fixture(scope="module")
def http(llm, serve):
    with httpx.Client(base_url=serve(llm, most_bytes=100_000).url, timeout=120) as client:
        yield client


def attack(http: httpx.Client, path: str, body: bytes) -> None:
    check_answer(http.post(path, content=body, headers={"Content-Type": "application/json"}))


def hammer(http: httpx.Client, examples: int) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        derandomize=examples < 1000,
    )
    @given(REQUESTS)
    def run(request: tuple[str, bytes]) -> None:
        attack(http, *request)

    run()
    check_life(http)


def test_anything_is_answered(http):
    hammer(http, 300)


@pytest.mark.slow
def test_anything_is_answered_for_longer(http, survival):
    survival.what = "hostile HTTP by hand-made strategies"
    with survival.case(2000):
        hammer(http, 2000)
