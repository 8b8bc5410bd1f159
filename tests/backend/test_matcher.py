"""The grammar matcher allows what llama.cpp's own grammar sampler allows, token by token, at a bounded price."""

from __future__ import annotations

import ctypes
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llama_cpp import LlamaGrammar
from llama_cpp import llama_cpp as lib
from one_model import ONE

from hd_edge import ConfigError, Llama, _native
from hd_edge.backend.gbnf import MOST_ELEMENTS, Kind, parse
from hd_edge.backend.grammar import CANDIDATE, allowed_tokens

JSON = r"""root ::= object
object ::= "{" ws (pair ("," ws pair)*)? "}" ws
pair ::= string ":" ws value
array ::= "[" ws (value ("," ws value)*)? "]" ws
value ::= object | array | string | number | ("true" | "false" | "null") ws
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\"" ws
number ::= "-"? ([0-9] | [1-9] [0-9]{0,15}) ("." [0-9]+)? ([eE] [-+]? [0-9]{1,3})? ws
ws ::= | " " | "\n" [ \t]{0,20}
"""
GRAMMARS = [
    JSON,
    'root ::= "größe" [0-9] | "gr" . "nd" [^a]',
    "root ::= [α-ω]+ | [^a-zé€]* | [ -~]{2,5}",
    'root ::= ("a" | "b" | "ab")* "c"? # a comment "',
    'root ::= e\ne ::= t (("+" | "-") t)*\nt ::= f (("*" | "/") f)*\nf ::= "x" | "(" e ")"',
    'root ::= "" | "the " word\n\nword ::=\n  "cat" |\n  "dog" "s"?',
    'root ::= ("a"{2,3} [bc]{0} | "d"{0,2}){1,} "\\x41\\u00e4\\U0001F600" "]"',
    "root ::= [\\]\\[a-]+ [^]",
    "root ::= <[300]> !<[301]> <[302]>* | .+",
]


@pytest.fixture(scope="module")
def llm(models):
    with Llama(str(models("Q4_0")), n_ctx=64, **ONE) as loaded:
        yield loaded


class Theirs:
    """llama.cpp's grammar sampler."""

    def __init__(self, llm, text):
        self.sampler = lib.llama_sampler_init_grammar(llm._model.vocab, text.encode(), b"root")
        self.candidates = np.zeros(llm.n_vocab(), CANDIDATE)
        self.candidates["id"] = np.arange(llm.n_vocab())

    def mask(self):
        work = self.candidates.copy()
        data = work.ctypes.data_as(ctypes.POINTER(lib.llama_token_data))
        array = lib.llama_token_data_array(data=data, size=len(work), selected=-1, sorted=False)
        lib.llama_sampler_apply(self.sampler, ctypes.byref(array))
        return work["logit"] == 0

    def accept(self, token):
        lib.llama_sampler_accept(self.sampler, int(token))


def walk(llm, text, seed, steps=25):
    """A random text of the grammar, whose masks are llama.cpp's all along."""
    theirs, ours = Theirs(llm, text), llm.vocabulary.matcher(LlamaGrammar.from_string(text, verbose=False))
    rng = random.Random(seed)
    for _ in range(steps):
        want, got = theirs.mask(), allowed_tokens(ours)
        assert got.tolist() == want.tolist()
        assert [ours.allows(token) for token in range(0, llm.n_vocab(), 7)] == got[::7].tolist()
        choices = [token for token in np.flatnonzero(want) if not lib.llama_vocab_is_eog(llm._model.vocab, int(token))]
        if not choices:
            break
        short = [token for token in choices if len(llm.vocabulary.piece(int(token))) == 1]  # half a character
        token = int(rng.choice(short if short and rng.random() < 0.5 else choices))
        theirs.accept(token)
        assert ours.accept(token)
    lib.llama_sampler_free(theirs.sampler)


@pytest.mark.parametrize("text", GRAMMARS)
@pytest.mark.parametrize("seed", range(4))
def test_masks_are_those_of_llama_cpp(llm, text, seed):
    walk(llm, text, seed)


@pytest.mark.parametrize("seed", range(2))
def test_masks_of_a_real_vocabulary(smollm2_q4_0, seed):
    with Llama(str(smollm2_q4_0), n_ctx=64, **ONE) as llm:
        for text in (JSON, GRAMMARS[1], GRAMMARS[2]):
            walk(llm, text, seed, steps=12)


ATOMS = st.sampled_from(['"a"', '"ab"', "[ab]", "[^a]", '""', ".", "b", "c", '"\\n"', "[a-c\\-]"])
PARTS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds(lambda parts: f"({' '.join(parts)})", st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda a, b: f"({a} | {b})", inner, inner),
        st.builds(lambda a, sign: f"({a}){sign}", inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}"])),
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PARTS, PARTS, PARTS, st.integers(0, 9))
def test_masks_of_random_grammars(llm, root, b, c, seed):
    text = f'root ::= {root}\nb ::= {b.replace("b", "c").replace("[cc]", "[bc]")}\nc ::= "x" {c} | "y"\n'
    if lib.llama_sampler_init_grammar(llm._model.vocab, text.encode(), b"root"):  # without left recursion
        walk(llm, text, seed, steps=5)


