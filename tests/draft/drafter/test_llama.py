"""``Llama(..., drafter=...)``: lossless with any drafter, refused where it cannot draft, closed with its target."""

from __future__ import annotations

from itertools import islice

import pytest
import tiny_gguf
from vocabularies import write_vocabulary

from hd_edge import Llama
from hd_edge.config import DraftConfig
from hd_edge.draft.cost import CostCurve
from hd_edge.errors import ClosedError, ConfigError, ModelFileError

SETTINGS = {"n_ctx": 512, "n_threads": 1, "n_threads_batch": 1, "store": None, "prefix_cache": None}
FLAT = {1: 1.0, 2: 1.05, 4: 1.1, 8: 1.2}
MESSAGES = [{"role": "user", "content": "Explain in three sentences why the sky is blue, and sing about it. 🎉"}]


def make(path, **more):
    return Llama(str(path), exact=True, **{**SETTINGS, **more})


def free(llm) -> None:
    """From now on the drafter costs nothing, rows next to nothing: it is asked wherever it knows something."""
    asking = llm.planner.asking
    llm.planner.cost = CostCurve.of(FLAT)
    asking.tier.reader._clock = lambda: 0.0
    asking._prices = [0.0, 0.0]


@pytest.fixture(scope="module")
def plain(smollm2_q4_0):
    with make(smollm2_q4_0, draft="off") as llm:
        yield llm


@pytest.fixture(params=["of its own kind", "of another vocabulary", "of noise"])
def drafted(request, smollm2_q4_0, smollm2, models):
    """SmolLM2 with a drafter: itself, itself as if its vocabulary were another one, and a tiny random model."""
    drafter = models("Q4_0") if request.param == "of noise" else smollm2_q4_0
    with make(smollm2_q4_0, drafter=str(drafter)) as llm:
        if request.param == "of another vocabulary":
            llm.planner.asking.tier._same = False
        free(llm)
        yield llm


def chat(llm, **sampling):
    completion = llm.create_chat_completion(MESSAGES, max_tokens=48, seed=11, **sampling)
    return completion["choices"][0]["message"]["content"]


@pytest.mark.parametrize("sampling", [{"temperature": 0.0}, {"temperature": 0.7}, {"temperature": 1.0, "top_p": 0.9}])
def test_text_is_plain_text_with_any_drafter(plain, drafted, sampling):
    assert chat(drafted, **sampling) == chat(plain, **sampling)
    assert drafted.stats.drafted["drafter"]


def test_a_completion_is_drafted_too(plain, drafted):
    prompt = "Q: What is the capital of France?\nA: The capital"
    texts = [
        llm.create_completion(prompt, max_tokens=40, temperature=0.0)["choices"][0]["text"] for llm in (plain, drafted)
    ]
    assert texts[0] == texts[1]
    assert drafted.stats.drafted["drafter"]


@pytest.mark.parametrize("same", [True, False], ids=["ids", "text"])
def test_a_drafter_that_says_the_same_is_accepted(smollm2_q4_0, same):
    with make(smollm2_q4_0, drafter=str(smollm2_q4_0)) as llm:
        llm.planner.asking.tier._same = same
        free(llm)
        chat(llm, temperature=0.0)
        stats = llm.stats
        assert stats.mean_accepted_tokens > 2
        assert stats.accepted["drafter"] > 0.3 * stats.tokens
        assert "drafter" in stats.summary()


def test_a_chat_is_read_in_the_drafters_own_template(smollm2_q4_0):
    with make(smollm2_q4_0, drafter=str(smollm2_q4_0)) as llm:
        tier = llm.planner.asking.tier
        tier._same = False
        free(llm)
        chat(llm, temperature=0.0)
        small = tier.reader.llama
        read = small.detokenize(small.input_ids[: small.n_tokens].tolist(), special=True).decode()
        assert read.count("<|im_start|>user\n" + MESSAGES[0]["content"]) == 1
        list(islice(llm.generate("Once upon a time"), 8))
        read = small.detokenize(small.input_ids[: small.n_tokens].tolist(), special=True).decode()
        assert read.startswith("Once upon a time")


