"""Grammars and biases that ended the process, or took minutes, in ``llama_cpp``: refused, or drawn with care."""

from __future__ import annotations

import json

import pytest
from llama_cpp import LlamaGrammar, LogitsProcessorList, MinTokensLogitsProcessor
from one_model import ONE

from hd_edge import ConfigError, ContextFullError, Llama, TokenError
from hd_edge.backend.gbnf import MOST_NESTED, MOST_REPEATED, parse
from hd_edge.backend.tokens import token_bytes


@pytest.fixture(scope="module")
def drafting(models):
    with Llama(str(models("Q4_0")), n_ctx=256, **ONE) as with_drafts:
        yield with_drafts


@pytest.fixture(scope="module")
def plain(mamba):
    with Llama(str(mamba), n_ctx=256, **ONE) as without:
        yield without


@pytest.fixture(params=["drafting", "plain"])
def llm(request):
    return request.getfixturevalue(request.param)


def grammar(text: str) -> LlamaGrammar:
    return LlamaGrammar.from_string(text, verbose=False)


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_grammar_that_ends_before_min_tokens_is_an_error(llm, temperature):
    processors = LogitsProcessorList([MinTokensLogitsProcessor(8, llm.token_eos())])
    with pytest.raises(ConfigError, match="the grammar allows no token that"):
        llm("a", max_tokens=10, temperature=temperature, grammar=grammar('root ::= "ab"'), logits_processor=processors)
    assert llm("a", max_tokens=10, grammar=grammar('root ::= "ab"'))["choices"][0]["text"] == "ab"


@pytest.mark.parametrize("temperature", [0.0, 0.8])
@pytest.mark.parametrize("bias", [-1e39, float("-inf")])
def test_the_grammar_outweighs_a_bias_against_all_it_allows(llm, temperature, bias):
    spelled = {token: bias for token in range(llm.n_vocab()) if llm.detokenize([token]).strip() == b"b"}
    made = llm("a", max_tokens=4, temperature=temperature, grammar=grammar('root ::= "b"'), logit_bias=spelled)
    assert made["choices"][0]["text"] == "b"


def test_low_level_sampling_asks_the_grammar_too(models):
    with Llama(str(models("Q4_0")), n_ctx=64, **ONE) as llm:
        llm.eval(llm.tokenize(b"the cat"))
        token = llm.sample(temp=0.0, grammar=grammar('root ::= "x"'))
        assert llm.detokenize([token]) == b"x"
        with pytest.raises(ConfigError, match="cannot parse"):
            llm.sample(grammar=grammar("root ::= ("))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("root ::= " + "(" * 30_000 + '"a"' + ")" * 30_000, "brackets in brackets"),
        ('root ::= "a"{10000000}', "repetitions of one item"),
        ('root ::= "a"{2,99999999999999999999}', "repetitions of one item"),
        ("root ::= " + '"abcdefghijklmnopqrstuvwxyz"{2000}' * 5, "elements"),
        ('root ::= "' + "a" * 300_000 + '"', "bytes"),
        ('root ::= "a"{3,1}', "the second number must not be below the first"),
        ('root ::= ("a"{3, # a comment\n 1})', "the second number must not be below the first"),
        ('root ::= ("a"{9000 # {1}\r})', "repetitions of one item"),
        ('root ::= <"> ("a"{3,1}) <">', "one token of the vocabulary is expected"),
        ("root ::= (", "cannot parse"),
        ("root ::= a\na ::= root", "allows no text"),
    ],
)
def test_grammars_that_are_refused(llm, text, message):
    with pytest.raises(ConfigError, match=message):
        llm("a", max_tokens=4, grammar=grammar(text))


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"a{i} ::= a{i + 1}\n" for i in range(3000)) + 'a3000 ::= "x"\nroot ::= a0',
        "root ::= "
        + " | ".join(f"a{i}" for i in range(900))
        + "\n"
        + "".join(f'a{i} ::= "x{i};" b\n' for i in range(900))
        + "b ::= root?",
        'root ::= e\ne ::= t (("+" | "-") t)*\nt ::= f (("*" | "/") f)*\nf ::= "x" | "(" e ")"',
    ],
)
def test_ordinary_grammars_are_taken(drafting, text):
    assert drafting("a", max_tokens=2, temperature=0.0, grammar=grammar(text))["choices"][0]["text"]