def test_a_text_that_is_refused_changes_nothing(llm):
    matcher = llm.vocabulary.matcher(LlamaGrammar.from_string('root ::= "ab" [0-9]', verbose=False))
    before = matcher.mask()
    assert not matcher.accept(3 + ord("x"))
    assert not matcher.accept(llm.token_eos())
    assert matcher.mask() == before
    with pytest.raises(IndexError):
        matcher.allows(llm.n_vocab())


EXPLODING = {
    "equal ways": "".join(f"a{i} ::= a{i + 1} a{i + 1} | a{i + 1}\n" for i in range(24)) + 'a24 ::= "x"?\nroot ::= a0',
    "left nesting": "\n".join(f'a{i} ::= a{i + 1} | a{i + 1} "y"' for i in range(400)) + '\na400 ::= "x"*\nroot ::= a0',
    "two of each": 'root ::= s\ns ::= "x" s "a" | "x" s "b" | ""',
    "left recursion": 'root ::= e\ne ::= e "+" "x" | "x"',
    "first of all": "root ::= a0\n" + "\n".join(f"a{i} ::= a{i + 1} | a{i + 1}" for i in range(60)) + '\na60 ::= "x"',
    "maybe": "root ::= " + '("x"? "y"? "x"?) ' * 300,
    "all alike": "root ::= " + " | ".join(f"a{i}" for i in range(900)) + "\nb ::= root?\n"
    + "".join(f'a{i} ::= "x" b\n' for i in range(900)),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPLODING)
def test_a_grammar_that_explodes_in_llama_cpp_is_followed_or_told(llm, name):
    """Each of these holds llama.cpp for ever, or fills the memory."""
    grammar = LlamaGrammar.from_string(EXPLODING[name], verbose=False)
    bias = dict.fromkeys((token for token in range(llm.n_vocab()) if llm.vocabulary.piece(token) != b"x"), -50.0)
    try:
        text = llm("a", max_tokens=40, temperature=0.0, grammar=grammar, logit_bias=bias)["choices"][0]["text"]
        assert text.startswith("x")
    except ConfigError as error:
        assert "too many ways" in str(error)


def test_memory_is_bounded_over_a_long_text(llm):
    matcher = llm.vocabulary.matcher(LlamaGrammar.from_string('root ::= "x" root "y" | "x"', verbose=False))
    x = 3 + ord("x")
    most = 0
    for _ in range(30_000):
        matcher.mask()
        assert matcher.accept(x)
        most = max(most, matcher.memory_bytes())
    assert most < 200_000_000
    assert matcher.allows(3 + ord("y"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a rule 'root' is expected"),
        ('foo ::= "a"', "a rule 'root' is expected"),
        ("root", "'::=' is expected in line 1"),
        ('root ::= "a" b', "the rule 'b' is used and not defined"),
        ('root ::= "a', "the end of a literal or a class is expected"),
        ("root ::= [a", "the end of a literal or a class is expected"),
        ('root ::= ("a"', r"'\)' is expected"),
        ('root ::= "a")', "the end of a line is expected"),
        ("root ::= * ", "something to repeat is expected before it in line 1, at '\\* '"),
        ('root ::= "a"{', "a number is expected"),
        ('root ::= "a"{1', "'}' is expected"),
        ('root ::= "\\q"', "there is no such escape"),
        ("root ::= <nothing like it>", "one token of the vocabulary"),
        ("root ::= <[99999999999999]>", "one token of the vocabulary"),
        ("root ::= root", "allows no text"),
        ("root ::= a\na ::= root | a", "allows no text"),
        ("root ::= " + '"abcdefgh"{2000} ' * (MOST_ELEMENTS // 16_000 + 1), "elements"),
    ],
)
def test_what_does_not_parse_says_why_and_where(llm, text, message):
    with pytest.raises(ConfigError, match=message):
        llm.vocabulary.matcher(LlamaGrammar.from_string(text, verbose=False)) if text else parse("", "root", int)


@pytest.mark.parametrize(
    ("kinds", "values", "root"),
    [
        ([], [], 0),
        ([Kind.ANY], [0], 0),
        ([Kind.END], [0], 1),
        ([Kind.RULE, Kind.END], [1, 0], 0),
        ([Kind.UPPER, Kind.END], [65, 0], 0),
        ([Kind.TOKEN, Kind.OR_CHARACTER, Kind.END], [1, 65, 0], 0),
        ([17, Kind.END], [0, 0], 0),
        ([Kind.END, Kind.END], [0], 0),
    ],
)
def test_the_native_rules_check_every_number(kinds, values, root):
    with pytest.raises(ValueError, match=r"."):
        _native.GrammarRules(np.array(kinds, np.int32), np.array(values, np.uint32), root)
