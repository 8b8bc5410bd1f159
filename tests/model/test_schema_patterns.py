"""Patterns in JSON schemas: what each takes."""

from __future__ import annotations

import pytest
from schema_grammar import accepts, grammar

from hd_edge import ConfigError


@pytest.mark.parametrize(
    ("pattern", "right", "wrong"),
    [
        ("^a|b$", ["a", "axx", "b", "xxb"], ["xa", "bx", ""]),
        ("abc", ["abc", "xxabcyy"], ["ab"]),
        ("^$", [""], ["a"]),
        ("^(?:a|bc)*$", ["", "abca"], ["ac"]),
        ("^(?<year>\\d{4})-(\\d{2})$", ["2024-05"], ["24-05"]),
        ("^a{2}b{1,}c{0,2}d?$", ["aab", "aabbbccd"], ["ab", "aabccc"]),
        ("^[^a\\n]+$", ['b\\c"\t', "😀"], ["", "bab", "\n"]),
        ("^[\\]\\\\^-]$", ["]", "\\", "^", "-"], ["[", "a"]),
        ("^[a\\-c]$", ["a", "-", "c"], ["b"]),
        ("^\\u0041\\x42\\u{43}\\t\\.$", ["ABC\t."], ["ABC\tx"]),
        ("^\\ud83d\\ude00$", ["😀"], ["😁"]),
        ("^.$", ["x", "😀"], ["\n", "\u2028", "xx"]),
        ("^\\w\\W\\s\\S\\d\\D$", ["a- b1c"], ["--  1c"]),
        ("^a{b}$", ["a{b}"], ["ab"]),
        ("^\\p{Lu}\\P{Lu}$", ["Éa"], ["aa", "AA"]),
        ("^(a|ab)(c|bcd)$", ["abcd", "ac", "abc"], ["abcdx"]),
        ("x$|^y$|^z", ["ax", "y", "zz"], ["yy", "az"]),
        ("^[\\b]\\/$", ["\b/"], ["b/"]),
        ("(^a)(b$)", ["ab"], ["xab", "abx"]),
        ("^a+?b*?$", ["a", "aab"], ["b"]),
        ("^[]$", [], ["", "a"]),
        ("^[^]$", ["a", "\n"], [""]),
    ],
)
def test_patterns(pattern, right, wrong):
    if pattern == "^[]$":
        with pytest.raises(ConfigError, match="no value that can be written"):
            grammar({"type": "string", "pattern": pattern})
        return
    schema = {"type": "string", "pattern": pattern}
    assert accepts(schema, *right) == [True] * len(right)
    assert accepts(schema, *wrong) == [False] * len(wrong)
