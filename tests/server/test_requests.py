"""What requests may ask for, and how every mistake in one is answered: 4xx, as OpenAI's error object."""

from __future__ import annotations

import json
import re

import httpx
import pytest

GREEDY = {"max_tokens": 3, "temperature": 0.0}


@pytest.fixture(scope="module")
def served(llm, serve):
    return serve(llm, most_bytes=100_000)


def error(response: httpx.Response, status: int = 400) -> dict:
    assert response.status_code == status, response.text
    document = response.json()
    assert set(document) == {"error"}
    assert set(document["error"]) == {"message", "type", "param", "code"}
    assert document["error"]["type"] == "invalid_request_error"
    return document["error"]


@pytest.mark.parametrize(
    ("more", "param", "message"),
    [
        ({"temperature": "hot"}, "temperature", "valid number"),
        ({"temperature": -0.1}, "temperature", "-0.1 is below 0: send 0 or more"),
        ({"top_p": 1.5}, "top_p", "1.5 is above 1: send 1 or less"),
        ({"repeat_penalty": 0}, "repeat_penalty", "0 is not above 0: send more"),
        ({"max_tokens": -1}, "max_tokens", "-1 is below 0: send 0 or more; for no limit, as many as the context holds"),
        ({"max_tokens": 10**20}, "max_tokens", f"{10**20} is above 2147483647: send"),
        ({"top_k": 2**40}, "top_k", f"{2**40} is above 2147483647: send"),
        ({"seed": 10**30}, "seed", "is above 4294967295: send"),
        ({"n": 0}, "n", "0 is below 1: send 1 or more"),
        ({"n": 129}, "n", "129 is above 128: send 128 or less"),
        ({"stop": ["x"] * 65}, "stop", "up to 64"),
        ({"prompt": []}, "prompt", "the list is empty"),
        ({"prompt": [[]]}, None, "prompt is empty"),
        ({"prompt": ["a", 1]}, "prompt", "['a', 1] is not a text, a list of texts, a list of token ids"),
        ({"prompt": [[-1]]}, "prompt", "[[-1]] is not"),
        ({"prompt": [1, 99_999]}, None, "token id 99999 is outside the vocabulary of 512"),
        ({"prompt": ["a"] * 65, "n": 2}, "n", "130 choices, at most 128"),
        ({"prompt": "a" * 90_000}, None, "bytes or more"),
        ({"prompt": "a " * 400}, None, "context window 256"),
        ({"best_of": 3}, "best_of", "best_of=3 is not supported"),
        ({"prompt": [1, 2], "echo": True}, "echo", "echo needs a prompt of text"),
        ({"logit_bias": {"99999": 1}}, None, "token id 99999, the vocabulary 512"),
        ({"logit_bias": {"x": 1}}, None, "not a mapping of token ids"),
        (
            {"logprobs": 3, "echo": True},
            None,
            "echo with logprobs=3 needs the logits of every token: load the model with",
        ),
        ({"logit_bias": [1]}, "logit_bias", "[1] is not a mapping of tokens to numbers"),
        ({"grammar": "root ::= " + "(" * 30_000}, None, "brackets in brackets"),
        ({"grammar": 'root ::= "ab"', "min_tokens": 3}, None, "the grammar allows no token"),
        ({"prediction": 3}, None, "prediction"),
    ],
)
def test_what_a_completion_gets_wrong(served, more, param, message):
    found = error(served.post("/v1/completions", {"prompt": "a", **GREEDY, **more}))
    assert found["param"] == param
    assert message in found["message"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages"),
        (
            {"max_completion_tokens": -1},
            "max_completion_tokens: -1 is below 0: send 0 or more; for no limit, leave it out",
        ),
        ({"max_tokens": -1}, "max_tokens: -1 is below 0: send 0 or more; for no limit, leave it out or send null"),
        ({"response_format": {"type": "json_object", "schema": {"type": "array", "minItems": 10**7}}}, "as minItems"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"minLength": 10**9}}}]},
            "as minLength",
        ),
    ],
)
def test_what_a_chat_gets_wrong(served, more, message):
    body = {"messages": [{"role": "user", "content": "a"}], **GREEDY, **more}
    assert message in str(error(served.post("/v1/chat/completions", body)))


