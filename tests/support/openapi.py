"""Requests made from a server's own OpenAPI document: every route, every field, right and wrong."""

from __future__ import annotations

import json
import string
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
from hypothesis import strategies as st

COSTLY = {"n", "best_of", "max_tokens", "max_completion_tokens", "max_output_tokens"}  # an answer takes this long

TEXT = st.one_of(
    st.text(max_size=30),
    st.text(alphabet=st.characters(categories=["Cs", "Cc", "Mn", "So", "Cf"]), max_size=12),
    st.sampled_from(["", "the cat", "\ud800", "\x00", "</s>", "../../etc/passwd", "{{ 7 }}", "%s%n", "a" * 2000]),
)
WILD: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.sampled_from([-1, 0, 1, 2**31 - 1, 2**31, 2**63, 10**30, -(10**30)]),
        st.floats(),
        TEXT,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)


@dataclass
class Call:
    """One request.

    Attributes:
        method: Of HTTP.
        path: With its parameters filled in, quoted.
        route: As the document names it.
        body: Bytes, or None.
        kind: Content type.
        names: Fields of the body.
    """

    method: str
    path: str
    route: str
    body: bytes | None = None
    kind: str = "application/json"
    names: tuple[str, ...] = ()


@dataclass
class Document:
    """An OpenAPI document.

    Attributes:
        document: As the server writes it.
        depth: Nested objects are cut from here on.
    """

    document: dict[str, Any]
    depth: int = 4
    fields: set[tuple[str, str]] = field(default_factory=set)  # every route's, filled by calls()

    def calls(self) -> st.SearchStrategy[Call]:
        """Requests to all routes."""
        made = []
        for route, methods in self.document["paths"].items():
            for method, operation in methods.items():
                made.append(self._call(method.upper(), route, operation))
                made.append(st.just(Call(method.upper(), quote(route), route)))
        routes = sorted(self.document["paths"])
        odd = st.builds(
            Call,
            st.sampled_from(["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "POST", "TRACE", "QUERY"]),
            st.one_of(st.sampled_from(routes).map(quote), TEXT.map(lambda t: "/" + quote(t, errors="surrogatepass"))),
            st.just(""),
            st.one_of(st.none(), st.binary(max_size=80)),
            st.sampled_from(
                ["application/json", "text/plain", "multipart/form-data", "", "application/json; charset=x"]
            ),
        )
        weights = [call for call in made for _ in range(2)]
        return st.one_of(*weights, odd)

    def _call(self, method: str, route: str, operation: dict[str, Any]) -> st.SearchStrategy[Call]:
        path = st.just(route)
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                name = "{" + parameter["name"] + "}"
                path = st.builds(
                    lambda at, value, name=name: at.replace(name, quote(str(value), safe="", errors="surrogatepass")),
                    path,
                    TEXT,
                )
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" not in content:
            return st.builds(Call, st.just(method), path, st.just(route))
        schema = self._resolve(content["application/json"]["schema"])
        self.fields |= {(route, name) for name in schema["properties"]}

        @st.composite
        def call(draw: st.DrawFn) -> Call:
            body = draw(self._object(schema, self.depth, most=6))
            if body and draw(st.integers(0, 3)) == 0:
                body[draw(st.sampled_from(sorted(body)))] = draw(WILD)
            text = json.dumps(body)
            if draw(st.integers(0, 30)) == 0:
                text = text[: draw(st.integers(0, len(text)))]
            return Call(method, draw(path), route, text.encode(), names=tuple(body))

        return call()

    def _resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return schema

    def _object(self, schema: dict[str, Any], depth: int, most: int = 3) -> st.SearchStrategy[dict[str, Any]]:
        """An object with what must be there, and some of what may be."""
        known, required = schema.get("properties", {}), schema.get("required", [])
        values = {name: self._value(name, part, depth - 1) for name, part in known.items()}
        other = sorted(set(known) - set(required))

        @st.composite
        def made(draw: st.DrawFn) -> dict[str, Any]:
            chosen = draw(st.lists(st.sampled_from(other), max_size=most, unique=True)) if other else []
            body = {name: draw(values[name]) for name in [*required, *chosen]}
            for name in COSTLY & set(known) - set(body) - {"n", "best_of"}:
                body[name] = draw(st.integers(1, 6))
            if schema.get("additionalProperties") and draw(st.booleans()):
                body |= draw(st.dictionaries(st.text(string.ascii_letters, max_size=6), WILD, max_size=2))
            return body

        return made()

    def _value(self, name: str, schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
        schema = self._resolve(schema)
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        if "anyOf" in schema:
            return st.one_of(*(self._value(name, part, depth) for part in schema["anyOf"]))
        kind = schema.get("type")
        if kind == "object" or "properties" in schema:
            if depth <= 0:
                return st.just({})
            if "properties" in schema:
                return self._object(schema, depth)
            inner = schema.get("additionalProperties")
            value = self._value("", inner, depth - 1) if isinstance(inner, dict) and inner else WILD
            return st.dictionaries(st.one_of(TEXT, st.integers(0, 600).map(str)), value, max_size=3)
        if kind == "array":
            inner = schema.get("items") or {}
            least = int(schema.get("minItems", 0))
            return st.lists(self._value("", inner, depth - 1), min_size=least, max_size=max(3, least))
        return self._scalar(name, schema, kind)

    def _scalar(self, name: str, schema: dict[str, Any], kind: str | None) -> st.SearchStrategy[Any]:
        if kind == "integer":
            least, most = int(schema.get("minimum", -(2**31))), int(schema.get("maximum", 2**31))
            if name in COSTLY:
                return st.integers(max(least, 0), min(most, 3))
            return st.one_of(st.integers(least, min(most, least + 40)), st.integers(least, most))
        if kind == "number":
            least = schema.get("minimum", schema.get("exclusiveMinimum", -1e9))
            return st.floats(least, schema.get("maximum", 1e9), exclude_min="exclusiveMinimum" in schema)
        if kind == "boolean":
            return st.booleans()
        if kind == "null":
            return st.none()
        if kind == "string":
            return st.from_regex(schema["pattern"]) if "pattern" in schema else TEXT
        return WILD


def check_life(http: httpx.Client) -> None:
    """The server is there, and answers what is right."""
    assert http.get("/health").json() == {"status": "ok"}
    made = http.post("/v1/completions", json={"prompt": "the cat", "max_tokens": 3, "temperature": 0.0}).json()
    assert made["usage"]["completion_tokens"] == 3


def check_answer(response: httpx.Response) -> None:
    """An answer, or an error that says what is wrong with the request; nothing of the server's own."""
    assert response.status_code < 500, response.text
    if response.request.method == "HEAD" or not response.content:
        return
    if response.status_code >= 400:
        error = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["type"] == "invalid_request_error"
        assert error["message"]
    elif response.headers["content-type"].startswith("text/event-stream"):
        assert response.content.endswith(b"data: [DONE]\n\n")
        assert b'"internal_server_error"' not in response.content
        assert b"Traceback" not in response.content
    elif response.headers["content-type"].startswith("application/json"):
        json.loads(response.content)