def test_what_does_not_parse_is_told_in_the_error_and_printed_nowhere(drafting, capfd):
    text = 'root ::= "a" b\n2026-01-01 ERROR [server] the disk is full\n\x1b[2J'
    with pytest.raises(ConfigError, match=r"'::=' is expected in line 2, at 'ERROR"):
        drafting("a", grammar=grammar(text))
    assert capfd.readouterr().err == ""


def test_no_text_is_no_grammar(drafting):
    with pytest.raises(ConfigError, match="of type str, expected LlamaGrammar"):
        drafting("a", grammar='root ::= "a"')


def test_what_is_within_the_limits_is_parsed(drafting):
    for text in (
        "root ::= " + '("a" ' * 1000 + ")?" * 1000,  # how maxLength is written
        f'root ::= "a"{{1,{MOST_REPEATED}}}',
        "root ::= " + "(" * MOST_NESTED + '"a"' + ")" * MOST_NESTED,
        'root ::= [(] "(((" # ((((\n',
    ):
        assert drafting("a", max_tokens=2, temperature=0.0, grammar=grammar(text))["choices"][0]["text"]


def test_brackets_in_literals_classes_and_comments_do_not_nest():
    text = 'root ::= "' + "(" * 9000 + '" [' + "(" * 5000 + "] #" + "(" * 9000
    assert parse(text, "root", lambda _: -1)


SCHEMAS = [
    ({"type": "array", "items": {"type": "string"}, "minItems": 10**7}, "as minItems"),
    ({"type": "string", "minLength": 10**9}, "as minLength"),
    ({"type": "string", "pattern": "^a{1000000000}$"}, "repetitions in a pattern"),
    ({"enum": ["x" * 300_000]}, "bytes"),
    ({"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(4000)}}, "characters of grammar"),
    ({"type": "string", "pattern": "(a|b)*a(a|b){14}$"}, "characters of grammar"),
    ({"type": "string", "pattern": "^((a{0,30}){0,30}){0,30}$"}, "places in a pattern"),
    ({"type": "string", "pattern": "^[a-z]*$", "maxLength": 9000}, "characters of grammar"),
    ({"allOf": [{"anyOf": [{f"m{end}Length": n} for n in range(60)]} for end in ("in", "ax")]}, "shapes of one value"),
    ({"type": "array", "items": {"type": "string"}, "minItems": float("nan")}, "as minItems"),
]
nested: dict = {"type": "string"}
for _ in range(200):
    nested = {"type": "array", "items": nested}
SCHEMAS.append((nested, "schemas in schemas"))
doubling: dict = {f"d_{i}": {"anyOf": [{"$ref": f"#/$defs/d_{i + 1}"}] * 2} for i in range(40)}
SCHEMAS.append(({"$defs": {**doubling, "d_40": {"type": "string"}}, "$ref": "#/$defs/d_0"}, "schemas in schemas"))
growing = {"type": "array", "items": {"allOf": [{"items": {"$ref": "#/$defs/a"}}, {"$ref": "#/$defs/a"}]}}
SCHEMAS.append(({"$defs": {"a": growing}, "$ref": "#/$defs/a"}, "schemas in schemas"))


@pytest.mark.parametrize(("schema", "message"), SCHEMAS)
@pytest.mark.parametrize("place", ["response_format", "tools", "functions"])
def test_schemas_that_are_refused(drafting, schema, message, place):
    value = {key: part for key, part in schema.items() if key != "$defs"}
    arguments = {"properties": {"value": value}, "required": ["value"], "$defs": schema.get("$defs", {})}
    function = {"name": "f", "parameters": arguments, "strict": True}
    settings = {
        "response_format": {"response_format": {"type": "json_object", "schema": schema}},
        "tools": {"tools": [{"type": "function", "function": function}]},
        "functions": {"functions": [function]},
    }
    with pytest.raises(ConfigError, match=message):
        drafting.create_chat_completion([{"role": "user", "content": "a"}], max_tokens=3, **settings[place])


def test_schemas_in_use_are_taken(drafting):
    recursive = {
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
        "$ref": "#/$defs/node",
    }
    wide = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(60)}}
    long = {"type": "array", "items": {"type": "string", "maxLength": 30, "pattern": "^[a-z]{2,8}$"}, "minItems": 20}
    for schema in (recursive, wide, long, {"enum": [f"country {i}" for i in range(300)]}):
        made = drafting.create_chat_completion(
            [{"role": "user", "content": "a"}],
            max_tokens=3,
            temperature=0.0,
            response_format={"type": "json_object", "schema": schema},
        )
        assert made["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("bias", "message"),
    [
        ({99_999: 1.0}, "token id 99999, the vocabulary 512"),
        ({-1: 1.0}, "token id -1"),
        ({"x": 1.0}, "not a mapping of token ids to numbers"),
        ({1: float("nan")}, "not a mapping of token ids to numbers"),
        ([1], "not a mapping of token ids to numbers"),
    ],
)
def test_biases_that_are_refused(drafting, bias, message):
    with pytest.raises(ConfigError, match=message):
        drafting("a", max_tokens=2, logit_bias=bias)
    with pytest.raises(ConfigError, match=message):
        drafting.create_chat_completion([{"role": "user", "content": "a"}], max_tokens=2, logit_bias=bias)


