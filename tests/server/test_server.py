"""The server with the clients people use: openai, curl, eight at once, and ones that go away."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest
from children import HD_EDGE, address
from one_model import ONE
from served import CANCELLED, request

from hd_edge import Llama

MESSAGES = [{"role": "user", "content": "Tell me about rivers."}]
GREEDY = {"temperature": 0.0, "max_tokens": 24}


@pytest.fixture(scope="module")
def llm(smollm2_q4_0):
    return Llama(str(smollm2_q4_0), n_ctx=1024, exact=True, **ONE)


@pytest.fixture(scope="module")
def served(llm, serve):
    return serve(llm, "smollm2")


@pytest.fixture(scope="module")
def answer(client):
    done = client.chat.completions.create(model="smollm2", messages=MESSAGES, **GREEDY)
    return done.choices[0].message.content


def test_openai_client_lists_the_model(client):
    assert [model.id for model in client.models.list()] == ["smollm2"]


def test_openai_client_chats(client, answer):
    done = client.chat.completions.create(model="any", messages=MESSAGES, temperature=0.0, max_completion_tokens=24)
    assert done.choices[0].message.content == answer
    assert done.usage.completion_tokens == 24
    assert done.usage.completion_tokens_details.rejected_prediction_tokens >= 0
    assert done.timings["predicted_n"] == 24


def test_openai_client_streams_with_usage_and_tiers(client, answer):
    stream = client.chat.completions.create(
        model="smollm2",
        messages=MESSAGES,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"include_tiers": True},
        **GREEDY,
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == answer
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 24
    assert {c.choices[0].tier for c in chunks if c.choices} <= {"target", "context", "model", "statistics"}
    assert chunks[-2].timings["predicted_n"] == 24


def test_openai_client_predicts(client, llm, answer, monkeypatch):
    seen = []
    begin = llm.planner.begin

    def begins(tokens, predicted):
        seen.append(llm.detokenize(predicted.tolist()).decode())
        begin(tokens, predicted)

    monkeypatch.setattr(llm.planner, "begin", begins)
    prediction = {"type": "content", "content": answer}
    done = client.chat.completions.create(model="smollm2", messages=MESSAGES, prediction=prediction, **GREEDY)
    assert seen == [answer]
    assert done.choices[0].message.content == answer


def test_completions(client, llm):
    done = client.completions.create(model="smollm2", prompt="One, two,", **GREEDY)
    pieces = client.completions.create(model="smollm2", prompt=["One, two,"], stream=True, **GREEDY)
    assert "".join(piece.choices[0].text for piece in pieces) == done.choices[0].text
    assert done.usage.prompt_tokens == 4


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"prediction": {"type": "content"}}, "prediction has content of type NoneType"),
        ({"messages": [{"role": "user", "content": "word " * 1500}]}, "context window 1024"),
        ({"messages": [{"role": "user", "content": "word " * 1500}], "stream": True}, "context window 1024"),
        ({"extra_body": {"grammar": "root ::= ("}}, "(?i)grammar"),
    ],
)
def test_what_a_request_gets_wrong_is_a_400(client, answer, more, message):
    with pytest.raises(openai.BadRequestError, match=message) as caught:
        client.chat.completions.create(**{"model": "smollm2", "messages": MESSAGES, **GREEDY, **more})
    assert caught.value.type == "invalid_request_error"
    if message.startswith("context"):
        assert caught.value.code == "context_length_exceeded"
    done = client.chat.completions.create(model="smollm2", messages=MESSAGES, **GREEDY)
    assert done.choices[0].message.content == answer


def test_curl(served, answer):
    body = json.dumps({"messages": MESSAGES, "stream": True, **GREEDY})
    command = ["curl", "-sN", f"{served.url}/v1/chat/completions", "-H", "Content-Type: application/json", "-d", body]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == answer


def test_eight_clients_at_once_get_their_own_answers(served, client):
    def ask(number: int) -> str:
        messages = [{"role": "user", "content": f"Count from {number} to {number + 5}."}]
        if number % 2:
            stream = client.chat.completions.create(model="smollm2", messages=messages, stream=True, **GREEDY)
            return "".join(c.choices[0].delta.content or "" for c in stream)
        return client.chat.completions.create(model="smollm2", messages=messages, **GREEDY).choices[0].message.content

    left = served.metric(CANCELLED)
    one_by_one = [ask(number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == one_by_one
    assert len(set(one_by_one)) == 8
    assert served.metric(CANCELLED) == left


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_stops_the_generation(served, client, answer, stream):
    left = served.metric(CANCELLED)
    ask = [{"role": "user", "content": "Write a very long story."}]
    long = {"messages": ask, "max_tokens": 900, "min_tokens": 900, "stream": stream}  # more than is made ahead
    if stream:
        with httpx.stream("POST", f"{served.url}/v1/chat/completions", json=long, timeout=60) as response:
            next(response.iter_lines())
    else:
        post_and_leave(served, long)
    served.wait_for(CANCELLED, left + 1)
    served.wait_for("llamacpp:requests_processing", 0)
    done = client.chat.completions.create(model="smollm2", messages=MESSAGES, **GREEDY)
    assert done.choices[0].message.content == answer


def test_a_client_that_leaves_a_plainly_decoding_model_frees_the_turn(tiny, serve):
    llm = tiny(attention_type=1, n_ctx=20_000)
    assert llm._plain_reason
    served = serve(llm, "plain")
    body = {"messages": [{"role": "user", "content": "a"}], "max_tokens": 15_000, "logit_bias": {"2": -100}}
    post_and_leave(served, body)
    served.wait_for(CANCELLED, 1)
    served.wait_for("llamacpp:requests_processing", 0)
    tokens = llm.total_stats.tokens
    served.stop()
    assert tokens < 15_000


def post_and_leave(served, body: dict) -> None:
    with served.connect(request("/v1/chat/completions", body)):
        served.wait_for("llamacpp:requests_processing", 1)


def test_metrics_add_up(served, llm, client):
    client.chat.completions.create(model="smollm2", messages=MESSAGES, **GREEDY)
    total = llm.total_stats
    assert served.metric("llamacpp:tokens_predicted_total") == total.tokens
    for prefix in ("llamacpp", "vllm"):
        accepted = served.metric(f"{prefix}:spec_decode_num_accepted_tokens_total")
        assert accepted == sum(total.accepted.values()) == sum(total.accepted_by_depth)
        assert served.metric(f"{prefix}:spec_decode_num_draft_tokens_total") == sum(total.drafted.values())
        assert served.metric(f"{prefix}:spec_decode_num_drafts_total") == total.drafts > 0
        name = f'{prefix}:spec_decode_num_accepted_tokens_per_pos_total{{position="0"}}'
        assert served.metric(name) == total.accepted_by_depth[0]
    assert total.forwards > total.drafts


def test_kept_routes_of_llama_cpp(served):
    counted = httpx.post(f"{served.url}/extras/tokenize/count", json={"input": "One, two,"}).raise_for_status().json()
    assert counted == {"count": 4}


def test_api_key_and_command_line(smollm2_q4_0, tmp_path, monkeypatch):
    monkeypatch.setenv("HD_EDGE_HOME", str(tmp_path))
    command = [*HD_EDGE, "serve", "-m", str(smollm2_q4_0), "-t", "1", "--port", "0"]
    process = subprocess.Popen([*command, "--api-key", "secret", "-a", "little"], stderr=subprocess.PIPE, text=True)
    try:
        url, (line,) = address(process)
        assert line.startswith("little at http://127.0.0.1:")
        with httpx.Client(base_url=url, transport=httpx.HTTPTransport(retries=5), timeout=60) as http:
            assert http.get("/health").status_code == 200
            for path in ("/v1/models", "/metrics"):
                assert http.get(path).status_code == 401
                assert http.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
            assert http.post("/v1/chat/completions", json={"messages": MESSAGES}).status_code == 401
        with openai.OpenAI(base_url=f"{url}/v1", api_key="secret") as client:
            assert client.chat.completions.create(model="little", messages=MESSAGES, **GREEDY).model == "little"
        process.send_signal(2)
        process.wait(30)
        assert list(tmp_path.rglob("*.sqlite3"))  # what was said is learned
    finally:
        process.kill()
        process.communicate()


def test_conversations_that_take_turns_are_read_once(client):  # eight with a common beginning
    common = "You answer in one word. " + "Rivers run to the sea, and the sea is wide. " * 12
    talks = [[{"role": "user", "content": f"{common} Question {i}: which river?"}] for i in range(8)]

    def ask(talk):
        answer = client.chat.completions.create(model="m", messages=talk, temperature=0.0, max_tokens=4)
        talk.append({"role": "assistant", "content": answer.choices[0].message.content})
        return answer.usage.prompt_tokens - answer.usage.prompt_tokens_details.cached_tokens

    first = [ask(talk) for talk in talks]
    for talk in talks:
        talk.append({"role": "user", "content": "And where does it end?"})
    second = [ask(talk) for talk in talks]
    assert first[0] > 100  # it knows nothing of this text
    assert max(first[1:]) < 40  # the common beginning is known
    assert max(second) < 40


def test_completions_have_the_path_of_llama_cpps_server_too(served):
    body = {"prompt": "the cat", "max_tokens": 4, "temperature": 0}
    answers = [served.post(f"/v1/{path}completions", body).json() for path in ("", "engines/copilot-codex/")]
    assert answers[0]["choices"] == answers[1]["choices"]