HALF = "half a surrogate pair, '\\ud800' at 0: send whole characters"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[" * 50_000, "body"),
        (b'{"prompt": "a", "temperature": NaN}', "finite number"),
        (b'{"prompt": "a", "seed": ' + b"9" * 5000 + b"}", "body"),
        (b'{"prompt": "\\ud800"}', HALF),
        (b'{"prompt": "a", "stop": ["\\ud800"]}', HALF),
        (b'{"prompt": "a", "grammar": "\\ud800"}', "half a surrogate pair"),
        (
            b'{"prompt": "a", "logit_bias_type": "tokens", "logit_bias": {"\\ud800": 1}}',
            HALF,
        ),
        (b'{"prompt": "\xff"}', "body"),
        (b'"text"', "body"),
        (b'{"prompt": "a", "response_format": ' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}", ""),
    ],
)
def test_bodies_that_are_none(served, content, message):
    response = served.post("/v1/completions", content=content)
    if message:
        assert message in error(response)["message"]
    else:
        assert response.status_code in (200, 400)


def test_a_model_name_of_half_a_character_comes_back(served):
    content = b'{"prompt": "a", "max_tokens": 1, "model": "\\ud800"}'
    for more in (b"", b', "stream": true'):
        response = served.post("/v1/completions", content=content[:-1] + more + b"}")
        assert response.status_code == 200
        assert b'"\\ud800"' in response.content


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods_and_paths(served, method):
    wrong = error(httpx.request(method, f"{served.url}/v1/completions"), 405)["message"]
    assert wrong == f"there is no {method} /v1/completions here: this path takes POST"
    missing = error(httpx.request(method, f"{served.url}/chat/completions"), 404)["message"]
    assert missing.startswith(f"there is no {method} /chat/completions here: OpenAI's routes begin with /v1")


def test_tokens_out_of_range_in_every_route(served):
    for tokens in ([99_999_999], [512], [2**31 - 1]):
        message = error(served.post("/extras/detokenize", {"tokens": tokens}))["message"]
        assert message == f"token id {tokens[0]} is outside the vocabulary of 512: tokenize with this model"
    for tokens in ([-1], [2**31], [10**30], ["x"], [1.5]):
        assert error(served.post("/extras/detokenize", {"tokens": tokens}))["param"] == "tokens[0]"


def test_token_routes(served, llm):
    tokens = served.post("/extras/tokenize", {"input": "the cat"}).json()["tokens"]
    assert tokens == llm.tokenize(b"the cat")
    assert served.post("/extras/tokenize/count", {"input": "the cat"}).json() == {"count": len(tokens)}
    assert served.post("/extras/detokenize", {"tokens": tokens}).json() == {"text": llm.detokenize(tokens).decode()}


# -- several choices -------------------------------------------------------------------------------------------------


def texts(response: httpx.Response) -> dict[int, str]:
    """Text of each choice, of a whole answer or of a stream."""
    assert response.status_code == 200, response.text
    if response.headers["content-type"].startswith("application/json"):
        return {choice["index"]: choice["text"] for choice in response.json()["choices"]}
    found: dict[int, str] = {}
    events = re.findall(r"^data: (\{.*)$", response.text, re.MULTILINE)
    chunks = [json.loads(event) for event in events]
    assert len({chunk["id"] for chunk in chunks}) == 1
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        found[choice["index"]] = found.get(choice["index"], "") + choice["text"]
    return found


@pytest.mark.parametrize("stream", [False, True])
def test_every_prompt_of_a_list_is_answered(served, stream):
    prompts = ["the cat", "and a dog", "x"]
    alone = [texts(served.post("/v1/completions", {"prompt": prompt, **GREEDY}))[0] for prompt in prompts]
    together = texts(served.post("/v1/completions", {"prompt": prompts, "stream": stream, **GREEDY}))
    assert together == dict(enumerate(alone))
    assert len(set(alone)) == 3


def test_prompts_of_tokens(served, llm):
    ids = [llm.tokenize(text) for text in (b"the cat", b"and a dog")]
    body = {"prompt": ["the cat", "and a dog"], **GREEDY}
    assert texts(served.post("/v1/completions", {**body, "prompt": ids})) == texts(served.post("/v1/completions", body))
    assert len(texts(served.post("/v1/completions", {**body, "prompt": ids[0]}))) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_every_prompt_of_a_list_is_echoed_where_nothing_is_said(served, stream):
    body = {"prompt": ["the cat", "x"], "n": 2, "echo": True, "max_tokens": 0, "stream": stream}
    assert texts(served.post("/v1/completions", body)) == {0: "the cat", 1: "the cat", 2: "x", 3: "x"}
    assert texts(served.post("/v1/completions", {**body, "n": 1, "prompt": ["x"]})) == {0: "x"}
    assert texts(served.post("/v1/completions", {**body, "n": 1, "echo": False})) == {0: "", 1: ""}


def test_who_says_nothing_tells_no_probabilities(served):
    nothing = {"max_tokens": 0, "logprobs": 1}
    for stream in (False, True):
        answer = served.post("/v1/completions", {"prompt": ["the cat", "x"], "stream": stream, **nothing}).text
        assert answer.count('"logprobs":null') == 2
        body = {"messages": [{"role": "user", "content": "a"}], "stream": stream, **nothing, "logprobs": True}
        assert served.post("/v1/chat/completions", body).text.count('"logprobs":null') == 1


