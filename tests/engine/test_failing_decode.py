"""Every n-th forward fails, for all n that a scenario reaches: an error of ours, and the next answers are right."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice

import pytest
from failing_decode import FailingDecode
from one_model import ALONE, SETTINGS

from hd_edge import Engine, HDEdgeError, Llama

CODES = (1, 2, -1, -2)  # no room, aborted, invalid batch, failed within
PROMPTS = [[1, *([300, 301, 302, 303] * 12)], [1, *range(300, 330)], [1, *([300, 301, 302, 303] * 12), 310]]
LENGTHS = (24, 12, 16)


@pytest.fixture
def failing(monkeypatch):
    decode = FailingDecode()
    decode.install(monkeypatch)
    return decode


def answer(llm, prompt, n, temp=0.0):
    """Its tokens; if a forward fails, those that came until then."""
    tokens = []
    with suppress(HDEdgeError):
        for token in islice(llm.generate(prompt, temp=temp), n):
            tokens.append(token)
    return tokens


def fail_each(failing, survival, scenario, check, codes, stride=1):
    """Runs a scenario with its n-th forward failing, for all n; what it gave must be a beginning of what is right."""
    failing.arm(0, 0)
    want = scenario()
    for code in codes:
        n = 1
        failing.failed = True
        while failing.failed:  # drafts become better, so that later rounds may need fewer forwards
            with survival.case():
                failing.arm(n, code)
                got = scenario()
                for tokens, full in zip(got, want, strict=True):
                    assert tokens == full[: len(tokens)], (n, code)
                reached, failing.failed = failing.failed, False
                failing.arm(0, 0)
                assert scenario() == want, (n, code)
                check()
            failing.failed = reached
            n += stride
        assert n > 3  # conversations that share forwards need few


def load(path, kind, **more):
    settings = {**SETTINGS, "n_batch": 32, "store": None, "statistics": None, **more}
    settings["n_ctx"] = 256
    if kind == "drafter":
        settings["drafter"] = Llama(path, **settings)
    if kind == "mamba":
        del settings["type_k"], settings["type_v"]
    return Llama(path, exact=kind != "mamba", row_kernels=False, **settings)


@pytest.mark.parametrize("kind", ["llama", "mamba", "drafter"])
@pytest.mark.parametrize("codes", [(-2,), pytest.param(CODES, marks=pytest.mark.slow)], ids=["short", "long"])
def test_every_forward_of_a_model_fails_in_turn(failing, survival, models, mamba, kind, codes):
    survival.what = f"n-th llama_decode fails ({kind})"
    with load(str(mamba if kind == "mamba" else models("Q4_0")), kind, seed=5) as llm:

        def scenario():
            llm.reset()
            llm.set_seed(5)
            temperatures = (0.0, 0.8, 0.0)
            return [answer(llm, *asked) for asked in zip(PROMPTS, LENGTHS, temperatures, strict=True)]

        def check():
            assert llm.verifier.check_integrity() == ""

        fail_each(failing, survival, scenario, check, codes, stride=1 if len(codes) > 1 else 5)


@pytest.mark.parametrize("codes", [(-2,), pytest.param(CODES, marks=pytest.mark.slow)], ids=["short", "long"])
def test_every_forward_of_an_engine_fails_in_turn(failing, survival, models, codes):
    survival.what = "n-th llama_decode fails (Engine, 3 conversations)"
    with Engine(str(models("Q4_0")), parallel=3, n_ctx=256, **ALONE) as engine:

        def scenario():
            with ThreadPoolExecutor(3) as threads:
                return list(threads.map(answer, engine.seats, PROMPTS, LENGTHS))

        def check():
            assert engine.model.shared.check_integrity() == ""

        fail_each(failing, survival, scenario, check, codes, stride=1 if len(codes) > 1 else 5)
