"""Vectors of texts, from the models that ``hd-edge serve --embedding`` loads."""

from __future__ import annotations

import os
import subprocess
import time

import httpx
import pytest
from bert_gguf import bert
from broken_gguf import UINT32
from children import HD_EDGE, address, hd_edge
from gguf_parts import parts
from one_model import ONE
from served import CANCELLED, request

from hd_edge import Llama
from hd_edge.cli.serve import embedding_settings

TALK = {"role": "user", "content": "a"}


def refused(response) -> dict:
    assert response.status_code == 400, response.text
    return response.json()["error"]


def test_embeddings_need_a_model_for_them(served, tiny, serve):
    told = refused(served.post("/v1/embeddings", {"input": "a"}))
    assert told["code"] == "no_embeddings"
    assert "hd-edge serve --embedding" in told["message"]
    each = serve(tiny(embedding=True, n_ctx=64), "each")
    assert "a vector for each token" in refused(each.post("/v1/embeddings", {"input": "a"}))["message"]


def test_a_text_is_embedded_whole_or_not_at_all(models, served, tiny, serve):
    """With what ``hd-edge serve --embedding`` loads it with; chats go on."""
    settings = embedding_settings(str(models("Q4_0")), 64)
    assert settings["pooling_type"] == 1
    vectors = serve(tiny(n_ctx=256, n_batch=64, **settings), "vectors")
    made = vectors.post("/v1/embeddings", {"input": "the cat"})
    assert len(made.json()["data"][0]["embedding"]) > 1
    told = refused(vectors.post("/v1/embeddings", {"input": ["the cat", "the cat " * 60]}))
    assert "text 1 has" in told["message"]
    assert told["code"] == "context_length_exceeded"
    body = {"messages": [{"role": "user", "content": "the cat"}], "max_tokens": 8, "temperature": 0}
    said = [server.post("/v1/chat/completions", body).json()["choices"][0]["message"] for server in (vectors, served)]
    assert said[0] == said[1]


def test_one_text_is_embedded_at_a_time():
    done = hd_edge("serve", "-m", "no.gguf", "--port", 0, "--embedding", "-np", 2)
    assert done.returncode == 2
    assert "--embedding embeds one text at a time, --parallel 2 asks for more" in done.stderr


def test_how_the_file_pools_counts(models, tmp_path):
    content = parts(models("Q4_0").read_bytes())
    content.set("llama.pooling_type", UINT32, 3)  # of the last token
    path = tmp_path / "pools.gguf"
    path.write_bytes(content.to_bytes())
    assert embedding_settings(str(path), 32) == {"embedding": True, "pooling_type": -1, "n_ubatch": 32}
    with Llama(str(path), **ONE, n_ctx=64, n_batch=32, **embedding_settings(str(path), 32)) as llm:
        assert llm.pooling_type() == 3


def test_a_server_embeds(models, tmp_path):
    command = [*HD_EDGE, "serve", "-m", str(models("Q4_0")), "-t", "1", "-c", "128", "--port", "0", "--embedding"]
    environment = {**os.environ, "HD_EDGE_HOME": str(tmp_path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            url, _ = address(process)
            made = httpx.post(f"{url}/v1/embeddings", json={"input": ["a cat", "a dog"]}, timeout=120)
            httpx.post(f"{url}/v1/completions", json={"prompt": "a cat", "max_tokens": 3}, timeout=120)
        finally:
            process.terminate()
            said = process.stderr.read()
    first, second = (one["embedding"] for one in made.json()["data"])
    assert first != second
    assert said == ""  # llama.cpp has a line for each generation of a model that embeds


def test_a_model_that_embeds_and_nothing_else(serve, tmp_path):
    path = tmp_path / "bert.gguf"
    path.write_bytes(bert())
    vectors = serve(Llama(str(path), **ONE, n_ctx=512, n_batch=512, **embedding_settings(str(path), 512)), "bert")
    answer = vectors.post("/v1/embeddings", {"input": ["a b", "ab " * 12]})
    assert answer.status_code == 200, answer.text
    made = answer.json()["data"]
    assert len({tuple(one["embedding"]) for one in made}) == 2
    told = refused(vectors.post("/v1/embeddings", {"input": "ab " * 60}))  # llama.cpp would end the process
    assert told["code"] == "context_length_exceeded"
    for stream in (False, True):
        for path, body in (("completions", {"prompt": "a"}), ("chat/completions", {"messages": [TALK]})):
            told = refused(vectors.post(f"/v1/{path}", {**body, "stream": stream}))
            assert "this model embeds texts" in told["message"]


def test_token_ids_are_embedded_as_they_are(tiny, serve):
    """With special tokens, without a beginning of their own, and in company with others."""
    llm = tiny(n_ctx=64, n_batch=32, embedding=True, pooling_type=1)
    vectors = serve(llm, "ids")

    def embedded(given):
        answer = vectors.post("/v1/embeddings", {"input": given})
        assert answer.status_code == 200, answer.text
        return [one["embedding"] for one in answer.json()["data"]], answer.json()["usage"]["prompt_tokens"]

    text = llm.tokenize(b"the cat")
    assert embedded([text, text])[0] == embedded(["the cat", "the cat"])[0]
    bos, eos = llm.token_bos(), llm.token_eos()
    lists = [text, text[1:], [*text, eos], [bos, bos, *text], [eos]]
    made, counted = embedded(lists)
    assert len({tuple(one) for one in made}) == len(lists)
    assert counted == sum(map(len, lists))
    for each, vector in zip(lists, made, strict=True):
        assert embedded(each)[0][0] == pytest.approx(vector, abs=1e-4)
    for wrong in (llm.n_vocab(), 2**31 - 1):
        told = refused(vectors.post("/v1/embeddings", {"input": [[1], [wrong]]}))
        assert f"token id {wrong} is outside the vocabulary" in told["message"]
    assert "text 1 has 33 tokens" in refused(vectors.post("/v1/embeddings", {"input": [[1], [1] * 33]}))["message"]


@pytest.fixture
def slow(tiny, serve, monkeypatch):
    """A server whose model takes a while for each text; and the texts that it was given."""
    llm, given = tiny(n_ctx=64, embedding=True, pooling_type=1), []
    create = llm.create_embedding

    def embed(texts, *args, **more):
        given.extend(texts)
        time.sleep(0.05 * len(texts))
        return create(texts, *args, **more)

    monkeypatch.setattr(llm, "create_embedding", embed)
    return serve(llm, "slow"), given


MANY = request("/v1/embeddings", {"input": ["the cat"] * 2048})


def test_who_leaves_gives_up_its_turn_between_two_batches(slow):
    server, given = slow
    before = server.metric(CANCELLED)
    with server.connect(MANY):
        server.wait_for("llamacpp:requests_processing", 1)
    server.wait_for(CANCELLED, before + 1)
    server.wait_for("llamacpp:requests_processing", 0)
    assert len(given) < 1024
    assert server.post("/v1/embeddings", {"input": ["a", "b"]}).json()["data"][1]["index"] == 1


def test_vectors_are_those_of_all_texts_in_one_call(tiny, serve):
    llm = tiny(n_ctx=64, n_batch=32, embedding=True, pooling_type=1)
    texts = ["the cat " * (1 + n % 5) for n in range(40)]
    direct = llm.create_embedding(texts)
    made = serve(llm, "same").post("/v1/embeddings", {"input": texts}).json()
    assert [one["embedding"] for one in made["data"]] == [one["embedding"] for one in direct["data"]]
    assert [one["index"] for one in made["data"]] == list(range(40))
    assert made["usage"] == direct["usage"]