@pytest.mark.parametrize("stream", [False, True])
def test_choices_of_one_prompt_differ_and_a_seed_repeats_them(served, stream):
    body = {"prompt": ["the cat", "x"], "n": 3, "max_tokens": 8, "temperature": 1.5, "seed": 7, "stream": stream}
    made = texts(served.post("/v1/completions", body))
    assert sorted(made) == list(range(6))
    assert len({made[index] for index in range(3)}) == 3
    assert texts(served.post("/v1/completions", body)) == made
    first = texts(served.post("/v1/completions", {**body, "n": 1, "prompt": "the cat"}))
    assert first[0] == made[0]


def test_choices_without_a_seed_differ(served):
    body = {"messages": [{"role": "user", "content": "a"}], "n": 3, "max_tokens": 8, "temperature": 1.5}
    choices = served.post("/v1/chat/completions", body).json()["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in choices}) == 3


def test_usage_counts_each_prompt_once(served):
    one = served.post("/v1/completions", {"prompt": "the cat", **GREEDY}).json()["usage"]
    several = served.post("/v1/completions", {"prompt": ["the cat"] * 2, "n": 2, **GREEDY}).json()
    assert several["usage"]["prompt_tokens"] == 2 * one["prompt_tokens"]
    assert several["usage"]["completion_tokens"] == 4 * one["completion_tokens"]
    assert several["usage"]["total_tokens"] == sum(
        several["usage"][f"{kind}_tokens"] for kind in ("prompt", "completion")
    )
    assert several["timings"]["predicted_n"] == 12
    body = {"prompt": ["the cat"] * 2, "n": 2, "stream": True, "stream_options": {"include_usage": True}, **GREEDY}
    events = re.findall(r"^data: (\{.*)$", served.post("/v1/completions", body).text, re.MULTILINE)
    assert json.loads(events[-1])["usage"]["prompt_tokens"] == 2 * one["prompt_tokens"]


def test_a_mistake_in_a_later_choice_ends_the_stream_with_an_error(served):
    body = {"prompt": ["the cat", "a " * 400], "stream": True, **GREEDY}
    events = re.findall(r"^data: (.*)$", served.post("/v1/completions", body).text, re.MULTILINE)
    assert json.loads(events[-2])["error"]["code"] == "context_length_exceeded"
    assert events[-1] == "[DONE]"
    assert error(served.post("/v1/completions", {**body, "stream": False}))["code"] == "context_length_exceeded"


def test_min_tokens_and_bias_hold_together(served, llm):
    wanted = llm.tokenize(b"x", add_bos=False)[-1]
    body = {"prompt": "a", "max_tokens": 6, "temperature": 0.0, "min_tokens": 6, "repeat_penalty": 1.0}
    body["logit_bias"] = {str(wanted): 50, str(llm.token_eos()): 90}
    made = served.post("/v1/completions", body).json()
    assert made["usage"]["completion_tokens"] == 6
    assert made["choices"][0]["text"].replace(" ", "") == "x" * 6
    by_text = {**body, "logit_bias_type": "tokens", "logit_bias": {"x": 50}}
    assert served.post("/v1/completions", by_text).json()["choices"][0]["text"].strip().startswith("x")


def test_a_request_that_breaks_the_chat_template_is_the_clients(served, llm, monkeypatch):
    def template(**_):
        raise TypeError("unsupported operand")

    monkeypatch.setattr(llm, "create_chat_completion", template)
    found = error(served.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]}))
    assert found["message"] == "this model cannot take the request: TypeError: unsupported operand"


def test_a_fault_of_ours_is_a_500_in_the_same_shape(served, llm, monkeypatch):
    def broken(*_, **__):
        llm.stats = type(llm.stats)()  # the generation has begun
        raise RuntimeError("llama_decode returned -3")

    monkeypatch.setattr(llm, "create_completion", broken)
    response = served.post("/v1/completions", {"prompt": "a"})
    assert response.status_code == 500
    assert response.json()["error"] == {
        "message": "RuntimeError: llama_decode returned -3",
        "type": "internal_server_error",
        "param": None,
        "code": None,
    }


@pytest.mark.parametrize("path", ["input_tokens", "compact", "resp_1/cancel", "resp_1/input_items"])
def test_what_is_not_offered_below_responses_is_not_found(served, path):
    told = error(served.post(f"/v1/responses/{path}", {"model": "any", "input": "x"}), 404)
    assert told["message"].startswith(f"there is no POST /v1/responses/{path} here")