def test_a_bias_beside_a_processor_loses_neither(drafting):
    seen = []
    processors = LogitsProcessorList([lambda ids, scores: seen.append(len(ids)) or scores])
    wanted = drafting.tokenize(b"x", add_bos=False)[-1]
    made = drafting(
        "a", max_tokens=3, temperature=0.0, logit_bias={wanted: 100.0}, logits_processor=processors, echo=False
    )
    assert made["choices"][0]["text"].strip() == drafting.detokenize([wanted] * 3).decode().strip()
    assert len(seen) >= 3


def test_token_ids_out_of_range_are_errors(drafting, models):
    for wrong in (99_999_999, -1, 512):
        with pytest.raises(TokenError, match=f"token id {wrong} is outside the vocabulary of 512"):
            drafting.detokenize([1, wrong])
    assert token_bytes(drafting._model.vocab, drafting.tokenize(b"a", add_bos=False)[-1], special=False) == b"a"


def test_texts_that_cannot_fit_are_refused_before_they_are_tokenized(drafting, monkeypatch):
    monkeypatch.setattr(type(drafting.tokenizer_), "tokenize", lambda *_, **__: pytest.fail("it was tokenized"))
    long = "a" * 10_000_000
    for call in (
        lambda: drafting(long),
        lambda: drafting.generate(long),
        lambda: drafting.create_chat_completion([{"role": "user", "content": [{"type": "text", "text": long}]}]),
        lambda: drafting("a", prediction={"type": "content", "content": long}),
    ):
        with pytest.raises(ContextFullError, match="10000000 bytes or more"):
            call()


def test_longest_token_bounds_every_text_that_fits(smollm2, opened):
    llm = opened(Llama(str(smollm2), n_ctx=256, **ONE))
    longest = max((llm.detokenize([token], special=True) for token in range(llm.n_vocab())), key=len)
    assert len(longest) > 32
    assert max(len(token_bytes(llm._model.vocab, token, special=True)) for token in range(llm.n_vocab())) == len(
        longest
    )
    text = (longest * 250).decode()
    assert len(llm.tokenize(text.encode())) < 256
    assert llm(text, max_tokens=1, temperature=0.0)["usage"]["completion_tokens"] == 1
    with pytest.raises(ContextFullError, match="bytes or more"):
        llm("a" * len(longest) * 257)


def test_schema_text_of_users_is_checked_as_grammar(drafting):
    schema = json.dumps({"type": "array", "items": {"type": "string"}, "minItems": 30_000})
    with pytest.raises(ConfigError, match="the grammar has"):
        drafting("a", grammar=LlamaGrammar.from_json_schema(schema, verbose=False))


def test_a_grammar_that_does_not_parse_is_refused_and_disturbs_nothing(llm):
    before = llm("the cat", max_tokens=20, temperature=0.0)["choices"]
    with pytest.raises(ConfigError, match="cannot parse the grammar"):
        llm("the cat", max_tokens=5, grammar=grammar("root ::= ("))
    assert llm("the cat", max_tokens=20, temperature=0.0)["choices"] == before