def test_a_window_that_is_full_slides(smollm2_q4_0, plain):
    with make(smollm2_q4_0, draft="off", n_ctx=128) as small, make(smollm2_q4_0, drafter=small) as llm:
        free(llm)
        prompt = "The sea, the sea. " * 30
        texts = [
            m.create_completion(prompt, max_tokens=60, temperature=0.0)["choices"][0]["text"] for m in (plain, llm)
        ]
        assert texts[0] == texts[1]
        assert small.n_tokens <= 128
        assert llm.planner.asking.tier.reader.reads


def test_it_closes_with_its_target(smollm2_q4_0, models):
    llm = make(smollm2_q4_0, drafter=str(models("Q4_0")))
    small = llm.planner.asking.tier.reader.llama
    llm.close()
    with pytest.raises(ClosedError):
        small.n_ctx()


def test_a_loaded_drafter_stays_the_users(smollm2_q4_0, models, plain):
    with make(models("Q4_0"), draft="off") as small:
        prompt = small.tokenize(b"the cat sat")
        said = list(islice(small.generate(prompt, temp=0.0), 20))
        with make(smollm2_q4_0, drafter=small) as llm:
            free(llm)
            assert chat(llm, temperature=0.0) == chat(plain, temperature=0.0)
            assert list(islice(small.generate(prompt, temp=0.0), 20)) == said  # in between
            assert chat(llm, temperature=0.7) == chat(plain, temperature=0.7)
        assert list(islice(small.generate(prompt, temp=0.0), 20)) == said


def test_a_drafter_that_is_gone_costs_drafts_only(smollm2_q4_0, models, plain, caplog):
    small = make(models("Q4_0"), draft="off")
    with make(smollm2_q4_0, drafter=small) as llm:
        free(llm)
        small.close()
        assert chat(llm, temperature=0.0) == chat(plain, temperature=0.0)
    assert "the drafter could not read" in caplog.text


def test_without_one_nothing_is_loaded(smollm2_q4_0):
    with make(smollm2_q4_0) as llm:
        assert llm.planner.asking is None


def test_it_is_asked_only_where_its_tier_may_draft(smollm2_q4_0, models):
    config = DraftConfig(tiers=("context", "model"))
    with make(smollm2_q4_0, draft=config, drafter=str(models("Q4_0"))) as llm:
        assert llm.planner.asking is None


@pytest.mark.parametrize(
    ("drafter", "error", "text"),
    [
        ("missing.gguf", ModelFileError, "does not exist"),
        (5, ConfigError, "is of type int, expected a GGUF file"),
    ],
)
def test_what_is_no_drafter_is_refused(models, drafter, error, text):
    with pytest.raises(error, match=text):
        make(models("Q4_0"), drafter=drafter)


def test_a_model_that_embeds_is_refused(models, tmp_path):
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter(tmp_path / "bert.gguf", "bert")
    writer.add_causal_attention(value=False)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(ConfigError, match="'bert' embeds, it does not generate"):
        make(models("Q4_0"), drafter=tmp_path / "bert.gguf")


def test_a_recurrent_model_is_refused(models, mamba):
    with pytest.raises(ConfigError, match="cannot roll back"):
        make(models("F32"), drafter=mamba)


def test_a_larger_model_is_refused(models):
    with pytest.raises(ConfigError, match=r"drafter .* has \d+ MB, the model it drafts for \d+ MB"):
        make(models("Q4_0"), drafter=models("Q8_0"))


def test_a_file_without_weights_is_refused(models, tmp_path):
    with pytest.raises((ConfigError, ModelFileError)):
        make(models("Q4_0"), drafter=write_vocabulary(tmp_path / "words.gguf"))


@pytest.mark.parametrize("draft", ["off", "paper"])
def test_it_needs_the_planner(models, draft):
    with pytest.raises(ConfigError, match=f"needs draft='auto', got draft='{draft}'"):
        make(models("Q8_0"), draft=draft, drafter=models("Q4_0"))


def test_a_target_that_decodes_plainly_goes_on_plainly(mamba, tmp_path):
    small = tiny_gguf.write_llama(tmp_path / "small.gguf")
    with pytest.raises(ConfigError, match="must be smaller"):
        Llama(str(mamba), drafter=small, **SETTINGS)
